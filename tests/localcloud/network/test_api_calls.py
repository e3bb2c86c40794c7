"""An API call from a subnet without a route needs its endpoint; without it there is silence, as on AWS."""

import re

import pytest

from tests.localcloud.server.deploying import DeploymentFailed, resource

from .conftest import TIMEOUT_SECONDS, attribute, function, group, role, vpc


def call(cell, service, operation, name="Probe", **arguments):
    return cell.probe(name, do="call", service=service, operation=operation, **arguments)


def secret(cell, name="Probe"):
    return call(cell, "secretsmanager", "list_secrets", name)


def test_a_service_with_an_endpoint_answers(cell):
    assert secret(cell) == "answered"


def test_a_service_without_an_endpoint_does_not(cell):
    said = call(cell, "kms", "list_keys")
    assert re.fullmatch(
        rf"RequestId: \S+ Error: Task timed out after {TIMEOUT_SECONDS}\.00 seconds"
        rf" \[local cloud: kms: {cell.ids['Vpc']} has no endpoint of com\.amazonaws\.us-east-1\.kms,"
        rf" and rtb-\w+ of {cell.ids['Subnet1']} has no route to the internet\]",
        said,
    )


def test_an_endpoint_admits_by_its_security_group(cell):
    with cell.without("Endpoint", "ingress", 443):
        assert f"no ingress rule of {cell.ids['Endpoint']} allows tcp/443 from 10.9." in secret(cell)
    with cell.without("Client", "egress", 443):
        assert f"no egress rule of {cell.ids['Client']} allows tcp/443 to 10.9." in secret(cell)
    assert secret(cell) == "answered"


def test_a_function_outside_of_any_vpc_has_the_internet(cell):
    assert secret(cell, "Outside") == "answered"
    assert call(cell, "kms", "list_keys", "Outside") == "answered"


def test_another_vpcs_endpoint_is_none(cell):
    assert f"{cell.ids['OtherVpc']} has no endpoint of" in secret(cell, "Elsewhere")


def test_a_function_that_gives_up_by_itself_works_on(cell):
    assert cell.probe(do="call_impatiently", service="kms", operation="list_keys") == "ReadTimeoutError"
    assert secret(cell) == "answered"


def test_a_developers_own_calls_always_get_through(cell):
    assert cell.server.client("kms").list_keys()["Keys"] == []


@pytest.fixture
def bucket(cell):
    s3 = cell.server.client("s3")
    s3.create_bucket(Bucket="things")
    s3.put_object(Bucket="things", Key="one", Body=b"1")
    yield "things"
    s3.delete_object(Bucket="things", Key="one")
    s3.delete_bucket(Bucket="things")


def test_s3_needs_a_gateway_endpoint_on_the_route_table_and_egress_to_its_list(cell, stack, bucket):
    filters = [{"Name": "vpc-id", "Values": [cell.ids["Vpc"]]}]
    described = cell.server.client("ec2").describe_route_tables(Filters=filters)["RouteTables"]
    [main] = [one["RouteTableId"] for one in described]

    def get():
        return call(cell, "s3", "get_object", Bucket=bucket, Key="one")

    def deploy(*tables, **more):
        name = "com.amazonaws.us-east-1.s3"
        endpoint = {"VpcId": cell.ids["Vpc"], "ServiceName": name, "RouteTableIds": list(tables)}
        return stack.deploy(S3=resource("AWS::EC2::VPCEndpoint", **endpoint), **more)["S3"]

    assert "has no endpoint of com.amazonaws.us-east-1.s3" in get()
    endpoint = deploy()
    assert f"{endpoint} (com.amazonaws.us-east-1.s3) is not on {main}" in get()
    deploy(main)
    assert f"no egress rule of {cell.ids['Client']} allows tcp/443 to 52.216.0.0/15" in get()
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "DestinationPrefixListId": "pl-63a5400a"}
    deploy(main, Out=resource("AWS::EC2::SecurityGroupEgress", GroupId=cell.ids["Client"], **rule))
    assert get() == "answered"
    stack.delete()
    assert "has no endpoint" in get()


ANSWERING = """
    import json, urllib.request

    def handler(event, context):
        answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        body = json.dumps({**answer, "Status": "SUCCESS", "PhysicalResourceId": "it"}).encode()
        urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], body, method="PUT"), timeout=60)
"""


def custom(**where):
    """A custom resource whose function answers by itself."""
    return {
        "Role": role(),
        **vpc("", 9),
        "Group": group(),
        "Function": function(ANSWERING, **where),
        "Custom": resource("Custom::Thing", ServiceToken=attribute("Function", "Arn")),
    }


def test_a_custom_resource_that_answers_by_itself_needs_s3(server, stack):
    stack.deploy(**custom(subnets=None, groups=[]))
    stack.delete()
    with pytest.raises(DeploymentFailed) as failed:
        stack.deploy(**custom(subnets=["Subnet1"], groups=["Group"]))
    reason = (
        rf"Custom CREATE_FAILED: .*Task timed out after {TIMEOUT_SECONDS}\.00 seconds \[local cloud: s3: vpc-"
    )
    assert re.search(reason, str(failed.value)), failed.value
