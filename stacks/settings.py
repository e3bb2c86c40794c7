"""Every decision about a deployment, typed and frozen; validation/ says which of them contradict.

Nothing here imports aws_cdk, so that a wrong setting is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from stacks.engines import ENGINES

POSTGRESQL = ENGINES["postgresql"]
STACKS = ("network", "database", "schema", "observability")
"""What a deployment consists of, in the order of its creation; each part's stack is shop-NAME-PART."""


@dataclass(frozen=True)
class ServerlessV2:
    """Instances that scale by themselves between two capacities, in Aurora capacity units of about 2 GiB."""

    min_capacity_acu: float
    max_capacity_acu: float


@dataclass(frozen=True)
class Instances:
    """Instances of one fixed class."""

    instance_class: str
    """Without the leading "db.", as in "r8g.large"."""


@dataclass(frozen=True)
class NetworkSettings:
    """The addresses and the zones that a deployment lives in."""

    cidr: str
    availability_zones: tuple[str, ...]
    """Named, since a look-up would need an account and would make synth depend on it."""
    flow_log_retention_days: int = 30


@dataclass(frozen=True)
class BackupSettings:
    """A plan of AWS Backup beside Aurora's own backups: a recovery point a day, in a vault of its own.

    Nobody deletes what is in the vault; what is to be retained only, so that the vault may stay behind.
    """

    retention_days: int = 90
    copy_to_vault_arn: str | None = None
    """The ARN of a vault of another region, which has to be there, and to take copies from this account."""
    copy_retention_days: int = 90


@dataclass(frozen=True)
class DatabaseSettings:
    """The cluster, its credentials and its proxy."""

    capacity: ServerlessV2 | Instances
    engine: str = POSTGRESQL.name
    engine_version: str = POSTGRESQL.default_version
    port: int = POSTGRESQL.default_port
    database_name: str = "shop"
    master_user: str = "shop_admin"
    reader_count: int = 1
    reader_capacity: Instances | None = None
    """A class of the readers' own, where it is not the writer's: the first step to another class for all."""
    proxy: bool = True
    """An RDS Proxy with its default and its read-only endpoint; without it, functions use the cluster's."""
    idle_client_timeout_seconds: int = 1800
    """After which the proxy closes a client's connection that nobody uses."""
    borrow_timeout_seconds: int = 30
    """How long the proxy lets a client wait for a connection: about as long as a failover takes."""
    proxy_debug_logging: bool = False
    """Whether the proxy logs every statement, with its values; RDS turns that off again after a day."""
    auto_minor_version_upgrade: bool = True
    backup_retention_days: int = 7
    backtrack_hours: int = POSTGRESQL.default_backtrack_hours
    """How far the cluster can be rewound in place; 0: never, not even later. Aurora MySQL only."""
    rotation_days: int = 30
    deletion_protection: bool = False
    log_retention_days: int = 30
    monitoring_interval_seconds: int = 60
    """How often Enhanced Monitoring looks at each instance's operating system; 0: never."""
    insights: Literal["standard", "advanced"] = "standard"
    """Of Database Insights: a week of what sessions waited for, or 15 months of it with plans and locks."""
    backup_plan: BackupSettings | None = None
    activity_stream: Literal["off", "async", "sync"] = "off"
    """Every statement to a Kinesis stream that no administrator of the database can touch; sync: none is
    executed that is not recorded, and each waits for that."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Cluster parameters beside those of stacks/engines.py, or in their place."""

    @property
    def capacity_of_readers(self) -> ServerlessV2 | Instances:
        """What each reader has."""
        return self.reader_capacity or self.capacity


@dataclass(frozen=True)
class FunctionSettings:
    """The Lambda functions that apply the schema, seed the data, run the smoke test and rotate the secret."""

    timeout_minutes: int = 14
    memory_mib: int = 512
    reserved_concurrency: int | None = 2
    """How many of each function run at once, at most, and at any time whatever else the account runs.

    One at a time is what each of them is for, and a second one is a retry of CloudFormation's. None leaves
    them to the account's pool, where an account's quota is too small for reservations (a new one has 10).
    """
    log_retention_days: int = 30
    platform: Literal["lambda", "host"] = "lambda"
    """Whose binaries the asset carries: Lambda's on Graviton, or this machine's for the local cloud."""
    certificate_authorities: Literal["packaged", "system"] = "packaged"
    """Whom the functions trust: AWS's authorities as packaged with them, or the runtime's own trust store."""


@dataclass(frozen=True)
class ObservabilitySettings:
    """Who is told, and what is normal here; the other thresholds follow from sizes, in stacks/alarms.py."""

    alarm_email: str | None = None
    """Where alarms and events go, once that is confirmed; None: to the topic, for whoever subscribes."""
    longest_without_orders_hours: int | None = None
    """After which it is an alarm that no customer has ordered; None where nobody is expected to."""
    storage_growth_gib_a_day: int = 10
    """More than this in one day is an alarm."""


@dataclass(frozen=True)
class Deployment:
    """One complete environment. All of its names follow from its own, so that many share an account."""

    name: str
    region: str
    network: NetworkSettings
    database: DatabaseSettings
    functions: FunctionSettings = FunctionSettings()
    observability: ObservabilitySettings = ObservabilitySettings()
    owner: str = "shop-platform"
    """Whom to ask about it: a tag on everything."""
    expires_at: str | None = None
    """When it may be swept, as 2026-12-24T18:00:00Z: a tag on everything. None: never."""
    invocation_trail_days: int | None = None
    """For how long CloudTrail's record of each invocation of the functions is kept; None: there is none."""
    permissions_boundary: str | None = None
    """The name of a managed policy that every role has to carry, where the account asks for one."""
    retain_data: bool = False
    """On deletion the cluster leaves a final snapshot; key and secret stay, so that it can be restored."""
    termination_protection: bool = False
    seed_file: Path | None = None
    """Invoice lines to load, .csv or .csv.gz; without it, the small sample packaged with the loader."""
    seed_lines: int | None = None
    """How many invoice lines to generate instead; 0 begins with an empty shop."""

    def stack_name(self, part: str) -> str:
        """Return the name of one of the stacks."""
        return f"shop-{self.name}-{part}"

    @property
    def tags(self) -> Mapping[str, str]:
        """What everything of this deployment is marked with, for people, bills and policies."""
        expiry = {"expires-at": self.expires_at} if self.expires_at else {}
        return {"application": "shop", "environment": self.name, "owner": self.owner} | expiry

    @property
    def cluster_name(self) -> str:
        """The cluster's identifier.

        It is ours for two reasons: the log group that RDS will write to can exist before the cluster does,
        and a change that would silently replace the cluster fails instead, because the name is taken.
        """
        return f"shop-{self.name}"

    @property
    def proxy_name(self) -> str:
        """The proxy's name."""
        return f"shop-{self.name}"

    @property
    def log_group_names(self) -> tuple[str, ...]:
        """The names of all of its log groups, with a wildcard for what AWS adds to them."""
        stacks = (self.stack_name(part) for part in STACKS)
        return (
            *(f"{stack}-*" for stack in stacks),
            f"/aws/rds/cluster/{self.cluster_name}/*",
            f"/aws/rds/proxy/{self.proxy_name}",
        )

    @property
    def read_only_endpoint_name(self) -> str:
        """The name of the proxy's read-only endpoint."""
        return f"shop-{self.name}-read-only"

    @property
    def secret_name(self) -> str:
        """The name of the master user's secret."""
        return f"shop/{self.name}/database/admin"

    @property
    def trail_name(self) -> str:
        """The name of the trail of its functions' invocations."""
        return f"shop-{self.name}"

    @property
    def vault_name(self) -> str:
        """The name of the vault of its recovery points."""
        return f"shop-{self.name}"

    @property
    def vault_key_alias(self) -> str:
        """The alias of the key that encrypts the vault."""
        return f"alias/shop-{self.name}-backups"

    @property
    def key_alias(self) -> str:
        """The alias of the key that encrypts data, backups and secret."""
        return f"alias/shop-{self.name}"

    @property
    def log_key_alias(self) -> str:
        """The alias of the key that encrypts logs."""
        return f"alias/shop-{self.name}-logs"

    def parameter_name(self, path: str) -> str:
        """Return the name of an SSM parameter."""
        return f"/shop/{self.name}/{path}"


def on_engine(deployment: Deployment, name: str) -> Deployment:
    """Return the deployment with another engine, and with all that follows from it."""
    engine = ENGINES[name]
    database = replace(
        deployment.database,
        engine=engine.name,
        engine_version=engine.default_version,
        port=engine.default_port,
        backtrack_hours=engine.default_backtrack_hours,
    )
    return replace(deployment, database=database)


def on_local_cloud(deployment: Deployment) -> Deployment:
    """Return the deployment as it stands on the local cloud: this machine runs its functions."""
    functions = replace(deployment.functions, platform="host", certificate_authorities="system")
    return replace(deployment, functions=functions, permissions_boundary=None)  # it has no such policy


def _zones(region: str) -> tuple[str, ...]:
    return tuple(region + letter for letter in "abc")


def _local(name: str, *, cidr: str) -> Deployment:
    return Deployment(
        name=name,
        region="us-east-1",
        network=NetworkSettings(cidr=cidr, availability_zones=_zones("us-east-1"), flow_log_retention_days=1),
        database=DatabaseSettings(
            capacity=ServerlessV2(min_capacity_acu=0.5, max_capacity_acu=1),
            backup_retention_days=1,
            log_retention_days=1,
        ),
        functions=FunctionSettings(platform="host", certificate_authorities="system", log_retention_days=1),
    )


DEPLOYMENTS: Mapping[str, Deployment] = {
    "local": _local("local", cidr="10.10.0.0/16"),
    "local-mysql": on_engine(_local("local-mysql", cidr="10.11.0.0/16"), "mysql"),
    "dev": Deployment(
        name="dev",
        region="us-east-1",
        network=NetworkSettings(cidr="10.20.0.0/16", availability_zones=_zones("us-east-1")),
        database=DatabaseSettings(capacity=ServerlessV2(min_capacity_acu=0.5, max_capacity_acu=4)),
    ),
    "ephemeral": Deployment(
        name="ephemeral",
        region="us-east-1",
        network=NetworkSettings(
            cidr="10.30.0.0/16", availability_zones=_zones("us-east-1"), flow_log_retention_days=7
        ),
        database=DatabaseSettings(
            capacity=ServerlessV2(min_capacity_acu=0.5, max_capacity_acu=2),
            backup_retention_days=1,
            log_retention_days=7,
        ),
        functions=FunctionSettings(log_retention_days=7),
    ),
    "production": Deployment(
        name="production",
        region="us-east-1",
        network=NetworkSettings(
            cidr="10.40.0.0/16", availability_zones=_zones("us-east-1"), flow_log_retention_days=365
        ),
        database=DatabaseSettings(
            capacity=Instances("r8g.large"),
            reader_count=2,
            backup_retention_days=35,
            deletion_protection=True,
            log_retention_days=365,
            insights="advanced",
            backup_plan=BackupSettings(),
        ),
        functions=FunctionSettings(memory_mib=1024, log_retention_days=365),
        # 48: the real shop was closed for up to 43 hours each weekend
        observability=ObservabilitySettings(longest_without_orders_hours=48, storage_growth_gib_a_day=50),
        retain_data=True,
        termination_protection=True,
    ),
}
"""The deployments there are; "ephemeral" is a pattern for any number of them, each with its `-c name=`."""


def kind_on(kind: str, engine: str) -> str:
    """Return the kind of deployment that stands for another on an engine: `local-mysql` for `local` on MySQL.

    The others have one database each, whatever its engine, so that theirs is the kind itself.
    """
    own = f"{kind}-{engine}"
    return own if own in DEPLOYMENTS else kind
