"""A cluster with the properties that most templates give it, and ways to ask it."""

import contextlib

import psycopg2
from moto.rds.models import rds_backends

from .conftest import ACCOUNT, REGION

PASSWORD = "a master's password"


def records():
    return rds_backends[ACCOUNT][REGION]


def create_cluster(stack, logical_id="Cluster", **properties):
    return stack.create(
        "AWS::RDS::DBCluster",
        logical_id,
        **{
            "Engine": "aurora-postgresql",
            "EngineVersion": "16.13",
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
            "Engine": "aurora-postgresql",
            **properties,
        },
    )


def connect(stack, host, port, password=PASSWORD, user="shop_admin"):
    return psycopg2.connect(
        host=host,
        port=port,
        user=user,
        password=password,
        dbname="shop",
        sslmode="verify-full",
        sslrootcert=str(stack.cloud.ca_bundle),
        connect_timeout=20,
    )


def query(connection, statement):
    with contextlib.closing(connection), connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None
