"""A real cloud with a cluster, a proxy and a function that tries to reach things."""

from __future__ import annotations

import contextlib
import json
import textwrap
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.localcloud.aurora.dialects import DIALECTS, Dialect
from tests.localcloud.server.conftest import server, stack  # noqa: F401 - fixtures
from tests.localcloud.server.deploying import Deployed, ref, resource
from tests.localcloud.server.machine import Machine

PORT = 15432
TIMEOUT_SECONDS = 2
MASTER, PASSWORD = "shop_admin", "a-password-of-a-test"


def attribute(name: str, of: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [name, of]}


def role() -> dict[str, Any]:
    """Return a role that may do everything: what is refused here is not for want of a right."""
    everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    services = {"Service": ["lambda.amazonaws.com", "rds.amazonaws.com"]}
    trust = [{"Effect": "Allow", "Principal": services, "Action": "sts:AssumeRole"}]
    return resource(
        "AWS::IAM::Role",
        AssumeRolePolicyDocument={"Version": "2012-10-17", "Statement": trust},
        Policies=[
            {"PolicyName": "All", "PolicyDocument": {"Version": "2012-10-17", "Statement": everything}}
        ],
    )


def vpc(prefix: str, octet: int) -> dict[str, dict[str, Any]]:
    """Return a network of two zones, without a route to anywhere else."""
    parts = {
        f"{prefix}Vpc": resource(
            "AWS::EC2::VPC", CidrBlock=f"10.{octet}.0.0/16", EnableDnsHostnames=True, EnableDnsSupport=True
        )
    }
    for number, zone in enumerate("ab", 1):
        parts[f"{prefix}Subnet{number}"] = resource(
            "AWS::EC2::Subnet",
            VpcId=ref(f"{prefix}Vpc"),
            CidrBlock=f"10.{octet}.{number}.0/24",
            AvailabilityZone=f"us-east-1{zone}",
        )
    return parts


def group(vpc_name: str = "Vpc") -> dict[str, Any]:
    """Return a security group that lets nobody in and nobody out."""
    nowhere = {"IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": "255.255.255.255/32"}
    return resource(
        "AWS::EC2::SecurityGroup",
        GroupDescription="closed",
        VpcId=ref(vpc_name),
        SecurityGroupEgress=[nowhere],
    )


def flow(source: str, target: str, port: int) -> dict[str, dict[str, Any]]:
    """Return both rules that a connection between two groups needs."""
    rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    return {
        f"{source}To{target}": resource(
            "AWS::EC2::SecurityGroupEgress",
            GroupId=ref(source),
            DestinationSecurityGroupId=ref(target),
            **rule,
        ),
        f"{target}From{source}": resource(
            "AWS::EC2::SecurityGroupIngress", GroupId=ref(target), SourceSecurityGroupId=ref(source), **rule
        ),
    }


def function(
    source: str, *, subnets: list[str] | None, groups: list[str], **properties: Any
) -> dict[str, Any]:
    """Return a Python function, in a VPC if subnets are given."""
    config = {
        "SubnetIds": [ref(one) for one in subnets or []],
        "SecurityGroupIds": [ref(one) for one in groups],
    }
    return resource(
        "AWS::Lambda::Function",
        **{
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": attribute("Role", "Arn"),
            "Code": {"ZipFile": textwrap.dedent(source)},
            "Timeout": TIMEOUT_SECONDS,
            **({"VpcConfig": config} if subnets else {}),
            **properties,
        },
    )


PROBE = """
    import boto3, botocore.config, socket, subprocess, sys, time

    def handler(event, context):
        return globals()[event.pop("do")](**event)

    def connect(host, port, patience=None, family=socket.AF_INET):
        # PostgreSQL's request for TLS, which its server answers; MySQL's speaks first
        with socket.socket(family) as client:
            client.settimeout(patience)
            try:
                client.connect((host, port))
                client.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47]))
                return "answered" if client.recv(1) else "closed"
            except TimeoutError:
                return "handled"

    def connect_by_child(host, port):
        code = "import index, sys; print(index.connect(sys.argv[1], int(sys.argv[2])))"
        child = subprocess.run([sys.executable, "-c", code, host, str(port)], stdout=-1, text=True)
        return child.stdout.strip()

    def connect_mapped(host, port):
        return connect("::ffff:" + host, port, family=socket.AF_INET6)

    def sleep(seconds):
        time.sleep(seconds)

    def call(service, operation, **arguments):
        once = botocore.config.Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        getattr(boto3.client(service, config=once), operation)(**arguments)
        return "answered"

    def call_impatiently(service, operation):
        once = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=0.3)
        try:
            getattr(boto3.client(service, config=once), operation)()
        except Exception as error:
            return type(error).__name__
"""


@dataclass
class Cell:
    """A deployed stack, and what its functions reach."""

    server: Machine
    ids: dict[str, str]
    outputs: dict[str, str]
    dialect: Dialect

    def probe(self, name: str = "Probe", **event: Any) -> str:
        """Return what the function says; its error's message when it fails."""
        answer = self.server.client("lambda").invoke(
            FunctionName=self.ids[name], Payload=json.dumps(event).encode()
        )
        payload = json.load(answer["Payload"])
        return str(payload["errorMessage"] if "FunctionError" in answer else payload)

    def reach(self, target: str, name: str = "Probe", do: str = "connect", **more: Any) -> str:
        return self.probe(name, do=do, host=self.outputs[target], port=PORT, **more)

    def server_log(self) -> str:
        return next(self.server.directory.glob("localcloud-*/default/server.log")).read_text()

    @contextlib.contextmanager
    def without(self, group_name: str, direction: str, port: int) -> Iterator[None]:
        """Take away the rules of a group for a port, for a while."""
        ec2, group_id = self.server.client("ec2"), self.ids[group_name]
        described = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
        rules = described["IpPermissionsEgress" if direction == "egress" else "IpPermissions"]
        taken = {"GroupId": group_id, "IpPermissions": [one for one in rules if one.get("FromPort") == port]}
        assert taken["IpPermissions"]
        getattr(ec2, f"revoke_security_group_{direction}")(**taken)
        try:
            yield
        finally:
            getattr(ec2, f"authorize_security_group_{direction}")(**taken)


def cluster(dialect: Dialect, vpc_prefix: str = "") -> dict[str, dict[str, Any]]:
    return {
        "Subnets": resource(
            "AWS::RDS::DBSubnetGroup",
            DBSubnetGroupDescription="s",
            SubnetIds=[ref(f"{vpc_prefix}Subnet1"), ref(f"{vpc_prefix}Subnet2")],
        ),
        "Cluster": resource(
            "AWS::RDS::DBCluster",
            Engine=dialect.engine.name,
            MasterUsername=MASTER,
            MasterUserPassword=PASSWORD,
            DatabaseName="shop",
            DBSubnetGroupName=ref("Subnets"),
            VpcSecurityGroupIds=[ref("Database")],
            Port=PORT,
        ),
        "Writer": resource(
            "AWS::RDS::DBInstance",
            DBClusterIdentifier=ref("Cluster"),
            DBInstanceClass="db.t4g.medium",
            Engine=dialect.engine.name,
        ),
    }


def proxy(dialect: Dialect) -> dict[str, dict[str, Any]]:
    return {
        "Login": resource(
            "AWS::SecretsManager::Secret",
            SecretString=json.dumps({"username": MASTER, "password": PASSWORD}),
        ),
        "Proxy": resource(
            "AWS::RDS::DBProxy",
            DBProxyName="shop-proxy",
            EngineFamily=dialect.engine.family,
            RoleArn=attribute("Role", "Arn"),
            VpcSubnetIds=[ref("Subnet1"), ref("Subnet2")],
            VpcSecurityGroupIds=[ref("ProxyGroup")],
            Auth=[{"AuthScheme": "SECRETS", "SecretArn": ref("Login"), "IAMAuth": "DISABLED"}],
        ),
        "Targets": {
            **resource(
                "AWS::RDS::DBProxyTargetGroup",
                DBProxyName=ref("Proxy"),
                TargetGroupName="default",
                DBClusterIdentifiers=[ref("Cluster")],
            ),
            "DependsOn": "Writer",
        },
    }


@pytest.fixture(scope="module")
def dialect() -> Dialect:
    """Where the engine is of no matter."""
    return DIALECTS["postgresql"]


@pytest.fixture(scope="module")
def cell(server: Machine, dialect: Dialect) -> Iterator[Cell]:  # noqa: F811
    """Return a cluster that the group Client may reach, and functions in that group and elsewhere."""
    server.directory.chmod(0o711)  # for nobody, whom PostgreSQL runs as when we are root
    deployed = Deployed(server, f"s-{uuid.uuid4().hex[:8]}")
    inside = ["Subnet1", "Subnet2"]
    ids = deployed.deploy(
        Role=role(),
        **vpc("", 9),
        **vpc("Other", 8),
        Client=group(),
        Stranger=group("OtherVpc"),
        Database=group(),
        ProxyGroup=group(),
        Endpoint=group(),
        **flow("Client", "Database", PORT),
        **flow("Client", "ProxyGroup", PORT),
        **flow("ProxyGroup", "Database", PORT),
        **flow("Client", "Endpoint", 443),
        **cluster(dialect),
        **proxy(dialect),
        Secrets=resource(
            "AWS::EC2::VPCEndpoint",
            VpcId=ref("Vpc"),
            ServiceName="com.amazonaws.us-east-1.secretsmanager",
            VpcEndpointType="Interface",
            PrivateDnsEnabled=True,
            SubnetIds=[ref("Subnet1")],
            SecurityGroupIds=[ref("Endpoint")],
        ),
        Probe=function(PROBE, subnets=inside, groups=["Client"]),
        Outside=function(PROBE, subnets=None, groups=[]),
        Elsewhere=function(PROBE, subnets=["OtherSubnet1"], groups=["Stranger"]),
    )
    rds = server.client("rds")
    [described] = rds.describe_db_clusters(DBClusterIdentifier=ids["Cluster"])["DBClusters"]
    [in_front] = rds.describe_db_proxies(DBProxyName=ids["Proxy"])["DBProxies"]
    yield Cell(server, ids, {"Cluster": described["Endpoint"], "Proxy": in_front["Endpoint"]}, dialect)
    deployed.delete()
