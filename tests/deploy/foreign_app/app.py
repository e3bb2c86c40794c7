"""An application as any team would write it: plain L2 constructs, nothing that knows the local cloud.

Context: revision (1, 2, 3), broken (the table's resource fails), database (false leaves the database out),
engine (postgresql, mysql).
"""

import os
import shutil
from pathlib import Path

import aws_cdk as cdk
import psycopg2
import pymysql
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_rds as rds
from aws_cdk import aws_ssm as ssm
from aws_cdk import custom_resources
from constructs import Construct

HERE = Path(__file__).parent
ENGINES = {
    "postgresql": rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.VER_16_8),
    "mysql": rds.DatabaseClusterEngine.aurora_mysql(version=rds.AuroraMysqlEngineVersion.VER_3_12_0),
}


class NetworkStack(cdk.Stack):
    """The VPC as it comes: public and private subnets in two zones, NAT gateways."""

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        self.vpc = ec2.Vpc(self, "Vpc")


class DatabaseStack(cdk.Stack):
    """An Aurora cluster with a writer and a reader, behind a proxy that takes its secret's password."""

    def __init__(self, scope: Construct, id_: str, *, vpc: ec2.Vpc) -> None:
        super().__init__(scope, id_)
        self.cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            engine=ENGINES[self.node.try_get_context("engine") or "postgresql"],
            writer=rds.ClusterInstance.serverless_v2("writer"),
            readers=[rds.ClusterInstance.serverless_v2("reader", scale_with_writer=True)],
            default_database_name="foreign",
            removal_policy=cdk.RemovalPolicy.DESTROY,
            vpc=vpc,
        )
        self.proxy = self.cluster.add_proxy("Proxy", secrets=[self.cluster.secret], vpc=vpc)


class TableStack(cdk.Stack):
    """A table, made by a function behind CDK's Provider framework."""

    def __init__(self, scope: Construct, id_: str, *, vpc: ec2.Vpc, database: DatabaseStack) -> None:
        super().__init__(scope, id_)
        context = self.node.try_get_context
        cluster, proxy = database.cluster, database.proxy
        clients = ec2.SecurityGroup(self, "Clients", vpc=vpc)
        # from here: the other way round the two stacks would need each other
        port = 3306 if context("engine") == "mysql" else 5432
        for name, group in {"Proxy": proxy.connections, "Cluster": cluster.connections}.items():
            ec2.CfnSecurityGroupIngress(
                self,
                f"ClientsTo{name}",
                group_id=group.security_groups[0].security_group_id,
                source_security_group_id=clients.security_group_id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
            )
        function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="table.on_event",
            code=lambda_.Code.from_asset(str(with_driver(HERE / "table", HERE / f"build-{os.getpid()}"))),
            timeout=cdk.Duration.minutes(2),
            vpc=vpc,
            security_groups=[clients],
            environment={"SECRET_ARN": cluster.secret.secret_arn, "HOST": proxy.endpoint},
        )
        cluster.secret.grant_read(function)
        provider = custom_resources.Provider(self, "Provider", on_event_handler=function)
        broken = bool(context("broken"))
        columns = {
            "1": "name text",
            "2": "name text, price numeric",
            "3": "name text, price numeric, stock int",
        }
        table = cdk.CustomResource(
            self,
            "Table",
            service_token=provider.service_token,
            resource_type="Custom::Table",
            properties={
                "Columns": columns[context("revision") or "1"] + (", extra text" if broken else ""),
                "Broken": broken,
            },
        )
        cdk.CfnOutput(self, "Columns", value=table.get_att_string("Columns"))
        cdk.CfnOutput(self, "Secret", value=cluster.secret.secret_arn)
        cdk.CfnOutput(self, "Writer", value=cluster.cluster_endpoint.hostname)


class NoticeStack(cdk.Stack):
    """A plain Lambda-backed custom resource with inline code, and a parameter named by the revision."""

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        revision = self.node.try_get_context("revision") or "1"
        function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline((HERE / "notice.py").read_text()),
        )
        notice = cdk.CustomResource(
            self,
            "Notice",
            service_token=function.function_arn,
            resource_type="Custom::Notice",
            # revisions 1 and 2 are the same notice with another text, 3 is another notice
            properties={
                "Name": "second" if revision == "3" else "first",
                "Text": f"revision {revision}",
                "Broken": bool(self.node.try_get_context("broken")),
            },
        )
        ssm.StringParameter(
            self,
            "Parameter",
            parameter_name="/foreign/other-notice" if revision == "3" else "/foreign/notice",
            string_value=notice.get_att_string("Text"),
        )
        cdk.CfnOutput(self, "Text", value=notice.get_att_string("Text"))


def with_driver(source: Path, target: Path) -> Path:
    """Return a directory with the function and its drivers: what `pip install --target` would make.

    Each process has one of its own: several variants are synthesized at once.
    """
    packages = Path(psycopg2.__file__).parent
    for package in (packages, packages.with_name("psycopg2_binary.libs"), Path(pymysql.__file__).parent):
        shutil.copytree(
            package, target / package.name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return target


app = cdk.App()
NoticeStack(app, "ForeignNotice")
if app.node.try_get_context("database") != "false":
    network = NetworkStack(app, "ForeignNetwork")
    database = DatabaseStack(app, "ForeignDatabase", vpc=network.vpc)
    TableStack(app, "ForeignTable", vpc=network.vpc, database=database)
app.synth()
