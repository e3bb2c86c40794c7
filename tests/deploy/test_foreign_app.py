"""An app that knows nothing of the local cloud lives on it as on AWS, by the CLI's own commands alone."""

import json

import psycopg2
import pytest

pytestmark = pytest.mark.xdist_group("foreign_app")


@pytest.fixture(scope="module")
def app(foreign_app):
    foreign_app.synthesize_all(
        first={"revision": "1"},
        second={"revision": "2"},
        third={"revision": "3"},
        broken={"revision": "3", "broken": "true"},
    )
    foreign_app.cdk("bootstrap")
    return foreign_app


def test_its_whole_life(app, cloud):
    """Create, no-op, update in place, replacement, failed update, deletion; data survive all but the last."""
    said = app.deploy("first").stdout
    assert said.count("✅") == 4, said
    database = Database(cloud, app.outputs("ForeignTable"))
    assert database.rows("INSERT INTO things (id, name) VALUES (1, 'kept') RETURNING id") == [(1,)]

    nothing_differs(app, "first")
    assert app.deploy("first").stdout.count("(no changes)") == 4

    app.deploy("second")
    assert app.outputs("ForeignTable")["Columns"] == "name text, price numeric"
    assert database.rows("SELECT name, price FROM things") == [("kept", None)]
    assert app.physical_id("ForeignNotice", "Notice") == "first"

    app.deploy("third")
    assert app.physical_id("ForeignNotice", "Notice") == "second"
    assert parameters(cloud) == {"/foreign/other-notice": "revision 3"}
    assert "Delete first first" in app.log_of("ForeignNotice", "Function"), (
        "the replaced notice was not deleted"
    )
    assert ("ForeignNotice", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "") in app.events("ForeignNotice")

    for stack, reason in {"ForeignNotice": "told to fail", "ForeignTable": "duplicate key value"}.items():
        before = app.outputs(stack)
        said = app.deploy("broken", stack, check=False)
        assert said.returncode == 1
        assert reason in said.stdout, said.stdout
        assert app.status_of(stack) == "UPDATE_ROLLBACK_COMPLETE"
        assert app.outputs(stack) == before
    assert database.rows("SELECT * FROM things") == [(1, "kept", None, None)]
    nothing_differs(app, "third")

    app.cdk("destroy", "--all", "--force", assembly="third")
    assert left_over(cloud) == []


def test_a_failed_creation_leaves_nothing_and_can_be_put_right(app, cloud):
    said = app.deploy("broken", "ForeignNotice", check=False)
    assert said.returncode == 1
    assert (
        "Received response status [FAILED] from custom resource. Message returned: told to fail"
        in said.stdout
    )
    assert app.status_of("ForeignNotice") == "ROLLBACK_COMPLETE"
    assert cloud.client("lambda").list_functions()["Functions"] == []
    app.deploy("first", "ForeignNotice")
    assert app.status_of("ForeignNotice") == "CREATE_COMPLETE"
    app.cdk("destroy", "--all", "--force", assembly="first")
    assert left_over(cloud) == []


def nothing_differs(app, assembly):
    said = app.cdk("diff", "--fail", assembly=assembly).stdout
    assert "Number of stacks with differences: 0" in said, said


def parameters(cloud):
    found = cloud.client("ssm").get_parameters_by_path(Path="/foreign", Recursive=True)["Parameters"]
    return {parameter["Name"]: parameter["Value"] for parameter in found}


class Database:
    """The deployed database, as its owner reaches it."""

    def __init__(self, cloud, outputs):
        secret = cloud.client("secretsmanager").get_secret_value(SecretId=outputs["Secret"])
        self._login = json.loads(secret["SecretString"])
        self._host = outputs["Writer"]
        self._authority = cloud.variables["PGSSLROOTCERT"]

    def rows(self, statement):
        connection = psycopg2.connect(
            host=self._host,
            user=self._login["username"],
            password=self._login["password"],
            dbname=self._login["dbname"],
            sslmode="verify-full",
            sslrootcert=self._authority,
            connect_timeout=10,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            found = cursor.fetchall()
        connection.close()
        return found


def left_over(cloud):
    """Return what exists in the cloud beyond moto's defaults and the CLI's bootstrap."""
    ec2, rds = cloud.client("ec2"), cloud.client("rds")
    stacks = cloud.client("cloudformation").describe_stacks()["Stacks"]
    found = {
        "stacks": [stack["StackName"] for stack in stacks if stack["StackName"] != "CDKToolkit"],
        "functions": cloud.client("lambda").list_functions()["Functions"],
        "roles": [role["RoleName"] for role in cloud.client("iam").list_roles()["Roles"]
                  if not role["RoleName"].startswith("cdk-")],
        "parameters": parameters(cloud),
        "secrets": cloud.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"],
        "clusters": rds.describe_db_clusters()["DBClusters"],
        "instances": rds.describe_db_instances()["DBInstances"],
        "proxies": rds.describe_db_proxies()["DBProxies"],
        "subnet groups": rds.describe_db_subnet_groups()["DBSubnetGroups"],
        "vpcs": [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]],
        "security groups": [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]
                            if group["GroupName"] != "default"],
        "gateways": [gateway["NatGatewayId"] for gateway in ec2.describe_nat_gateways()["NatGateways"]
                     if gateway["State"] != "deleted"],
        "addresses": ec2.describe_addresses()["Addresses"],
        "processes": cloud.status()["processes"][2:],  # the supervisor and the server
        "endpoints": cloud.status()["endpoints"],
    }  # fmt: skip
    return [f"{kind}: {what}" for kind, what in found.items() if what]
