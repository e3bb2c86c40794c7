"""Problems of a database's settings: what Aurora, its engine or RDS Proxy would not take."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stacks.capacity import class_gib
from stacks.engines import ENGINES, Engine
from stacks.regions import WITHOUT_BACKTRACK
from stacks.settings import POSTGRESQL, DatabaseSettings, Deployment, Instances, ServerlessV2
from stacks.validation.logs import of_log_retention
from stacks.validation.parameters import of_parameters

MONITORING_INTERVALS_SECONDS = (0, 1, 5, 10, 15, 30, 60)


def of_database(database: DatabaseSettings) -> Iterator[str]:
    """Yield what Aurora, its engine or RDS Proxy would not take."""
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
    yield from of_log_retention("log_retention_days of the database", database.log_retention_days)
    yield from _of_monitoring(database)
    yield from _of_proxy(database)
    if engine:
        yield from of_parameters(database, engine)
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


def of_backtrack(deployment: Deployment) -> Iterator[str]:
    """Yield why this cluster could not be rewound."""
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
