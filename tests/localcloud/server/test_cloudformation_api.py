"""CloudFormation as its clients see it: boto3 against a running server."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def cloudformation(server):
    return server.client("cloudformation")


@pytest.fixture
def name() -> str:
    return f"stack-{uuid.uuid4().hex[:8]}"


def parameter(value: str, **more: Any) -> dict[str, Any]:
    return {
        "Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value}}},
        **more,
    }


def text(template: dict[str, Any]) -> str:
    return json.dumps(template)


def refusal(operation: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        operation(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_create_describe_update_delete(cloudformation, server, name):
    outputs = {"Name": {"Value": {"Ref": "P"}, "Description": "where", "Export": {"Name": f"{name}-export"}}}
    created = cloudformation.create_stack(
        StackName=name,
        TemplateBody=text(parameter("one", Outputs=outputs, Description="says what it is")),
        Tags=[{"Key": "owner", "Value": "me"}],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert (stack["StackId"], stack["StackStatus"]) == (created["StackId"], "CREATE_COMPLETE")
    assert stack["Description"] == "says what it is"
    assert stack["Tags"] == [{"Key": "owner", "Value": "me"}]
    [output] = stack["Outputs"]
    assert (output["OutputKey"], output["Description"], output["ExportName"]) == (
        "Name",
        "where",
        f"{name}-export",
    )
    ssm = server.client("ssm")
    assert ssm.get_parameter(Name=output["OutputValue"])["Parameter"]["Value"] == "one"
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=output["OutputValue"])["TagList"]
    assert tags == [{"Key": "owner", "Value": "me"}]
    exports = {one["Name"]: one["Value"] for one in cloudformation.list_exports()["Exports"]}
    assert exports[f"{name}-export"] == output["OutputValue"]

    [resource] = cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    assert resource["PhysicalResourceId"] == output["OutputValue"]
    detail = cloudformation.describe_stack_resource(StackName=name, LogicalResourceId="P")[
        "StackResourceDetail"
    ]
    assert (detail["ResourceType"], detail["ResourceStatus"]) == ("AWS::SSM::Parameter", "CREATE_COMPLETE")
    [same] = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    assert same["LogicalResourceId"] == "P"

    cloudformation.update_stack(StackName=name, TemplateBody=text(parameter("two", Outputs=outputs)))
    assert ssm.get_parameter(Name=output["OutputValue"])["Parameter"]["Value"] == "two"
    assert cloudformation.get_template(StackName=name)["TemplateBody"] == parameter("two", Outputs=outputs)

    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    assert refusal(cloudformation.describe_stacks, StackName=name) == (
        "ValidationError",
        f"Stack with id {name} does not exist",
    )
    [gone] = cloudformation.describe_stacks(StackName=created["StackId"])["Stacks"]
    assert gone["StackStatus"] == "DELETE_COMPLETE", "by its id, a deleted stack is still there"
    assert refusal(ssm.get_parameter, Name=output["OutputValue"])[0] == "ParameterNotFound"


def test_events_come_newest_first_and_their_times_tell_their_order(cloudformation, name):
    cloudformation.create_stack(StackName=name, TemplateBody=text(parameter("one")))
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    assert [(one["LogicalResourceId"], one["ResourceStatus"]) for one in events] == [
        (name, "CREATE_COMPLETE"),
        ("P", "CREATE_COMPLETE"),
        ("P", "CREATE_IN_PROGRESS"),
        ("P", "CREATE_IN_PROGRESS"),
        (name, "CREATE_IN_PROGRESS"),
    ]
    times = [one["Timestamp"] for one in events]
    assert times == sorted(times, reverse=True) and len(set(times)) == len(times)


def test_what_the_api_refuses_and_how(cloudformation, name):
    missing = {"StackName": "nowhere"}
    assert refusal(cloudformation.describe_stack_events, **missing)[0] == "ValidationError"
    assert (
        refusal(cloudformation.describe_change_set, ChangeSetName="none", **missing)[0] == "ChangeSetNotFound"
    )
    cloudformation.delete_change_set(ChangeSetName="none", StackName="nowhere")  # the CLI does that first
    cloudformation.delete_stack(StackName="nowhere")

    cloudformation.create_stack(StackName=name, TemplateBody=text(parameter("one")))
    same = {"StackName": name, "TemplateBody": text(parameter("one"))}
    assert refusal(cloudformation.create_stack, **same)[0] == "AlreadyExistsException"
    assert refusal(cloudformation.update_stack, **same) == (
        "ValidationError",
        "No updates are to be performed.",
    )
    assert refusal(cloudformation.update_stack, StackName=name, TemplateBody="{}") == (
        "ValidationError",
        "Template format error: At least one Resources member must be defined.",
    )
    assert refusal(cloudformation.list_imports, ExportName="none")[0] == "ValidationError"


def test_an_operation_that_is_not_there_is_the_clients_error_which_no_sdk_repeats(cloudformation):
    with pytest.raises(ClientError) as refused:
        cloudformation.list_stack_sets()
    assert refused.value.response["Error"]["Code"] == "UnsupportedOperation"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_change_set_from_its_creation_to_its_execution(cloudformation, name):
    change_set = {"StackName": name, "ChangeSetName": "first"}
    created = cloudformation.create_change_set(
        **change_set, TemplateBody=text(parameter("one")), ChangeSetType="CREATE", Description="why"
    )
    described = cloudformation.describe_change_set(**change_set)
    assert described["ChangeSetId"] == created["Id"]
    assert (described["Status"], described["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    [change] = described["Changes"]
    assert change["ResourceChange"]["Action"] == "Add"
    [listed] = cloudformation.list_change_sets(StackName=name)["Summaries"]
    assert listed["ChangeSetName"] == "first"
    cloudformation.execute_change_set(**change_set)
    assert cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"

    cloudformation.create_change_set(
        StackName=name, ChangeSetName="same", TemplateBody=text(parameter("one")), ChangeSetType="UPDATE"
    )
    same = cloudformation.describe_change_set(StackName=name, ChangeSetName="same")
    assert same["Status"] == "FAILED"
    assert same["StatusReason"].startswith("The submitted information didn't contain changes.")


def test_previous_template_and_previous_parameters(cloudformation, name, server):
    template = parameter("x", Parameters={"V": {"Type": "String"}})
    template["Resources"]["P"]["Properties"]["Value"] = {"Ref": "V"}
    given = [{"ParameterKey": "V", "ParameterValue": "one"}]
    cloudformation.create_stack(StackName=name, TemplateBody=text(template), Parameters=given)
    cloudformation.update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "V", "UsePreviousValue": True}],
        Tags=[{"Key": "a", "Value": "b"}],
    )
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE" and stack["Tags"] == [{"Key": "a", "Value": "b"}]
    assert stack["Parameters"] == given


def test_a_template_in_a_bucket(cloudformation, name, server):
    s3 = server.client("s3")
    s3.create_bucket(Bucket=f"{name}-templates")
    s3.put_object(Bucket=f"{name}-templates", Key="a/t.json", Body=text(parameter("one")).encode())
    url = f"https://s3.us-east-1.amazonaws.com/{name}-templates/a/t.json"
    cloudformation.create_stack(StackName=name, TemplateURL=url)
    summary = cloudformation.get_template_summary(StackName=name)
    assert summary["ResourceTypes"] == ["AWS::SSM::Parameter"]
    assert cloudformation.validate_template(TemplateURL=url)["Parameters"] == []


def test_termination_protection(cloudformation, name):
    cloudformation.create_stack(
        StackName=name, TemplateBody=text(parameter("one")), EnableTerminationProtection=True
    )
    code, message = refusal(cloudformation.delete_stack, StackName=name)
    assert code == "ValidationError" and "TerminationProtection" in message
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName=name)
    assert refusal(cloudformation.describe_stacks, StackName=name)[0] == "ValidationError"


def test_regions_know_nothing_of_each_other(cloudformation, name, server):
    cloudformation.create_stack(StackName=name, TemplateBody=text(parameter("one")))
    other = server.client("cloudformation", region="eu-west-1")
    assert refusal(other.describe_stacks, StackName=name)[0] == "ValidationError"
    other.create_stack(StackName=name, TemplateBody=text(parameter("two")))
    [stack] = other.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackId"].startswith("arn:aws:cloudformation:eu-west-1:")


def test_status_shows_the_stacks(cloudformation, name, server):
    cloudformation.create_stack(StackName=name, TemplateBody=text(parameter("one")))
    assert {"name": name, "status": "CREATE_COMPLETE", "resources": 1} in server.status()["stacks"]
    assert name in server.run("status").stdout


def test_many_stacks_at_once(cloudformation, server, name):
    """moto's backends are shared by all: none of them may meet another's half-done work."""
    many = {f"P{number}": parameter(str(number))["Resources"]["P"] for number in range(15)}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    }
    template = text({"Resources": {**many, **{f"R{number}": role for number in range(10)}}})
    failures: list[Exception] = []

    def cycle(number: int) -> None:
        try:
            stack = f"{name}-{number}"
            cloudformation.create_stack(
                StackName=stack, TemplateBody=template, Capabilities=["CAPABILITY_IAM"]
            )
            [one] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
            assert one["StackStatus"] == "CREATE_COMPLETE", one
            cloudformation.delete_stack(StackName=stack)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=cycle, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
