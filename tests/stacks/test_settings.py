"""Settings that contradict each other, or what AWS allows, are refused with value, limit and next step."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stacks.engines import ENGINES
from stacks.settings import DEPLOYMENTS, BackupSettings, Instances, ServerlessV2, on_engine
from stacks.validation import SettingsError, choose, validate

DEV = DEPLOYMENTS["dev"]
PRODUCTION = DEPLOYMENTS["production"]


def network(**changes):
    return replace(DEV, network=replace(DEV.network, **changes))


def database(**changes):
    return replace(DEV, database=replace(DEV.database, **changes))


def mysql(**changes):
    on_mysql = on_engine(DEV, "mysql")
    return replace(on_mysql, database=replace(on_mysql.database, **changes))


def functions(**changes):
    return replace(DEV, functions=replace(DEV.functions, **changes))


def production(**changes):
    of_database = {key: changes.pop(key) for key in list(changes) if hasattr(PRODUCTION.database, key)}
    return replace(PRODUCTION, database=replace(PRODUCTION.database, **of_database), **changes)


def production_on_mysql(**changes):
    on_mysql = on_engine(PRODUCTION, "mysql")
    return replace(on_mysql, database=replace(on_mysql.database, **changes))


def planned(**changes):
    return production(backup_plan=replace(PRODUCTION.database.backup_plan, **changes))


def stream(mode, *, engine="postgresql"):
    chosen = on_engine(PRODUCTION, engine)
    return replace(chosen, database=replace(chosen.database, activity_stream=mode))


BAD = {
    "no capacity unit, proxy": (database(capacity=ServerlessV2(0, 4)), "RDS Proxy keeps the cluster awake"),
    "capacity below zero": (database(capacity=ServerlessV2(-0.5, 4)), "min_capacity_acu=-0.5"),
    "capacity beyond Aurora's": (database(capacity=ServerlessV2(1, 256.5)), "max_capacity_acu=256.5"),
    "capacity between steps": (database(capacity=ServerlessV2(0.75, 4)), "min_capacity_acu=0.75"),
    "capacity not a number": (database(capacity=ServerlessV2(float("nan"), 4)), "min_capacity_acu=nan"),
    "capacity without end": (database(capacity=ServerlessV2(1, float("inf"))), "max_capacity_acu=inf"),
    "largest too small": (database(capacity=ServerlessV2(0.5, 0.5)), "max_capacity_acu=0.5"),
    "smallest over largest": (database(capacity=ServerlessV2(8, 4)), "min_capacity_acu=8 exceeds"),
    "class with db.": (database(capacity=Instances("db.r8g.large")), "instance_class='db.r8g.large'"),
    "no class": (database(capacity=Instances("")), "instance_class=''"),
    "readers of no class": (
        database(reader_capacity=Instances("large")),
        "reader_capacity: instance_class='l",
    ),
    "readers with units of their own": (
        database(reader_capacity=ServerlessV2(1, 2)),
        "is not of a fixed class: capacity units are the whole cluster's",
    ),
    "a class for no readers": (
        database(reader_count=0, proxy=False, reader_capacity=Instances("r8g.large")),
        "reader_capacity=r8g.large with reader_count=0",
    ),
    "production on 18 that keeps 17's log": (
        production(engine_version="18.4", parameters={"log_connections": "1"}),
        "log_connections='1'",
    ),
    "read-only endpoint, no reader": (database(reader_count=0), "reader_count=0 with proxy=True"),
    "readers below zero": (database(reader_count=-1), "reader_count=-1"),
    "too many readers": (database(reader_count=16), "reader_count=16"),
    "no backups": (database(backup_retention_days=0), "backup_retention_days=0"),
    "backups for too long": (database(backup_retention_days=36), "backup_retention_days=36"),
    "port below": (database(port=1149), "port=1149"),
    "port above": (database(port=65536), "port=65536"),
    "well-known port": (database(port=5432), "RDS.23"),
    "well-known port of MySQL": (mysql(port=3306), "RDS.23"),
    "rotation never": (database(rotation_days=0), "rotation_days=0"),
    "rotation too rare": (database(rotation_days=1001), "rotation_days=1001"),
    "master user postgres": (database(master_user="postgres"), "master_user=postgres is reserved"),
    "master user admin": (database(master_user="admin"), "master_user=admin is reserved"),
    "master user rdsadmin": (database(master_user="rdsadmin"), "master_user=rdsadmin is reserved"),
    "master user of pg": (database(master_user="pg_monitor"), "master_user=pg_monitor is reserved"),
    "master user with a quote": (database(master_user="shop'; --"), 'master_user="shop\'; --"'),
    "master user too long": (database(master_user="u" * 64), "up to 63"),
    "master user too long for MySQL": (mysql(master_user="u" * 17), "up to 16"),
    "master user root of MySQL": (mysql(master_user="root"), "master_user=root is reserved"),
    "master user mysql": (mysql(master_user="mysql"), "master_user=mysql is reserved"),
    "master user of the proxy's": (
        mysql(master_user="rdsproxyadmin"),
        "master_user=rdsproxyadmin is reserved",
    ),
    "database template1": (database(database_name="template1"), "database_name=template1"),
    "database sys of MySQL": (mysql(database_name="sys"), "database_name=sys is mysql's own"),
    "database innodb of MySQL": (mysql(database_name="innodb"), "database_name=innodb is mysql's own"),
    "database too long": (database(database_name="d" * 64), "up to 63"),
    "database too long for MySQL": (mysql(database_name="d" * 65), "up to 64"),
    "database with a dash": (database(database_name="my-shop"), "database_name='my-shop'"),
    "unknown engine": (database(engine="oracle"), "engine=oracle is not known"),
    "unknown version": (database(engine_version="9.6"), "engine_version=9.6"),
    "version of the other engine": (
        mysql(engine_version="16.13"),
        "engine_version=16.13 of mysql is not known",
    ),
    "version of MySQL without Aurora's": (mysql(engine_version="8.0"), "choose one of 8.0.mysql_aurora."),
    "backtrack of PostgreSQL": (
        database(backtrack_hours=24),
        "backtrack_hours=24 with engine=postgresql: Aurora rewinds clusters of mysql only",
    ),
    "backtrack for too long": (mysql(backtrack_hours=73), "backtrack_hours=73 is outside 0 to 72"),
    "backtrack below": (mysql(backtrack_hours=-1), "backtrack_hours=-1 is outside"),
    "backtrack where there is none": (
        replace(
            mysql(),
            region="eu-north-1",
            network=replace(DEV.network, availability_zones=("eu-north-1a", "eu-north-1b", "eu-north-1c")),
        ),
        "backtrack_hours=24 in region=eu-north-1",
    ),
    "retention that no log has": (database(log_retention_days=2), "log_retention_days of the database=2"),
    "malformed network": (network(cidr="10.20.0.0/33"), "cidr='10.20.0.0/33'"),
    "network with host bits": (network(cidr="10.20.0.1/16"), "has host bits set"),
    "no network": (network(cidr=""), "cidr=''"),
    "network of IPv6": (network(cidr="fd00::/16"), "cidr='fd00::/16'"),
    "network too small for its zones": (network(cidr="10.20.0.0/23"), "/23 is outside /16 to /22"),
    "network too large": (network(cidr="10.0.0.0/8"), "/8 is outside"),
    "public network": (network(cidr="8.8.0.0/16"), "is not private"),
    "overlapping network": (network(cidr="10.40.128.0/20"), "overlaps 10.40.0.0/16 of deployment production"),
    "one zone": (network(availability_zones=("us-east-1a",)), "1 zones"),
    "one zone three times": (network(availability_zones=("us-east-1a",) * 3), "names a zone twice"),
    "zone of another region": (
        network(availability_zones=("us-east-1a", "us-east-1b", "eu-west-1c")),
        "eu-west-1c is not one of region us-east-1",
    ),
    "flow logs kept for no known time": (network(flow_log_retention_days=8), "flow_log_retention_days=8"),
    "unknown region": (replace(DEV, region="mars-north-1"), "region=mars-north-1"),
    "function over 14 minutes": (functions(timeout_minutes=15), "timeout_minutes=15"),
    "function without time": (functions(timeout_minutes=0), "timeout_minutes=0"),
    "too little memory": (functions(memory_mib=64), "memory_mib=64"),
    "too much memory": (functions(memory_mib=10241), "memory_mib=10241"),
    "unknown platform": (functions(platform="windows"), "platform='windows'"),
    "unknown authorities": (functions(certificate_authorities="any"), "certificate_authorities='any'"),
    "function logs kept for no known time": (functions(log_retention_days=0), "of the functions=0"),
    "name with a capital": (replace(DEV, name="Dev"), "name='Dev'"),
    "name beginning with a digit": (replace(DEV, name="1st"), "name='1st'"),
    "name with a path": (replace(DEV, name="../../etc"), "name='../../etc'"),
    "name with two hyphens": (replace(DEV, name="a--b"), "name='a--b'"),
    "name ending in a hyphen": (replace(DEV, name="a-"), "name='a-'"),
    "name with a line end": (replace(DEV, name="dev\n"), "name='dev\\n'"),
    "name too long for the proxy's endpoint": (replace(DEV, name="n" * 49), "shorten the name by 1"),
    "production not retained": (production(retain_data=False), "retain_data=False in production"),
    "production not protected": (production(deletion_protection=False), "deletion_protection=False"),
    "production stacks not protected": (production(termination_protection=False), "termination_protection"),
    "production with few backups": (production(backup_retention_days=6), "RDS.50"),
    "monitoring at no known interval": (
        database(monitoring_interval_seconds=7),
        "monitoring_interval_seconds=7",
    ),
    "unknown insights": (database(insights="deep"), "insights='deep'"),
    "clients idle for ever": (database(idle_client_timeout_seconds=28_801), "outside RDS Proxy's 1 to 28800"),
    "clients never idle": (database(idle_client_timeout_seconds=0), "idle_client_timeout_seconds=0"),
    "borrowing for too long": (database(borrow_timeout_seconds=301), "borrow_timeout_seconds=301"),
    "borrowing in no time": (database(borrow_timeout_seconds=-1), "borrow_timeout_seconds=-1"),
    "plaintext": (database(parameters={"rds.force_ssl": "0"}), "rds.force_ssl='0': anybody could be over"),
    "old TLS": (database(parameters={"ssl_min_protocol_version": "TLSv1"}), "set 'TLSv1.2' or 'TLSv1.3'"),
    "weak passwords": (database(parameters={"password_encryption": "md5"}), "password_encryption='md5'"),
    "plaintext of MySQL": (
        mysql(parameters={"require_secure_transport": "OFF"}),
        "require_secure_transport='OFF'",
    ),
    "old TLS of MySQL": (mysql(parameters={"tls_version": "TLSv1,TLSv1.2"}), "tls_version='TLSv1,TLSv1.2'"),
    "parameter that is no name": (database(parameters={"work mem": "1"}), "parameters: 'work mem'"),
    "parameter that is no text": (database(parameters={"work_mem": 1000}), "parameters: 'work_mem': 1000"),
    "activity stream of no known kind": (stream("often"), "activity_stream='often'"),
    "activity stream of Serverless v2": (
        database(activity_stream="async"),
        "activity_stream=async with ServerlessV2",
    ),
    "activity stream of MySQL": (stream("async", engine="mysql"), "activity_stream=async with engine=mysql"),
    "no concurrency": (functions(reserved_concurrency=0), "reserved_concurrency=0 is outside 1 to 100"),
    "more concurrency than there is": (functions(reserved_concurrency=900), "reserved_concurrency=900"),
    "trail for too short": (
        replace(PRODUCTION, invocation_trail_days=30),
        "invocation_trail_days=30 is outside 365",
    ),
    "trail of nothing": (replace(PRODUCTION, invocation_trail_days=0), "invocation_trail_days=0"),
    "trail that could not go": (
        replace(DEV, invocation_trail_days=400),
        "invocation_trail_days=400 with retain_data=False",
    ),
    "nobody's": (replace(DEV, owner=""), "owner=''"),
    "a boundary by its ARN": (
        replace(DEV, permissions_boundary="arn:aws:iam::123456789012:policy/shop-boundary"),
        "give the name alone",
    ),
    "a boundary without a name": (replace(DEV, permissions_boundary=""), "permissions_boundary=''"),
    "owner that no tag can say": (replace(DEV, owner="shop; drop"), "owner='shop; drop'"),
    "owner without end": (replace(DEV, owner="o" * 257), "is not a tag's value"),
    "recovery points of what is not retained": (
        database(backup_plan=BackupSettings()),
        "backup_plan with retain_data=False",
    ),
    "production without a backup plan": (production(backup_plan=None), "RDS.26"),
    "recovery points shorter than backups": (planned(retention_days=35), "retention_days=35 of backup_plan"),
    "recovery points for too long": (planned(retention_days=36_501), "to 36500"),
    "copies shorter than backups": (planned(copy_retention_days=7), "copy_retention_days=7 of backup_plan"),
    "copy beside the cluster": (
        planned(copy_to_vault_arn="arn:aws:backup:us-east-1:123456789012:backup-vault:shop"),
        "lies in region=us-east-1, as the cluster does",
    ),
    "copy to no vault": (
        planned(copy_to_vault_arn="arn:aws:s3:::shop"),
        "copy_to_vault_arn='arn:aws:s3:::shop'",
    ),
    "copy to a vault of nobody": (
        planned(copy_to_vault_arn="arn:aws:backup:eu-west-1::backup-vault:shop"),
        "is not the ARN of a vault",
    ),
    "production without small upgrades": (production(auto_minor_version_upgrade=False), "RDS.13"),
    "production with an old password": (production(rotation_days=91), "rotation_days=91 with retain_data"),
    "production that forgets its logs": (
        production(log_retention_days=180),
        "log_retention_days of the database=180",
    ),
    "production that forgets what functions did": (
        replace(PRODUCTION, functions=replace(PRODUCTION.functions, log_retention_days=90)),
        "log_retention_days of the functions=90 with retain_data=True",
    ),
    "production that forgets its flows": (
        replace(PRODUCTION, network=replace(PRODUCTION.network, flow_log_retention_days=30)),
        "flow_log_retention_days=30 with retain_data=True",
    ),
    "production unwatched": (production(monitoring_interval_seconds=0), "RDS.6"),
    "production with a week of insights": (production(insights="standard"), "insights='standard' with"),
    "production with customers in the proxy's log": (
        production(proxy_debug_logging=True),
        "proxy_debug_logging=True with retain_data=True",
    ),
    "production without an audit": (production(parameters={"pgaudit.log": "none"}), "pgaudit.log='none'"),
    "production without pgaudit": (
        production(parameters={"shared_preload_libraries": "pg_stat_statements"}),
        "shared_preload_libraries='pg_stat_statements'",
    ),
    "production with customers in its log": (
        production(parameters={"log_statement": "all"}),
        "log_statement='all'",
    ),
    "production with customers in its audit": (
        production(parameters={"pgaudit.log_parameter": "1"}),
        "pgaudit.log_parameter='1'",
    ),
    "production on MySQL without an audit": (
        production_on_mysql(parameters={"server_audit_logging": "0"}),
        "server_audit_logging='0'",
    ),
    "production on MySQL with customers in its log": (
        production_on_mysql(parameters={"general_log": "1"}),
        "general_log='1'",
    ),
    "production in one zone": (production(reader_count=0, proxy=False), "losing a zone"),
}


@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_every_deployment_can_be_deployed(kind):
    assert validate(DEPLOYMENTS[kind]) == []


@pytest.mark.parametrize(("deployment", "expected"), BAD.values(), ids=BAD)
def test_a_bad_setting_is_refused(deployment, expected):
    problems = validate(deployment)
    assert len([problem for problem in problems if expected in problem]) == 1, problems


@pytest.mark.parametrize(("deployment", "expected"), BAD.values(), ids=BAD)
def test_a_problem_tells_the_next_step(deployment, expected):
    steps = ("choose", "set ", "name ", "rename", "shorten", "write", "round", "swap", "correct", "leave")
    for problem in validate(deployment):
        assert any(step in problem for step in steps), problem


def test_the_longest_name_that_fits_is_accepted():
    assert choose("ephemeral", "n" * 48).name == "n" * 48


def test_all_problems_come_at_once():
    bad = replace(database(port=80, backup_retention_days=0, engine="db2"), region="nowhere", name="-")
    found = "\n".join(validate(bad))
    for expected in ("port=80", "backup_retention_days=0", "engine=db2", "region=nowhere", "name='-'"):
        assert expected in found


CHOICES = {
    "unknown deployment": (("prod",), "choose one of local, local-mysql, dev, ephemeral, production"),
    "unknown engine": (
        ("dev", None, None, None, "oracle"),
        "engine='oracle' is not known; choose one of post",
    ),
    "engine not text": (("dev", None, None, None, 8), "engine=8 is not known"),
    "another engine where one is fixed": (
        ("local-mysql", None, None, None, "postgresql"),
        "engine=postgresql with deployment=local-mysql: that one is for mysql; choose deployment=local",
    ),
    "ephemeral by the name of local MySQL": (("ephemeral", "local-mysql"), "belongs to the deployment"),
    "ephemeral without a name": (("ephemeral",), "-c name=pr-42"),
    "ephemeral with an empty name": (("ephemeral", ""), "-c name=pr-42"),
    "ephemeral by another's name": (("ephemeral", "production"), "belongs to the deployment of that name"),
    "a name where none is wanted": (("dev", "mine"), "drop the name"),
    "a name that RDS refuses": (("ephemeral", "PR_42"), "name='PR_42'"),
    "deployment not text": ((7,), "text is expected"),
    "deployment a list": ((["dev"],), "text is expected"),
    "name not text": (("ephemeral", True), "text is expected"),
    "seed file not there": (("dev", None, "/nowhere/lines.csv"), "is not a file"),
    "seed file a directory": (("dev", None, "/tmp"), "is not a file"),
    "seed file of another kind": (("dev", None, __file__), "the loader reads .csv and .csv.gz"),
    "seed file not text": (("dev", None, 1), "text is expected"),
}


@pytest.mark.parametrize(("choice", "expected"), CHOICES.values(), ids=CHOICES)
def test_a_bad_choice_is_refused(choice, expected):
    with pytest.raises(SettingsError) as refusal:
        choose(*choice)
    assert expected in str(refusal.value)


def test_an_empty_seed_file_is_refused(tmp_path):
    empty = tmp_path / "lines.csv"
    empty.touch()
    with pytest.raises(SettingsError, match="is empty"):
        choose("dev", None, str(empty))


def test_a_version_that_two_migrations_claim_is_refused_at_synth(tmp_path, monkeypatch):
    for name in ("V0001__first.sql", "V1__also_first.sql", "V0002__second.sql", "R__view.sql"):
        (tmp_path / "postgresql").mkdir(exist_ok=True)
        (tmp_path / "postgresql" / name).touch()
    monkeypatch.setattr("stacks.validation.migrations.SCHEMA", tmp_path)
    with pytest.raises(SettingsError) as refusal:
        choose("dev")
    (problem,) = refusal.value.problems
    assert "V0001__first.sql and V1__also_first.sql" in problem


@pytest.mark.parametrize("kind", DEPLOYMENTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_deployment_can_have_either_engine(kind, engine):
    if kind == "local-mysql":
        engine = "mysql"
    found = choose(kind, "pr-42" if kind == "ephemeral" else None, engine=engine)
    expected = ENGINES[engine]
    assert found.database.engine == engine
    assert found.database.engine_version == expected.default_version
    assert found.database.port == expected.default_port
    assert found.database.backtrack_hours == expected.default_backtrack_hours


def test_an_engine_changes_what_follows_from_it_and_nothing_else():
    assert choose("dev", engine="postgresql") == DEV
    back = on_engine(on_engine(DEPLOYMENTS["production"], "mysql"), "postgresql")
    assert back == DEPLOYMENTS["production"]


def test_local_on_mysql_is_the_deployment_of_its_own():
    assert choose("local", engine="mysql") == choose("local-mysql") == DEPLOYMENTS["local-mysql"]


@pytest.mark.parametrize("hours", [0, 1, 72])
def test_a_cluster_of_mysql_is_rewound_up_to_three_days_or_never(hours):
    assert validate(mysql(backtrack_hours=hours)) == []


def test_a_rewind_is_not_asked_for_where_there_is_none():
    zones = ("eu-north-1a", "eu-north-1b", "eu-north-1c")
    there = replace(mysql(backtrack_hours=0), region="eu-north-1")
    assert validate(replace(there, network=replace(DEV.network, availability_zones=zones))) == []


def test_dev_is_the_deployment_that_nobody_named():
    assert choose() == DEV


def test_an_ephemeral_deployment_takes_its_name_and_nothing_else():
    assert choose("ephemeral", "pr-42") == replace(DEPLOYMENTS["ephemeral"], name="pr-42")


def test_the_seed_file_is_found_from_wherever_the_command_ran(tmp_path, monkeypatch):
    (tmp_path / "lines.csv.gz").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert choose("dev", None, "lines.csv.gz").seed_file == tmp_path / "lines.csv.gz"


def test_settings_are_checked_without_loading_the_cdk():
    check = "import sys, stacks.validation as v; v.choose(); sys.exit('aws_cdk' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], cwd=Path(__file__).parents[2], check=True, timeout=30)


@pytest.mark.parametrize(("given", "lines"), [("0", 0), (0, 0), ("541909", 541_909), ("1100000", 1_100_000)])
def test_lines_are_generated_from_none_to_what_a_function_loads_in_time(given, lines):
    assert choose("dev", None, None, given).seed_lines == lines


@pytest.mark.parametrize("given", ["-1", "1100001", "many", "1e6", "", "1.5", True])
def test_other_numbers_of_lines_are_refused_with_the_limit_and_the_way_to_more(given):
    with pytest.raises(SettingsError) as refused:
        choose("dev", None, None, given)
    [problem] = refused.value.problems
    assert problem.startswith(f"seed_lines={given!r}: expected 0 to 1100000; for more, ")


def test_a_shop_begins_with_a_file_or_with_generated_lines(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text("x")
    with pytest.raises(SettingsError) as refused:
        choose("dev", None, str(path), "10")
    [problem] = refused.value.problems
    assert problem == f"seed_file={path} and seed_lines=10: a shop begins with one of them; drop one"


@pytest.mark.parametrize("mode", ["async", "sync"])
def test_an_activity_stream_is_for_instances_of_postgresql(mode):
    assert validate(stream(mode)) == []


@pytest.mark.parametrize(
    ("deployment", "parameters"),
    [
        (production, {"ssl_min_protocol_version": "TLSv1.3", "work_mem": "65536", "log_statement": "ddl"}),
        (production_on_mysql, {"tls_version": "TLSv1.3", "max_connections": "1000"}),
    ],
)
def test_parameters_that_weaken_nothing_are_a_deployment_s_own(deployment, parameters):
    assert validate(deployment(parameters=parameters)) == []


def test_recovery_points_are_copied_to_another_region():
    assert (
        validate(planned(copy_to_vault_arn="arn:aws:backup:eu-west-1:123456789012:backup-vault:shop")) == []
    )
