"""A cluster with the properties that most templates give it, and ways to ask it."""

import time

from moto.rds.models import rds_backends

from localcloud.aurora.managed import AuroraService

from .conftest import ACCOUNT, REGION
from .dialects import answer

PASSWORD = "a master's password"


def records():
    return rds_backends[ACCOUNT][REGION]


def create_cluster(stack, logical_id="Cluster", **properties):
    return stack.create(
        "AWS::RDS::DBCluster",
        logical_id,
        **{
            "Engine": str(stack.dialect.engine),
            "EngineVersion": stack.dialect.version,
            "MasterUsername": "shop_admin",
            "MasterUserPassword": PASSWORD,
            "DatabaseName": "shop",
            "EnableIAMDatabaseAuthentication": True,
            **properties,
        },
    )


def create_instance(stack, cluster, logical_id="Writer", **properties):
    return stack.create(
        "AWS::RDS::DBInstance",
        logical_id,
        **{
            "DBClusterIdentifier": cluster.physical_id,
            "DBInstanceClass": "db.serverless",
            "Engine": str(stack.dialect.engine),
            **properties,
        },
    )


def create_pair(stack):
    """Create a cluster with a writer, and a reader that is next in the line."""
    cluster = create_cluster(stack)
    create_instance(stack, cluster, "Writer", PromotionTier=0)
    create_instance(stack, cluster, "Reader", PromotionTier=1)
    return cluster


def managed(stack, cluster):
    return AuroraService.of(stack.cloud).clusters[cluster.physical_id]


def connect(stack, host, port=None, password=PASSWORD, user="shop_admin", **options):
    given = {"bundle": stack.cloud.ca_bundle, **options}
    return stack.dialect.connect(host, int(port or stack.dialect.port), user, password, **given)


def query(connection, statement):
    return answer(connection, statement)


def eventually(condition, seconds=60):
    """Whether the condition holds before patience ends, which is long: it costs only what fails."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
