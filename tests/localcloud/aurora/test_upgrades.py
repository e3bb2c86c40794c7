"""Changes of version and of instance class: what served before serves after, or the former version does."""

import threading

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud import operator_key
from localcloud.aurora import upgrades
from localcloud.aurora.engines import ENGINES, MYSQL, POSTGRESQL
from localcloud.aurora.upgrades import UpgradeRefused
from localcloud.notifications import rds_events
from localcloud.resources.base import ResourceFailed

from .conftest import REGION
from .shop import connect, create_cluster, create_instance, create_pair, eventually, managed, query, records

MAJOR = {"aurora-postgresql": "18.4", "aurora-mysql": "8.4.mysql_aurora.8.4.8"}
MINOR = {"aurora-postgresql": "16.14", "aurora-mysql": "8.0.mysql_aurora.3.13.0"}
FORMER = {"aurora-postgresql": "16.11", "aurora-mysql": "8.0.mysql_aurora.3.10.6"}
NEW_FAMILY = {"aurora-postgresql": "aurora-postgresql18", "aurora-mysql": "aurora-mysql8.4"}

PATIENCE_SECONDS = 300

postgresql_only = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
mysql_only = pytest.mark.parametrize("dialect", ["mysql"], indirect=True)


@pytest.fixture
def cluster(stack):
    return create_pair(stack)


def of(versions, stack):
    return versions[str(stack.dialect.engine)]


def create_group(stack, kind, name, family, **parameters):
    return stack.create(
        f"AWS::RDS::{kind}",
        name,
        Description="Parameters",
        Family=family,
        Parameters=parameters,
        **{f"{kind}Name": name},
    )


def ask(stack, cluster, statement, *, reader=False, **options):
    address = cluster.attributes["ReadEndpoint.Address" if reader else "Endpoint.Address"]
    return query(connect(stack, address, **options), statement)


def members(cluster):
    """Return the records of a cluster's instances."""
    everywhere = records().databases.values()
    return [one for one in everywhere if one.db_cluster_identifier == cluster.physical_id]


def put_table(stack, cluster, table, value):
    ask(stack, cluster, stack.dialect.create_table.format(table=table, value=value))


def reaches_the_reader(stack, cluster, table):
    exists = stack.dialect.table_exists.format(table=table)
    return eventually(lambda: ask(stack, cluster, exists, reader=True))


def token(stack, cluster, user):
    client = boto3.client(
        "rds",
        region_name=REGION,
        aws_access_key_id=operator_key.ACCESS_KEY_ID,
        aws_secret_access_key=operator_key.SECRET_ACCESS_KEY,
    )
    return client.generate_db_auth_token(cluster.attributes["Endpoint.Address"], stack.dialect.port, user)


def processes(stack, cluster):
    """Return what runs as each instance: another process after a restart."""
    return {one.name: one.server._process.pid for one in managed(stack, cluster).cluster.instances}


@pytest.fixture
def told(monkeypatch):
    """What RDS tells of clusters and instances."""
    heard = []
    monkeypatch.setattr(rds_events, "tell", lambda _cloud, _region, kind, *_, **__: heard.append(kind))
    return heard


def test_a_major_upgrade_keeps_data_users_rights_and_passwords_and_readers_follow(stack, cluster, told):
    put_table(stack, cluster, "kept", 42)
    stack.dialect.create_users(managed(stack, cluster).cluster.writer.server)
    before = processes(stack, cluster)
    stack.update("Cluster", EngineVersion=of(MAJOR, stack))

    record = records().clusters[cluster.physical_id]
    assert (record.engine_version, record.status) == (of(MAJOR, stack), "available")
    assert record.parameter_group == f"default.{of(NEW_FAMILY, stack)}"
    assert {one.engine_version for one in members(cluster)} == {of(MAJOR, stack)}
    assert stack.cloud.databases[cluster.physical_id].startswith(
        f"{stack.dialect.engine} {of(NEW_FAMILY, stack).removeprefix(str(stack.dialect.engine))}, served by"
    )
    assert ask(stack, cluster, "SELECT n FROM kept") == 42
    put_table(stack, cluster, "later", 43)
    assert reaches_the_reader(stack, cluster, "later")
    assert ask(stack, cluster, "SELECT n FROM kept", reader=True) == 42
    assert ask(stack, cluster, stack.dialect.is_reader, reader=True) == 1
    assert ask(stack, cluster, "SELECT 1", user="password_user", password="the right one") == 1
    assert ask(stack, cluster, "SELECT 1", user="token_user", password=token(stack, cluster, "token_user"))
    with stack.dialect.refuses("password", "password_user"):
        ask(stack, cluster, "SELECT 1", user="password_user", password="a wrong one")
    assert not set(before.values()) & set(processes(stack, cluster).values())
    for kind in (rds_events.UPGRADE_PREPARED, rds_events.UPGRADE_STARTED, rds_events.MAJOR_UPGRADED):
        assert told.count(kind) == 1


@postgresql_only
def test_the_master_user_may_after_a_major_upgrade_what_it_might_before(stack, cluster):
    ask(stack, cluster, "CREATE ROLE clerk LOGIN PASSWORD 'a clerk''s own'")
    ask(stack, cluster, "GRANT rds_iam TO clerk")
    ask(stack, cluster, "CREATE TABLE orders AS SELECT 7 AS n")
    ask(stack, cluster, "ALTER ROLE clerk SET work_mem = '5MB'")
    ask(stack, cluster, "GRANT SELECT ON orders TO clerk")
    stack.update("Cluster", EngineVersion="18.4")
    assert ask(stack, cluster, "SELECT current_setting('server_version_num')::int / 10000") == 18
    as_clerk = {"user": "clerk", "password": token(stack, cluster, "clerk")}
    assert ask(stack, cluster, "SELECT n FROM orders", **as_clerk) == 7
    assert ask(stack, cluster, "SHOW work_mem", **as_clerk) == "5MB"
    ask(stack, cluster, "REVOKE rds_iam FROM clerk")
    assert ask(stack, cluster, "SELECT n FROM orders", user="clerk", password="a clerk's own") == 7
    ask(stack, cluster, "CREATE ROLE another LOGIN")
    ask(stack, cluster, "GRANT rds_iam, pg_monitor TO another")
    ask(stack, cluster, "DROP ROLE another")


@postgresql_only
def test_a_failover_after_a_major_upgrade_keeps_everything(stack, cluster):
    put_table(stack, cluster, "kept", 42)
    stack.update("Cluster", EngineVersion="18.4")
    put_table(stack, cluster, "later", 43)
    managed(stack, cluster).fail_over()
    assert ask(stack, cluster, "SELECT n FROM kept") == 42
    assert ask(stack, cluster, "SELECT n FROM later") == 43
    assert ask(stack, cluster, "SELECT current_setting('server_version_num')::int / 10000") == 18


def test_the_parameters_of_the_new_groups_are_in_force_on_every_instance(stack):
    family = of(NEW_FAMILY, stack)
    create_group(stack, "DBClusterParameterGroup", "old-cluster", stack.dialect.family)
    create_group(stack, "DBParameterGroup", "old-instance", stack.dialect.family)
    cluster = create_cluster(stack, DBClusterParameterGroupName="old-cluster")
    for name in ("Writer", "Reader"):
        create_instance(stack, cluster, name, DBParameterGroupName="old-instance")
    first, *rest = stack.dialect.parameters.items()
    create_group(stack, "DBClusterParameterGroup", "new-cluster", family, **dict(rest))
    create_group(stack, "DBParameterGroup", "new-instance", family, **dict([first]))
    stack.update(
        "Cluster",
        EngineVersion=of(MAJOR, stack),
        DBClusterParameterGroupName="new-cluster",
        DBInstanceParameterGroupName="new-instance",
    )
    assert records().clusters[cluster.physical_id].parameter_group == "new-cluster"
    assert {one.db_parameter_group_name for one in members(cluster)} == {"new-instance"}
    for name, shown in stack.dialect.shown.items():
        for reader in (False, True):
            assert str(ask(stack, cluster, stack.dialect.show(name), reader=reader)) == shown
    after = processes(stack, cluster)
    for name in ("Writer", "Reader"):
        stack.update(name, DBParameterGroupName="new-instance")
    assert processes(stack, cluster) == after


@postgresql_only
def test_a_parameter_group_of_the_former_family_is_refused(stack):
    create_group(stack, "DBClusterParameterGroup", "of-cluster", "aurora-postgresql16")
    create_group(stack, "DBParameterGroup", "of-instance", "aurora-postgresql16")
    cluster = create_cluster(stack, DBClusterParameterGroupName="of-cluster")
    create_instance(stack, cluster, DBParameterGroupName="of-instance")
    before, new = processes(stack, cluster), "default.aurora-postgresql18"
    must_be_named = "parameter group {} is custom. You must explicitly specify a new DB {} parameter group"
    for cluster_group, instance_group, reason in (
        (None, new, must_be_named.format("of-cluster", "cluster")),
        (new, None, must_be_named.format("of-instance", "instance")),
        ("of-cluster", new, "of-cluster with DBParameterGroupFamily aurora-postgresql16 cannot be used"),
        (new, "of-instance", "of-instance with DBParameterGroupFamily aurora-postgresql16 cannot be used"),
        ("default.aurora-mysql8.4", new, "default.aurora-mysql8.4 with DBParameterGroupFamily"),
    ):
        with pytest.raises(ResourceFailed, match=reason):
            stack.update(
                "Cluster",
                EngineVersion="18.4",
                DBClusterParameterGroupName=cluster_group,
                DBInstanceParameterGroupName=instance_group,
            )
    assert records().clusters[cluster.physical_id].engine_version == stack.dialect.version
    assert processes(stack, cluster) == before


def prepare_a_transaction(stack, cluster):
    """Leave behind what no upgrade carries along."""
    xa = {
        "aurora-postgresql": ["BEGIN", "CREATE TABLE half ()", "PREPARE TRANSACTION 'x'"],
        "aurora-mysql": ["XA START 'x'", "INSERT INTO kept VALUES (1)", "XA END 'x'", "XA PREPARE 'x'"],
    }
    connection = connect(stack, cluster.attributes["Endpoint.Address"])
    with connection.cursor() as cursor:
        for statement in xa[str(stack.dialect.engine)]:
            cursor.execute(statement)
    connection.close()


def test_what_cannot_be_upgraded_is_served_by_the_former_version_and_can_be_mended(stack, told):
    parameters = {"max_prepared_transactions": "5"} if stack.dialect.engine is POSTGRESQL else {}
    create_group(stack, "DBClusterParameterGroup", "old", stack.dialect.family, **parameters)
    cluster = create_cluster(stack, DBClusterParameterGroupName="old")
    create_instance(stack, cluster, "Writer")
    create_instance(stack, cluster, "Reader")
    put_table(stack, cluster, "kept", 42)
    prepare_a_transaction(stack, cluster)
    before = processes(stack, cluster)
    new = {
        "EngineVersion": of(MAJOR, stack),
        "DBClusterParameterGroupName": f"default.{of(NEW_FAMILY, stack)}",
    }
    with pytest.raises(ResourceFailed, match="prepared"):
        stack.update("Cluster", **new)
    assert processes(stack, cluster) == before
    assert ask(stack, cluster, "SELECT n FROM kept") == 42
    assert records().clusters[cluster.physical_id].engine_version == stack.dialect.version
    assert records().clusters[cluster.physical_id].status == "available"
    assert rds_events.NOT_UPGRADABLE in told

    rollback = {"aurora-postgresql": "ROLLBACK PREPARED 'x'", "aurora-mysql": "XA ROLLBACK 'x'"}
    managed(stack, cluster).cluster.writer.server.execute(
        of(rollback, stack), **({"database": "shop"} if stack.dialect.engine is POSTGRESQL else {})
    )
    stack.update("Cluster", **new)
    assert ask(stack, cluster, "SELECT n FROM kept") == 42


@postgresql_only
def test_a_logical_replication_slot_stands_in_the_way(stack):
    create_group(
        stack, "DBClusterParameterGroup", "old", "aurora-postgresql16", **{"rds.logical_replication": "1"}
    )
    cluster = create_cluster(stack, DBClusterParameterGroupName="old")
    create_instance(stack, cluster)
    server = managed(stack, cluster).cluster.writer.server
    server.execute("SELECT pg_create_logical_replication_slot('audit', 'pgoutput')")
    default = "default.aurora-postgresql18"
    with pytest.raises(ResourceFailed, match=r"have logical replication slots.*audit"):
        stack.update("Cluster", EngineVersion="18.4", DBClusterParameterGroupName=default)
    assert server.is_running


def test_a_new_version_that_does_not_come_up_leaves_the_former_one_with_its_readers(stack):
    family = of(NEW_FAMILY, stack)
    cluster = create_pair(stack)
    put_table(stack, cluster, "kept", 42)
    create_group(stack, "DBClusterParameterGroup", "broken", family, **stack.dialect.bad_parameter)
    ((_, bad_value),) = stack.dialect.bad_parameter.items()
    with pytest.raises(ResourceFailed, match=bad_value):
        stack.update("Cluster", EngineVersion=of(MAJOR, stack), DBClusterParameterGroupName="broken")
    record = records().clusters[cluster.physical_id]
    assert (record.engine_version, record.status) == (stack.dialect.version, "available")
    assert ask(stack, cluster, "SELECT n FROM kept") == 42
    put_table(stack, cluster, "later", 43)
    assert reaches_the_reader(stack, cluster, "later")
    stack.update("Cluster", EngineVersion=of(MAJOR, stack), DBClusterParameterGroupName=f"default.{family}")
    assert ask(stack, cluster, "SELECT n FROM later") == 43


def test_a_minor_upgrade_restarts_every_instance_readers_first(stack, cluster, told, monkeypatch):
    put_table(stack, cluster, "kept", 42)
    instances, order = managed(stack, cluster).cluster.instances, []
    for instance in instances:
        stop = instance.server.stop
        monkeypatch.setattr(
            instance.server,
            "stop",
            lambda *_, stop=stop, name=instance.name, **__: (order.append(name), stop()),
        )
    before = processes(stack, cluster)
    stack.update("Cluster", EngineVersion=of(MINOR, stack))
    after = processes(stack, cluster)
    assert all(after[name] != pid for name, pid in before.items())
    assert order == [one.name for one in reversed(instances)]
    assert records().clusters[cluster.physical_id].engine_version == of(MINOR, stack)
    assert ask(stack, cluster, "SELECT n FROM kept") == 42
    put_table(stack, cluster, "later", 43)
    assert reaches_the_reader(stack, cluster, "later")
    assert rds_events.UPGRADED in told


def test_another_instance_class_restarts_that_instance_alone(stack, cluster, told):
    put_table(stack, cluster, "kept", 42)
    former = processes(stack, cluster)
    for name in ("Reader", "Writer"):
        updated = stack.update(name, DBInstanceClass="db.r7g.large")
        now = processes(stack, cluster)
        assert [one for one in now if now[one] != former[one]] == [updated.physical_id]
        assert records().databases[updated.physical_id].db_instance_class == "db.r7g.large"
        former = now
    assert ask(stack, cluster, "SELECT n FROM kept") == 42
    put_table(stack, cluster, "later", 43)
    assert reaches_the_reader(stack, cluster, "later")
    assert [kind for kind in told if kind.source == "db-instance"] == [
        rds_events.CLASS_CHANGING,
        rds_events.CLASS_CHANGED,
    ] * 2
    stack.update("Writer", DBInstanceClass="db.r7g.large")
    assert processes(stack, cluster) == former


def test_a_downgrade_and_an_unknown_way_are_refused(stack, cluster):
    before = processes(stack, cluster)
    unknown = {"aurora-postgresql": "17.6", "aurora-mysql": "5.7.mysql_aurora.2.12.0"}
    for version, reason in (
        (of(FORMER, stack), "Cannot upgrade .* from .* to "),
        (of(unknown, stack), "Cannot find (upgrade target|version)"),
    ):
        with pytest.raises(ResourceFailed, match=reason):
            stack.update("Cluster", EngineVersion=version)
    assert records().clusters[cluster.physical_id].engine_version == stack.dialect.version
    assert processes(stack, cluster) == before


def test_a_cluster_without_an_instance_is_not_upgraded(stack):
    create_cluster(stack)
    with pytest.raises(ResourceFailed, match="without a healthy primary instance in DB cluster"):
        stack.update("Cluster", EngineVersion=of(MAJOR, stack))


@postgresql_only
def test_a_new_password_does_not_go_together_with_a_major_upgrade(stack, cluster):
    with pytest.raises(ResourceFailed, match="MasterUserPassword cannot be modified"):
        stack.update("Cluster", EngineVersion="18.4", MasterUserPassword="another password")


@postgresql_only
def test_a_rollback_asks_for_no_version_as_aurora_never_goes_back(stack, cluster):
    stack.update("Cluster", EngineVersion=of(MINOR, stack))
    stack.rolling_back = True
    after = processes(stack, cluster)
    stack.update("Cluster", EngineVersion=stack.dialect.version)
    assert records().clusters[cluster.physical_id].engine_version == of(MINOR, stack)
    assert processes(stack, cluster) == after


@postgresql_only
def test_a_rollback_behind_a_major_upgrade_fails_on_the_parameter_group(stack):
    create_group(stack, "DBClusterParameterGroup", "old", "aurora-postgresql16")
    cluster = create_cluster(stack, DBClusterParameterGroupName="old")
    create_instance(stack, cluster)
    stack.update("Cluster", EngineVersion="18.4", DBClusterParameterGroupName="default.aurora-postgresql18")
    stack.rolling_back = True
    with pytest.raises(ResourceFailed, match="DBParameterGroupFamily aurora-postgresql16 cannot be used"):
        stack.update("Cluster", EngineVersion="16.13", DBClusterParameterGroupName="old")
    assert ask(stack, cluster, "SELECT current_setting('server_version_num')::int / 10000") == 18
    stack.rolling_back = False
    stack.update("Cluster", DBClusterParameterGroupName="default.aurora-postgresql18")


def described(api, cluster):
    (found,) = api.describe_db_clusters(DBClusterIdentifier=cluster.physical_id)["DBClusters"]
    return found


def described_members(api, cluster):
    of_cluster = {"Name": "db-cluster-id", "Values": [cluster.physical_id]}
    return api.describe_db_instances(Filters=[of_cluster])["DBInstances"]


def stands_at(api, cluster, version):
    found = described(api, cluster)
    return (found["Status"], found["EngineVersion"]) == ("available", version)


def test_rds_upgrades_by_its_api_to_what_it_lists(stack, cluster, api):
    put_table(stack, cluster, "kept", 42)
    name, engine = cluster.physical_id, str(stack.dialect.engine)
    (listed,) = api.describe_db_engine_versions(Engine=engine, EngineVersion=stack.dialect.version)[
        "DBEngineVersions"
    ]
    assert listed["DBParameterGroupFamily"] == stack.dialect.family
    is_major = {one["EngineVersion"]: one["IsMajorVersionUpgrade"] for one in listed["ValidUpgradeTarget"]}
    assert is_major[of(MAJOR, stack)]
    assert not is_major[of(MINOR, stack)]
    for version, allowed, reason in (
        (of(MAJOR, stack), False, "AllowMajorVersionUpgrade flag must be present"),
        (of(FORMER, stack), True, "Cannot upgrade"),
    ):
        with pytest.raises(ClientError, match=rf"InvalidParameterCombination.*{reason}"):
            api.modify_db_cluster(
                DBClusterIdentifier=name,
                EngineVersion=version,
                AllowMajorVersionUpgrade=allowed,
                ApplyImmediately=True,
            )
    wanted = {"DBClusterIdentifier": name, "EngineVersion": of(MAJOR, stack)}
    api.modify_db_cluster(**wanted, AllowMajorVersionUpgrade=True)
    assert described(api, cluster)["PendingModifiedValues"] == {"EngineVersion": of(MAJOR, stack)}
    assert stands_at(api, cluster, stack.dialect.version)
    api.modify_db_cluster(**wanted, AllowMajorVersionUpgrade=True, ApplyImmediately=True)
    assert eventually(lambda: stands_at(api, cluster, of(MAJOR, stack)), PATIENCE_SECONDS)
    assert "PendingModifiedValues" not in described(api, cluster)
    assert described(api, cluster)["DBClusterParameterGroup"] == f"default.{of(NEW_FAMILY, stack)}"
    for instance in described_members(api, cluster):
        (group,) = instance["DBParameterGroups"]
        assert group["DBParameterGroupName"] == f"default.{of(NEW_FAMILY, stack)}"
    assert ask(stack, cluster, "SELECT n FROM kept") == 42


@postgresql_only
def test_an_upgrade_by_the_api_that_fails_leaves_the_former_version(stack, cluster, api, told):
    api.modify_db_cluster(DBClusterIdentifier=cluster.physical_id, EngineVersion="16.13")
    managed(stack, cluster).cluster.writer.server.execute("CREATE TABLE bad (name regproc)", database="shop")
    api.modify_db_cluster(
        DBClusterIdentifier=cluster.physical_id,
        EngineVersion="18.4",
        AllowMajorVersionUpgrade=True,
        ApplyImmediately=True,
    )
    assert eventually(lambda: stands_at(api, cluster, "16.13"), PATIENCE_SECONDS)
    assert rds_events.NOT_UPGRADABLE in told
    assert ask(stack, cluster, "SELECT current_setting('server_version_num')::int / 10000") == 16


@postgresql_only
def test_one_change_at_a_time(stack, cluster, api, monkeypatch):
    may_end = threading.Event()
    monkeypatch.setattr(managed(stack, cluster), "patch", may_end.wait)
    wanted = {"DBClusterIdentifier": cluster.physical_id, "ApplyImmediately": True}
    try:
        api.modify_db_cluster(**wanted, EngineVersion="16.14")
        assert described(api, cluster)["Status"] == "upgrading"
        assert {one["DBInstanceStatus"] for one in described_members(api, cluster)} == {"upgrading"}
        with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
            api.modify_db_cluster(**wanted, EngineVersion="18.4", AllowMajorVersionUpgrade=True)
    finally:
        may_end.set()
    assert eventually(lambda: stands_at(api, cluster, "16.14"), PATIENCE_SECONDS)


@postgresql_only
def test_rds_changes_an_instance_by_its_api(stack, cluster, api):
    reader = managed(stack, cluster).cluster.readers[0].name
    former = processes(stack, cluster)
    wanted = {"DBInstanceIdentifier": reader, "DBInstanceClass": "db.r7g.large"}

    def found():
        return api.describe_db_instances(DBInstanceIdentifier=reader)["DBInstances"][0]

    api.modify_db_instance(**wanted)
    assert found()["PendingModifiedValues"] == {"DBInstanceClass": "db.r7g.large"}
    assert found()["DBInstanceClass"] == "db.serverless"
    assert processes(stack, cluster) == former
    api.modify_db_instance(**wanted, ApplyImmediately=True)

    def is_of_the_new_class():
        now = found()
        return (now["DBInstanceStatus"], now["DBInstanceClass"]) == ("available", "db.r7g.large")

    assert eventually(is_of_the_new_class, PATIENCE_SECONDS)
    assert not found().get("PendingModifiedValues")
    now = processes(stack, cluster)
    assert [name for name in now if now[name] != former[name]] == [reader]
    with pytest.raises(
        ClientError, match=r"is a member of a cluster\. Modify engine version for the DB Cluster"
    ):
        api.modify_db_instance(DBInstanceIdentifier=reader, EngineVersion="18.4")


@postgresql_only
def test_a_parameter_group_that_the_api_names_is_in_force(stack, cluster, api):
    create_group(stack, "DBClusterParameterGroup", "of-cluster", "aurora-postgresql16", work_mem="8192")
    create_group(stack, "DBParameterGroup", "of-instance", "aurora-postgresql16", work_mem="16384")
    api.modify_db_cluster(DBClusterIdentifier=cluster.physical_id, DBClusterParameterGroupName="of-cluster")
    assert ask(stack, cluster, "SHOW work_mem") == "8MB"
    reader = managed(stack, cluster).cluster.readers[0].name
    api.modify_db_instance(DBInstanceIdentifier=reader, DBParameterGroupName="of-instance")
    assert ask(stack, cluster, "SHOW work_mem") == "8MB"
    assert ask(stack, cluster, "SHOW work_mem", reader=True) == "16MB"
    with pytest.raises(ClientError, match="cannot be used for this instance"):
        api.modify_db_cluster(
            DBClusterIdentifier=cluster.physical_id, DBClusterParameterGroupName="default.aurora-mysql8.0"
        )


@pytest.fixture
def restore(stack, api):
    """Restore a snapshot as a cluster with a writer, by the API; all of it goes after the test."""
    names = []

    def restore(snapshot):
        name = f"copy-{len(names)}"
        api.restore_db_cluster_from_snapshot(
            DBClusterIdentifier=name, SnapshotIdentifier=snapshot, Engine=str(stack.dialect.engine)
        )
        names.append(name)
        api.create_db_instance(
            DBInstanceIdentifier=f"{name}-writer",
            DBClusterIdentifier=name,
            DBInstanceClass="db.serverless",
            Engine=str(stack.dialect.engine),
        )
        return name

    yield restore
    for name in names:
        api.delete_db_instance(DBInstanceIdentifier=f"{name}-writer")
        api.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
    api.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="before")


@postgresql_only
def test_an_upgrade_can_be_rehearsed_on_a_copy_and_a_snapshot_leads_back(stack, cluster, api, restore):
    def of_copy(name, statement):
        (found,) = api.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        return query(connect(stack, found["Endpoint"], found["Port"]), statement)

    major = "SELECT current_setting('server_version_num')::int / 10000"
    put_table(stack, cluster, "kept", 42)
    api.create_db_cluster_snapshot(
        DBClusterIdentifier=cluster.physical_id, DBClusterSnapshotIdentifier="before"
    )
    rehearsal = restore("before")
    api.modify_db_cluster(
        DBClusterIdentifier=rehearsal,
        EngineVersion="18.4",
        AllowMajorVersionUpgrade=True,
        DBInstanceParameterGroupName="default.aurora-postgresql18",
        ApplyImmediately=True,
    )

    def is_upgraded():
        (found,) = api.describe_db_clusters(DBClusterIdentifier=rehearsal)["DBClusters"]
        return (found["Status"], found["EngineVersion"]) == ("available", "18.4")

    assert eventually(is_upgraded, PATIENCE_SECONDS)
    assert (of_copy(rehearsal, major), of_copy(rehearsal, "SELECT n FROM kept")) == (18, 42)
    assert ask(stack, cluster, major) == 16

    stack.update("Cluster", EngineVersion="18.4")
    former = restore("before")
    assert (of_copy(former, major), of_copy(former, "SELECT n FROM kept")) == (16, 42)
    assert ask(stack, cluster, major) == 18


def test_the_versions_of_a_family_are_told(stack, api):
    found = api.describe_db_engine_versions(DBParameterGroupFamily=stack.dialect.family)["DBEngineVersions"]
    assert stack.dialect.version in [one["EngineVersion"] for one in found]
    assert {one["Engine"] for one in found} == {str(stack.dialect.engine)}
    assert (
        api.describe_db_engine_versions(Engine="aurora-mysql", EngineVersion="9.9")["DBEngineVersions"] == []
    )
    everything = api.describe_db_engine_versions()["DBEngineVersions"]
    assert {one["Engine"] for one in everything} == set(ENGINES)


@pytest.mark.parametrize(
    ("engine", "version", "wanted"),
    [
        (POSTGRESQL, "16.13", ["16.14", "17.9", "17.10", "18.3", "18.4", "18.6"]),
        (POSTGRESQL, "16.9", ["16.10", "16.11", "16.13", "16.14", "17.5", "17.6"]),
        (POSTGRESQL, "18.6", []),
        (MYSQL, "8.0.mysql_aurora.3.12.0", ["8.0.mysql_aurora.3.13.0", "8.4.mysql_aurora.8.4.7"]),
        (MYSQL, "8.4.mysql_aurora.8.4.8", []),
    ],
)
def test_targets_are_newer_and_lose_no_fix(engine, version, wanted):
    assert [one.version for one in upgrades.targets(engine, version)][: len(wanted)] == wanted
    if not wanted:
        assert not upgrades.targets(engine, version)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=str)
def test_what_is_listed_as_a_target_is_accepted_and_nothing_else_is(engine):
    listed = upgrades.VERSIONS[engine.name]
    for version in listed:
        found = {one.version: one.is_major for one in upgrades.targets(engine, version)}
        for wanted in listed:
            if wanted in found:
                upgrades.refuse(engine, version, wanted, allow_major=found[wanted])
            else:
                with pytest.raises(UpgradeRefused):
                    upgrades.refuse(engine, version, wanted, allow_major=True)
            if found.get(wanted):
                with pytest.raises(UpgradeRefused, match="AllowMajorVersionUpgrade flag must be present"):
                    upgrades.refuse(engine, version, wanted, allow_major=False)
