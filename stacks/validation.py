"""Settings that contradict each other, or what AWS allows, are refused before anything is synthesized.

A problem names the value, the limit and the next step; all problems of a deployment come at once.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from stacks.capacity import class_gib
from stacks.engines import ENGINES, Engine
from stacks.regions import S3_PREFIX_LISTS, WITHOUT_BACKTRACK
from stacks.settings import (
    DEPLOYMENTS,
    POSTGRESQL,
    STACKS,
    DatabaseSettings,
    Deployment,
    FunctionSettings,
    Instances,
    NetworkSettings,
    ObservabilitySettings,
    ServerlessV2,
    kind_on,
    on_engine,
    on_local_cloud,
)

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653)
"""The retentions that CloudWatch Logs offers and this project uses."""
MONITORING_INTERVALS_SECONDS = (0, 1, 5, 10, 15, 30, 60)
SHORTEST_TRAIL_DAYS = 365
LONGEST_ROTATION_DAYS = 90
LONGEST_BACKUP_DAYS = 36_500  # AWS Backup's
MOST_RESERVED_CONCURRENCY = 100
CONTEXT = ("deployment", "engine", "name", "owner", "expires", "target", "seed_file", "seed_lines")
"""What `cdk -c` may choose by; choose() takes them by these names."""
MOST_HOURS_OF_AN_ALARM = 7 * 24  # PutMetricAlarm: periods of an hour or longer make up seven days at most
SCHEMA = Path(__file__).resolve().parent.parent / "schema"
MOST_SEED_LINES = 1_100_000  # what a function loads in time also on a small cluster
_DIGITS = r"[0-9]{1,9}"
_POLICY_NAME = r"[A-Za-z0-9+=,.@_-]{1,128}"
SEED_FILE_SUFFIXES = (".csv", ".csv.gz")


class SettingsError(Exception):
    """A deployment that cannot be; the message lists every problem, one to a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["This deployment cannot be synthesized:", *(f"- {p}" for p in problems)]))
        self.problems = problems


def choose(
    deployment: object = None,
    name: object = None,
    seed_file: object = None,
    seed_lines: object = None,
    engine: object = None,
    *,
    owner: object = None,
    expires: object = None,
    target: object = None,
) -> Deployment:
    """Return the deployment that the context asks for; values are what `cdk -c` or cdk.json may carry.

    Raises SettingsError with all problems.
    """
    deployment = "dev" if deployment is None else deployment
    problems = [
        *_of_choice(deployment, name, seed_file),
        *_of_seed_choice(seed_file, seed_lines),
        *_of_engine_choice(deployment, engine),
        *_of_tag_choice(owner, expires),
        *_of_target(target),
    ]
    if isinstance(deployment, str) and deployment in DEPLOYMENTS:
        chosen = DEPLOYMENTS[deployment]
        if isinstance(engine, str) and engine in ENGINES:
            chosen = _with_engine(deployment, engine)
        if deployment == "ephemeral" and isinstance(name, str) and name:
            chosen = replace(chosen, name=name)
        if isinstance(owner, str) and owner:
            chosen = replace(chosen, owner=owner)
        if isinstance(expires, str) and expires:
            chosen = replace(chosen, expires_at=expires)
        if target == "local":
            chosen = on_local_cloud(chosen)
        if isinstance(seed_file, str) and seed_file:
            chosen = replace(chosen, seed_file=Path(seed_file).absolute())
        if isinstance(seed_lines, str | int) and re.fullmatch(_DIGITS, str(seed_lines)):
            chosen = replace(chosen, seed_lines=int(seed_lines))
        problems += validate(chosen)
        problems += migration_problems(SCHEMA / chosen.database.engine)
    if problems:
        raise SettingsError(problems)
    return chosen


def validate(deployment: Deployment) -> list[str]:
    """Return every problem of a deployment; an empty list when it can be deployed."""
    return [
        *_of_name(deployment),
        *_of_region(deployment),
        *_of_network(deployment.network),
        *_of_neighbours(deployment),
        *_of_database(deployment.database),
        *_of_backtrack(deployment),
        *_of_functions(deployment.functions),
        *_of_observability(deployment.observability),
        *_of_owner(deployment.owner),
        *_of_permissions_boundary(deployment.permissions_boundary),
        *_of_protection(deployment),
        *_of_trail(deployment),
        *_of_invocation_trail(deployment),
        *_of_backup_plan(deployment),
        *_of_seed_file(deployment.seed_file),
    ]


def migration_problems(directory: Path) -> list[str]:
    """Return a problem for each version that two migrations claim; the migrator would refuse them later."""
    claimed: dict[int, list[str]] = {}
    for path in sorted(directory.glob("V*__*.sql")):
        version = path.name[1:].partition("__")[0]
        if version.isdecimal():
            claimed.setdefault(int(version), []).append(path.name)
    return [
        f"version {version} is claimed by {' and '.join(names)} in {directory.name}: one each; renumber one"
        for version, names in claimed.items()
        if len(names) > 1
    ]


def _with_engine(kind: str, engine: str) -> Deployment:
    chosen = DEPLOYMENTS[kind_on(kind, engine)]
    return chosen if chosen.database.engine == engine else on_engine(chosen, engine)


def _of_choice(deployment: object, name: object, seed_file: object) -> Iterator[str]:
    for key, value in {"deployment": deployment, "name": name, "seed_file": seed_file}.items():
        if value is not None and not isinstance(value, str):
            yield f"{key}={value!r}: text is expected; pass it as -c {key}=TEXT"
    if isinstance(deployment, str) and deployment not in DEPLOYMENTS:
        yield f"deployment={deployment!r} is not known; choose one of {', '.join(DEPLOYMENTS)}"
    if deployment == "ephemeral":
        yield from _of_ephemeral_name(name)
    elif name:
        yield f"name={name} with deployment={deployment}: only ephemeral deployments are named; drop the name"


def _of_seed_choice(seed_file: object, seed_lines: object) -> Iterator[str]:
    if seed_lines is None:
        return
    if seed_file:
        yield f"seed_file={seed_file} and seed_lines={seed_lines}: a shop begins with one of them; drop one"
    if not re.fullmatch(_DIGITS, str(seed_lines)) or int(str(seed_lines)) > MOST_SEED_LINES:
        yield (
            f"seed_lines={seed_lines!r}: expected 0 to {MOST_SEED_LINES}; for more, deploy with 0 and load"
            " the rest with python -m seed_data --generate"
        )


def _of_engine_choice(deployment: object, engine: object) -> Iterator[str]:
    if engine is None:
        return
    if not isinstance(engine, str) or engine not in ENGINES:
        yield f"engine={engine!r} is not known; choose one of {', '.join(ENGINES)}"
    elif isinstance(deployment, str) and deployment in DEPLOYMENTS:
        own = DEPLOYMENTS[deployment].database.engine
        if own != engine and deployment.endswith(f"-{own}"):
            yield (
                f"engine={engine} with deployment={deployment}: that one is for {own}; "
                f"choose deployment={deployment.removesuffix(f'-{own}')}"
            )


def _of_tag_choice(owner: object, expires: object) -> Iterator[str]:
    if owner is not None and not (isinstance(owner, str) and re.fullmatch(_TAG_VALUE, owner)):
        yield (
            f"owner={owner!r}: AWS takes up to 256 letters, digits, spaces and _ . : / = + - @ in a tag; "
            "name a person or a team, for example -c owner=team-checkout"
        )
    if expires is not None and not (isinstance(expires, str) and _is_moment(expires)):
        yield (
            f"expires={expires!r} is not a moment in UTC; write it as -c expires=2026-12-24T18:00:00Z, or "
            "have make say it: EXPIRES_HOURS=72"
        )


_TAG_VALUE = r"[\w.:/=+@-][\w .:/=+@-]{0,255}"


def _is_moment(text: str) -> bool:
    """Only the form: whether it has passed is for whoever reads a clock, and a synth reads none."""
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _of_target(target: object) -> Iterator[str]:
    if target not in (None, "aws", "local"):
        yield f"target={target!r} is not known; choose aws, or local for the local cloud"


def _of_ephemeral_name(name: object) -> Iterator[str]:
    if not name:
        yield "deployment=ephemeral needs a name, to keep its resources apart; add for example -c name=pr-42"
    elif isinstance(name, str) and name in DEPLOYMENTS:
        yield f"name={name} belongs to the deployment of that name; choose another, for example -c name=pr-42"


def _of_name(deployment: Deployment) -> Iterator[str]:
    name = deployment.name
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        yield (
            f"name={name!r}: RDS takes lower-case letters, digits and single hyphens between them, "
            "beginning with a letter; rename it, for example to pr-42"
        )
    for part in STACKS:
        if part in name.split("-"):
            yield (
                f"name={name}: -{part} is how a stack's name ends, so that names of two deployments could "
                "meet; use another word"
            )
    for what, derived, longest in _derived_names(deployment):
        if len(derived) > longest:
            excess = len(derived) - longest
            yield f"name={name}: {what} {derived} is longer than {longest}; shorten the name by {excess}"


def _derived_names(deployment: Deployment) -> Iterator[tuple[str, str, int]]:
    """Yield what is named after the deployment, its name, and AWS's limit."""
    yield "the stack", deployment.stack_name("database"), 128
    yield "the cluster", deployment.cluster_name, 63
    yield "the proxy", deployment.proxy_name, 63
    yield "the proxy's endpoint", deployment.read_only_endpoint_name, 63
    yield "the key's alias", deployment.key_alias, 256
    yield "the secret", deployment.secret_name, 512


def _of_region(deployment: Deployment) -> Iterator[str]:
    region, zones = deployment.region, deployment.network.availability_zones
    if region not in S3_PREFIX_LISTS:
        yield (
            f"region={region}: its S3 prefix list is not known; choose one of {', '.join(S3_PREFIX_LISTS)} "
            "or add it to stacks/regions.py"
        )
    for zone in zones:
        if not re.fullmatch(re.escape(region) + "[a-z]", zone):
            yield f"availability zone {zone} is not one of region {region}; name zones such as {region}a"


def _of_network(network: NetworkSettings) -> Iterator[str]:
    zones = network.availability_zones
    if len(set(zones)) != len(zones):
        yield f"availability_zones={zones} names a zone twice; name three different ones"
    if not 3 <= len(set(zones)) <= 6:
        yield (
            f"availability_zones={zones}: {len(set(zones))} zones; a cluster that survives the loss of one "
            "needs three (six at most); name them"
        )
    yield from _of_cidr(network.cidr)
    yield from _of_log_retention("flow_log_retention_days", network.flow_log_retention_days)


def _of_cidr(cidr: str) -> Iterator[str]:
    try:
        addresses = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        yield f"cidr={cidr!r}: {error}; write an IPv4 network such as 10.20.0.0/16"
        return
    if not 16 <= addresses.prefixlen <= 22:
        yield (
            f"cidr={cidr}: /{addresses.prefixlen} is outside /16 to /22: AWS has no larger networks, and the "
            "subnets of a smaller one have no room for instances, proxy and functions; choose for example /16"
        )
    if not any(addresses.subnet_of(private) for private in _PRIVATE_NETWORKS):
        yield f"cidr={cidr} is not private (RFC 1918); choose a part of 10.0.0.0/8"


_PRIVATE_NETWORKS = [ipaddress.IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def _of_neighbours(deployment: Deployment) -> Iterator[str]:
    """Yield overlaps with the networks of other deployments: such networks could never be connected."""
    kind = deployment.name if deployment.name in DEPLOYMENTS else "ephemeral"  # those share one network
    for other_kind, other in DEPLOYMENTS.items():
        if other_kind != kind and _overlap(deployment.network.cidr, other.network.cidr):
            yield (
                f"cidr={deployment.network.cidr} overlaps {other.network.cidr} of deployment {other_kind}, "
                "so the two could never be peered; choose a network of its own"
            )


def _overlap(one: str, other: str) -> bool:
    try:
        return ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other))
    except ValueError:
        return False  # a malformed network has its own problem


def _of_database(database: DatabaseSettings) -> Iterator[str]:
    engine = ENGINES.get(database.engine)
    if engine:
        yield from _of_engine(database, engine)
    else:
        yield f"engine={database.engine} is not known; choose one of {', '.join(ENGINES)}"
    well_known = [engine.well_known_port for engine in ENGINES.values()]
    example = (engine or POSTGRESQL).default_port
    if not 1150 <= database.port <= 65535:
        yield f"port={database.port} is outside 1150 to 65535, Aurora's range; choose for example {example}"
    if database.port in well_known:
        yield f"port={database.port} is what scanners try first (Security Hub RDS.23); choose say {example}"
    if isinstance(database.capacity, ServerlessV2):
        yield from _of_serverless(database.capacity, proxy=database.proxy)
    else:
        yield from _of_instances(database.capacity)
    yield from _of_reader_capacity(database)
    if not 0 <= database.reader_count <= 15:
        yield f"reader_count={database.reader_count} is outside 0 to 15, Aurora's limit; choose one or two"
    if database.proxy and database.reader_count == 0:
        yield (
            "reader_count=0 with proxy=True: the proxy's read-only endpoint has no reader to lead to; "
            "set reader_count>=1 or proxy=False"
        )
    if not 1 <= database.backup_retention_days <= 35:
        yield f"backup_retention_days={database.backup_retention_days} is outside 1 to 35; choose such as 7"
    if not 1 <= database.rotation_days <= 1000:
        yield f"rotation_days={database.rotation_days} is outside 1 to 1000; choose for example 30"
    yield from _of_log_retention("log_retention_days of the database", database.log_retention_days)
    yield from _of_monitoring(database)
    yield from _of_proxy(database)
    if engine:
        yield from _of_parameters(database, engine)
        yield from _of_activity_stream(database, engine)


def _of_engine(database: DatabaseSettings, engine: Engine) -> Iterator[str]:
    if database.engine_version not in engine.major_versions:
        yield (
            f"engine_version={database.engine_version} of {engine.name} is not known; choose one of "
            f"{', '.join(engine.major_versions)} or add it to stacks/engines.py"
        )
    for what, value, longest in (
        ("master_user", database.master_user, engine.longest_master_user),
        ("database_name", database.database_name, engine.longest_database_name),
    ):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", value) or len(value) > longest:
            yield (
                f"{what}={value!r}: up to {longest} lower-case letters, digits and underscores, beginning "
                "with a letter; rename it"
            )
    user = database.master_user
    if user in engine.reserved_users or user.startswith(engine.reserved_user_prefixes):
        yield (
            f"master_user={database.master_user} is reserved, or the first that an attacker tries "
            "(Security Hub RDS.24); choose a name such as shop_admin"
        )
    if database.database_name in engine.reserved_databases:
        yield f"database_name={database.database_name} is {engine.name}'s own; choose a name such as shop"


def _of_backtrack(deployment: Deployment) -> Iterator[str]:
    hours, engine = deployment.database.backtrack_hours, ENGINES.get(deployment.database.engine)
    if engine is None or hours == 0:
        return
    if not engine.longest_backtrack_hours:
        rewound = [other.name for other in ENGINES.values() if other.longest_backtrack_hours]
        yield (
            f"backtrack_hours={hours} with engine={engine.name}: Aurora rewinds clusters of "
            f"{', '.join(rewound)} only; set backtrack_hours=0 (backups restore to any second on both)"
        )
    elif not 0 <= hours <= engine.longest_backtrack_hours:
        yield (
            f"backtrack_hours={hours} is outside 0 to {engine.longest_backtrack_hours}, Aurora's limit; "
            "choose for example 24"
        )
    if deployment.region in WITHOUT_BACKTRACK:
        yield (
            f"backtrack_hours={hours} in region={deployment.region}: Aurora rewinds no cluster there; "
            "set backtrack_hours=0"
        )


def _of_serverless(capacity: ServerlessV2, *, proxy: bool) -> Iterator[str]:
    smallest, largest = capacity.min_capacity_acu, capacity.max_capacity_acu
    for name, value, lowest in (("min_capacity_acu", smallest, 0), ("max_capacity_acu", largest, 1)):
        if not lowest <= value <= 256 or value % 0.5 != 0:
            yield f"{name}={value:g} is not one of {lowest} to 256 in steps of 0.5; round it"
    if smallest > largest:
        yield f"min_capacity_acu={smallest:g} exceeds max_capacity_acu={largest:g}; swap or raise them"
    if smallest == 0 and proxy:
        yield (
            "min_capacity_acu=0 with proxy=True: RDS Proxy keeps the cluster awake; "
            "set proxy=False or min_capacity_acu>=0.5"
        )


def _of_reader_capacity(database: DatabaseSettings) -> Iterator[str]:
    own = database.reader_capacity
    if own is None:
        return
    if not isinstance(own, Instances):
        yield (
            f"reader_capacity={own!r} is not of a fixed class: capacity units are the whole cluster's; set "
            "reader_capacity=Instances(...) or None"
        )
        return
    yield from (f"reader_capacity: {problem}" for problem in _of_instances(own))
    if database.reader_count == 0:
        yield (
            f"reader_capacity={own.instance_class} with reader_count=0: no reader has it; "
            "set reader_count>=1 or reader_capacity=None"
        )


def _of_instances(capacity: Instances) -> Iterator[str]:
    if not re.fullmatch(r"[a-z]+[0-9]+[a-z]*\.[0-9a-z]+", capacity.instance_class):
        yield (
            f"instance_class={capacity.instance_class!r} is not a family and a size such as r8g.large "
            '(without "db."); correct it'
        )
    elif class_gib(capacity) is None:
        yield (
            f"instance_class={capacity.instance_class}: its memory is not known, and so are no thresholds of "
            "alarms; choose one such as r8g.large, or add it to stacks/capacity.py"
        )


def _of_monitoring(database: DatabaseSettings) -> Iterator[str]:
    if database.monitoring_interval_seconds not in MONITORING_INTERVALS_SECONDS:
        allowed = ", ".join(map(str, MONITORING_INTERVALS_SECONDS))
        yield (
            f"monitoring_interval_seconds={database.monitoring_interval_seconds} is not one that Enhanced "
            f"Monitoring has; choose one of {allowed}"
        )
    if database.insights not in ("standard", "advanced"):
        yield f"insights={database.insights!r} is not known; choose standard or advanced"


def _of_proxy(database: DatabaseSettings) -> Iterator[str]:
    for name, value, lowest, highest, example in (
        ("idle_client_timeout_seconds", database.idle_client_timeout_seconds, 1, 28_800, 1800),
        ("borrow_timeout_seconds", database.borrow_timeout_seconds, 0, 300, 30),
    ):
        if not lowest <= value <= highest:
            yield f"{name}={value} is outside RDS Proxy's {lowest} to {highest}; choose for example {example}"


def _of_parameters(database: DatabaseSettings, engine: Engine) -> Iterator[str]:
    """Yield parameters that are none, and those that would let somebody in without TLS."""
    for name, value in database.parameters.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?", name) or not isinstance(value, str):
            yield f"parameters: {name!r}: {value!r} is no parameter's name and value as text; correct it"
    yield from _of_values(database, engine.safe_values, "anybody could be overheard")


def _of_values(
    database: DatabaseSettings, allowed: Mapping[str, frozenset[str]], otherwise: str
) -> Iterator[str]:
    for name, values in allowed.items():
        value = database.parameters.get(name)
        if value is not None and value not in values:
            choice = " or ".join(repr(one) for one in sorted(values))
            yield f"parameters: {name}={value!r}: {otherwise}; leave it out, or set {choice}"


def _of_activity_stream(database: DatabaseSettings, engine: Engine) -> Iterator[str]:
    mode = database.activity_stream
    if mode == "off":
        return
    if mode not in ("async", "sync"):
        yield f"activity_stream={mode!r} is not known; choose off, async or sync"
    elif mode not in engine.activity_stream_modes:
        yield (
            f"activity_stream={mode} with engine={engine.name}: Aurora sends none of it from subnets without "
            "a way to KMS; set activity_stream='off' and read the audit log"
        )
    if isinstance(database.capacity, ServerlessV2):
        yield (
            f"activity_stream={mode} with ServerlessV2: Aurora has activity streams of fixed classes only; "
            "set capacity=Instances(...) or activity_stream='off'"
        )


def _of_observability(observability: ObservabilitySettings) -> Iterator[str]:
    email, hours = observability.alarm_email, observability.longest_without_orders_hours
    if email is not None and not re.fullmatch(
        r"[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}", email
    ):
        yield f"alarm_email={email!r} is no address that a message reaches; give one such as ops@example.com"
    if hours is not None and not 1 <= hours <= MOST_HOURS_OF_AN_ALARM:
        yield (
            f"longest_without_orders_hours={hours} is outside 1 to {MOST_HOURS_OF_AN_ALARM}: CloudWatch's "
            "alarms look back seven days at most; choose for example 48, or None for no alarm"
        )
    if not 1 <= observability.storage_growth_gib_a_day <= 10_240:
        yield (
            f"storage_growth_gib_a_day={observability.storage_growth_gib_a_day} is outside 1 to 10240: "
            "nothing, or everything, would be an alarm; choose for example 10"
        )


def _of_functions(functions: FunctionSettings) -> Iterator[str]:
    if not 1 <= functions.timeout_minutes <= 14:
        yield (
            f"timeout_minutes={functions.timeout_minutes} is outside 1 to 14: the custom-resource framework "
            "around a function ends after 15 minutes, and has to answer CloudFormation; choose 14 or less"
        )
    if not 128 <= functions.memory_mib <= 10240:
        yield f"memory_mib={functions.memory_mib} is outside Lambda's 128 to 10240; choose for example 512"
    reserved = functions.reserved_concurrency
    if reserved is not None and not 1 <= reserved <= MOST_RESERVED_CONCURRENCY:
        yield (
            f"reserved_concurrency={reserved} is outside 1 to {MOST_RESERVED_CONCURRENCY}: each function has "
            "as many, and Lambda keeps 100 of an account's 1000 for all others; choose for example 2, or None"
        )
    for name, value, allowed in (
        ("platform", functions.platform, ("lambda", "host")),
        ("certificate_authorities", functions.certificate_authorities, ("packaged", "system")),
    ):
        if value not in allowed:
            yield f"{name}={value!r} is not known; choose {' or '.join(allowed)}"
    yield from _of_log_retention("log_retention_days of the functions", functions.log_retention_days)


def _of_log_retention(name: str, days: int) -> Iterator[str]:
    if days not in LOG_RETENTION_DAYS:
        allowed = ", ".join(map(str, LOG_RETENTION_DAYS))
        yield f"{name}={days} is not a retention that CloudWatch Logs has; choose one of {allowed}"


def _of_protection(deployment: Deployment) -> Iterator[str]:
    """Yield what would let data be lost that are to be kept."""
    database = deployment.database
    if deployment.name == "production" and not deployment.retain_data:
        yield "retain_data=False in production: destroying it would destroy its data; set retain_data=True"
    if not deployment.retain_data:
        return
    if not database.deletion_protection:
        yield "deletion_protection=False with retain_data=True: a single call could delete it; set it True"
    if not deployment.termination_protection:
        yield (
            "termination_protection=False with retain_data=True: one command could delete the stacks; "
            "set it True"
        )
    if database.backup_retention_days < 7:
        yield (
            f"backup_retention_days={database.backup_retention_days} with retain_data=True: fewer than "
            "seven days (Security Hub RDS.50); set 7 or more"
        )
    if database.reader_count == 0:
        yield "reader_count=0 with retain_data=True: losing a zone would stop the database; set 1 or more"

    if not database.auto_minor_version_upgrade:
        yield (
            "auto_minor_version_upgrade=False with retain_data=True: known holes would stay open (Security "
            "Hub RDS.13); set it True"
        )
    if database.rotation_days > LONGEST_ROTATION_DAYS:
        yield (
            f"rotation_days={database.rotation_days} with retain_data=True: more than "
            f"{LONGEST_ROTATION_DAYS} days with one password (Security Hub SecretsManager.4); set 90 or less"
        )


def _of_trail(deployment: Deployment) -> Iterator[str]:
    """Yield what would leave no trace of what happened to retained data, or too much of a trace."""
    database = deployment.database
    if not deployment.retain_data:
        return
    for name, days in (
        ("log_retention_days of the database", database.log_retention_days),
        ("log_retention_days of the functions", deployment.functions.log_retention_days),
        ("flow_log_retention_days", deployment.network.flow_log_retention_days),
    ):
        if days < SHORTEST_TRAIL_DAYS:
            yield (
                f"{name}={days} with retain_data=True: less than a year (Security Hub CloudWatch.16); "
                f"set {SHORTEST_TRAIL_DAYS} or more"
            )
    if database.monitoring_interval_seconds == 0:
        yield (
            "monitoring_interval_seconds=0 with retain_data=True: nobody would see what the instances do "
            "(Security Hub RDS.6); set for example 60"
        )
    if database.insights != "advanced":
        yield (
            f"insights={database.insights!r} with retain_data=True: what sessions waited for would be "
            "forgotten after a week; set insights='advanced'"
        )
    if database.proxy_debug_logging:
        yield (
            "proxy_debug_logging=True with retain_data=True: the customers' values would stand in the "
            "proxy's log; set it False"
        )
    engine = ENGINES.get(database.engine)
    if engine and database.engine_version in engine.major_versions:
        yield from _of_values(
            database,
            engine.audited_values(database.engine_version),
            "with retain_data=True the trail would have a hole or a secret",
        )


def _of_invocation_trail(deployment: Deployment) -> Iterator[str]:
    days = deployment.invocation_trail_days
    if days is None:
        return
    if not SHORTEST_TRAIL_DAYS <= days <= LONGEST_BACKUP_DAYS:
        yield (
            f"invocation_trail_days={days} is outside {SHORTEST_TRAIL_DAYS} (a year, as for logs) to "
            f"{LONGEST_BACKUP_DAYS}; choose for example 400, or None"
        )
    if not deployment.retain_data:
        yield (
            f"invocation_trail_days={days} with retain_data=False: its bucket would stay, where nothing "
            "else does; set retain_data=True or invocation_trail_days=None"
        )


def _of_backup_plan(deployment: Deployment) -> Iterator[str]:
    plan, database = deployment.database.backup_plan, deployment.database
    if plan is None:
        if deployment.retain_data:
            yield (
                "backup_plan=None with retain_data=True: backups would go with the cluster (Security Hub "
                "RDS.26); set BackupSettings()"
            )
        return
    if not deployment.retain_data:
        yield (
            "backup_plan with retain_data=False: a vault that has recovery points cannot be deleted, so that "
            "the stack could not go; set retain_data=True or backup_plan=None"
        )
    for name, days in (
        ("retention_days", plan.retention_days),
        ("copy_retention_days", plan.copy_retention_days),
    ):
        if not database.backup_retention_days < days <= LONGEST_BACKUP_DAYS:
            yield (
                f"{name}={days} of backup_plan is outside {database.backup_retention_days + 1} (Aurora's own "
                f"last {database.backup_retention_days}) to {LONGEST_BACKUP_DAYS}; choose for example 90"
            )
    if plan.copy_to_vault_arn is not None:
        yield from _of_copy(plan.copy_to_vault_arn, deployment.region)


def _of_copy(arn: str, region: str) -> Iterator[str]:
    found = re.fullmatch(_VAULT_ARN, arn)
    if not found:
        yield (
            f"copy_to_vault_arn={arn!r} is not the ARN of a vault, such as "
            "arn:aws:backup:eu-west-1:123456789012:backup-vault:shop-production; correct it"
        )
    elif found["region"] == region:
        yield (
            f"copy_to_vault_arn={arn} lies in region={region}, as the cluster does: whoever loses one loses "
            "both; name a vault of another region"
        )


_VAULT_ARN = r"arn:aws:backup:(?P<region>[a-z]{2}(-[a-z]+)+-[0-9]):[0-9]{12}:backup-vault:[a-zA-Z0-9_-]{2,50}"


def _of_owner(owner: str) -> Iterator[str]:
    if not re.fullmatch(_TAG_VALUE, owner):
        yield (
            f"owner={owner!r} is not a tag's value: 1 to 256 letters, digits, spaces and . : / = + - @ _; "
            "name a team or an address"
        )


def _of_permissions_boundary(name: str | None) -> Iterator[str]:
    if name is not None and not re.fullmatch(_POLICY_NAME, name):
        yield (
            f"permissions_boundary={name!r} is no name of a managed policy (1 to 128 letters, digits and "
            "+ = , . @ _ -): give the name alone, without its ARN, as `make deploy-roles` prints it"
        )


def _of_seed_file(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    if not path.name.endswith(SEED_FILE_SUFFIXES):
        yield f"seed_file={path}: the loader reads {' and '.join(SEED_FILE_SUFFIXES)}; convert or rename it"
    if not path.is_file():
        yield f"seed_file={path} is not a file that can be read; check the path"
    elif path.stat().st_size == 0:
        yield f"seed_file={path} is empty; leave seed_file out to load the packaged sample"
