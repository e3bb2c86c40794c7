"""Custom resources: the request a function gets, the answers CloudFormation takes, and every way to fail."""

import base64
import json
import time
import urllib.error
import urllib.request

import pytest

from localcloud.cloudformation.custom_resources import (
    LARGEST_ANSWER_BYTES,
    Answers,
    CustomResource,
    as_strings,
)
from localcloud.functions.inline_code import archive_of
from localcloud.resources.base import Provisioned, Request, ResourceFailed

STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/shop/1"
RESPOND = """
import json, urllib.error, urllib.request
def respond(event, **fields):
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": event.get("PhysicalResourceId", "first")} | fields
    body = json.dumps(answer).encode()
    headers = {"content-type": ""}
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers=headers)
    return urllib.request.urlopen(request).status
"""
CUSTOM_RESOURCE = CustomResource()


@pytest.fixture
def request_for(lambda_cloud):
    def make(function, *, logical_id="Thing", **properties):
        return Request(
            resource_type="Custom::Thing",
            logical_id=logical_id,
            properties={"ServiceToken": function.function_arn, **properties},
            stack_id=STACK_ID,
            stack_name="shop",
            account=lambda_cloud.account,
            region="us-east-1",
            cloud=lambda_cloud,
        )

    return make


@pytest.fixture
def plain(functions):
    """Deploy a plain Lambda-backed resource with this body."""

    def deploy(body, **properties):
        return functions.python(f"{RESPOND}\ndef handler(event, context):\n    {body}", **properties)

    return deploy


def test_create_update_and_delete_carry_what_cloudformation_sends(plain, request_for, functions):
    function = plain("print('EVENT', json.dumps(event)); respond(event, Data={'Answer': '42'})")
    before = request_for(function, Count=3, Flag=True, Nested={"List": [1, False]})
    created = CUSTOM_RESOURCE.create(before)
    assert (created.physical_id, created.attributes) == ("first", {"Answer": "42"})
    after = request_for(function, Count=4)
    CUSTOM_RESOURCE.update(after, created, before.properties)
    CUSTOM_RESOURCE.delete(after, created)

    events = logged_events(functions, function, count=3)
    create, update, delete = events["Create"], events["Update"], events["Delete"]
    assert "PhysicalResourceId" not in create
    assert create["ResourceProperties"] == {
        "ServiceToken": function.function_arn,
        "Count": "3",
        "Flag": "true",
        "Nested": {"List": ["1", "false"]},
    }
    assert (create["StackId"], create["LogicalResourceId"]) == (STACK_ID, "Thing")
    assert create["ResourceType"] == "Custom::Thing"
    assert update["PhysicalResourceId"] == "first"
    assert update["OldResourceProperties"] == create["ResourceProperties"]
    assert update["ResourceProperties"]["Count"] == "4"
    assert delete["PhysicalResourceId"] == "first"
    assert delete["ResourceProperties"] == update["ResourceProperties"]
    assert len({create["RequestId"], update["RequestId"], delete["RequestId"]}) == 3


def logged_events(functions, function, *, count):
    """By request type. A function may answer before what it printed is in its log."""
    deadline = time.monotonic() + 60
    lines = []
    while len(lines) < count and time.monotonic() < deadline:
        lines = [line for line in functions.log_of(function) if line.startswith("EVENT")]
    events = [json.loads(line.removeprefix("EVENT ")) for line in lines]
    return {event["RequestType"]: event for event in events}


def test_an_update_may_name_a_new_resource(plain, request_for):
    function = plain("respond(event, PhysicalResourceId=event['ResourceProperties']['Name'])")
    before = request_for(function, Name="a")
    created = CUSTOM_RESOURCE.create(before)
    updated = CUSTOM_RESOURCE.update(request_for(function, Name="b"), created, before.properties)
    assert (created.physical_id, updated.physical_id) == ("a", "b")


def test_a_failure_is_told_in_cloudformations_words_and_leaves_what_it_named(plain, request_for):
    function = plain("respond(event, Status='FAILED', Reason='no such table', PhysicalResourceId='half')")
    with pytest.raises(ResourceFailed) as failure:
        CUSTOM_RESOURCE.create(request_for(function))
    text = str(failure.value)
    assert text.startswith(
        "Received response status [FAILED] from custom resource. Message returned: no such table (RequestId: "
    )
    assert failure.value.left.physical_id == "half"


def test_a_crash_is_told_at_once_with_the_functions_own_error(plain, request_for):
    function = plain("raise ValueError('boom')")
    started = time.monotonic()
    with pytest.raises(ResourceFailed, match=r"failed without a response: ValueError: boom") as failure:
        CUSTOM_RESOURCE.create(request_for(function))
    assert time.monotonic() - started < 60
    assert failure.value.left.physical_id.startswith("shop-Thing-")


def test_a_function_that_times_out_is_told_with_lambdas_text(plain, request_for):
    function = plain("import time; time.sleep(300)", Timeout=1)
    with pytest.raises(ResourceFailed, match=r"Task timed out after 1\.00 seconds"):
        CUSTOM_RESOURCE.create(request_for(function))


def test_a_function_that_never_answers_fails_by_the_service_timeout(plain, request_for):
    function = plain("return 'done, but nobody was told'")
    started = time.monotonic()
    with pytest.raises(
        ResourceFailed, match="CloudFormation did not receive a response from your Custom Resource"
    ):
        CUSTOM_RESOURCE.create(request_for(function, ServiceTimeout="1"))
    assert 1 <= time.monotonic() - started < 60


def test_an_answer_may_come_after_the_functions_end(plain, request_for):
    """As with a Provider that waits elsewhere: whoever has the URL may answer."""
    function = plain(
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', "
        "'import time, sys; time.sleep(0.5); sys.path.insert(0, sys.argv[1]); "
        "import json, handler; handler.respond(json.loads(sys.argv[2]))', sys.path[0], json.dumps(event)])"
    )
    assert CUSTOM_RESOURCE.create(request_for(function)).physical_id == "first"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("Data={'Text': 'x' * 4096}", "Response object is too long."),
        ("Status='MAYBE'", "Status must be SUCCESS or FAILED"),
        ("PhysicalResourceId=''", "Invalid PhysicalResourceId"),
        ("PhysicalResourceId='x' * 1025", "Invalid PhysicalResourceId"),
        ("RequestId='another'", "RequestId must be the request's"),
        ("Data=['no', 'object']", "Data"),
    ],
)
def test_an_answer_that_cloudformation_would_not_take_fails(plain, request_for, fields, reason):
    function = plain(f"respond(event, **dict({fields}))")
    with pytest.raises(ResourceFailed, match=reason):
        CUSTOM_RESOURCE.create(request_for(function))


def test_an_answer_of_exactly_the_limit_is_taken(plain, request_for):
    function = plain(
        "n = len(json.dumps({'Status': 'SUCCESS', 'PhysicalResourceId': 'first', 'Data': {'T': ''}, "
        "**{k: event[k] for k in ('StackId', 'RequestId', 'LogicalResourceId')}})); "
        f"respond(event, Data={{'T': 'x' * ({LARGEST_ANSWER_BYTES} - n)}})"
    )
    assert CUSTOM_RESOURCE.create(request_for(function)).attributes["T"].startswith("x")


def test_a_url_takes_one_answer_by_put_and_none_when_nobody_waits(lambda_cloud):
    def status_of(method, path):
        request = urllib.request.Request(lambda_cloud.endpoint_url + path, data=b"{}", method=method)
        try:
            return urllib.request.urlopen(request, timeout=60).status
        except urllib.error.HTTPError as error:
            return error.code

    arrived = []
    with lambda_cloud.part(Answers, Answers).expected(arrived.append) as path:
        assert status_of("POST", path) == 405
        assert (status_of("PUT", path), status_of("PUT", path)) == (200, 403)
    with lambda_cloud.part(Answers, Answers).expected(arrived.append) as path:
        pass
    assert status_of("PUT", path) == 403
    assert arrived == [b"{}"]


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("arn:aws:sns:us-east-1:123456789012:topic", "not SNS topics"),
        ("arn:aws:lambda:us-east-1:123456789012:function:absent", "there is no such function"),
        ("nonsense", "Invalid service token"),
    ],
)
def test_a_token_that_names_no_function_is_refused(plain, request_for, token, reason):
    function = plain("pass")
    with pytest.raises(ResourceFailed, match=reason):
        CUSTOM_RESOURCE.create(request_for(function, ServiceToken=token))


@pytest.mark.parametrize("timeout", ["0", "3601", "soon"])
def test_a_service_timeout_out_of_range_is_refused(plain, request_for, timeout):
    with pytest.raises(ResourceFailed, match="from 1 to 3600"):
        CUSTOM_RESOURCE.create(request_for(plain("pass"), ServiceTimeout=timeout))


def test_the_service_token_cannot_change(plain, request_for):
    before, after = request_for(plain("respond(event)")), request_for(plain("respond(event)"))
    with pytest.raises(ResourceFailed, match=r"Modifying service token is not allowed\."):
        CUSTOM_RESOURCE.update(after, Provisioned("first"), before.properties)


def test_properties_become_strings():
    given = {"a": 1, "b": True, "c": None, "d": [1.5, {"e": False}], "f": "x"}
    assert as_strings(given) == {"a": "1", "b": "true", "d": ["1.5", {"e": "false"}], "f": "x"}


@pytest.mark.parametrize(
    ("runtime", "source"),
    [
        (
            "python3.13",
            "import cfnresponse\ndef handler(event, context):\n"
            "    cfnresponse.send(event, context, cfnresponse.SUCCESS, {'From': 'inline'}, 'id')",
        ),
        (
            "nodejs22.x",
            "const response = require('cfn-response');\nexports.handler = (event, context) =>\n"
            "  response.send(event, context, response.SUCCESS, { From: 'inline' }, 'id');",
        ),
        (
            "nodejs22.x",
            "exports.handler = async ({ ResponseURL: url, ResourceProperties, ...event }) => fetch(url, {\n"
            "  method: 'PUT',\n"
            "  body: JSON.stringify({\n"
            "    ...event, Status: 'SUCCESS', PhysicalResourceId: 'id', Data: { From: 'inline' },\n"
            "  }),\n"
            "});",
        ),
    ],
    ids=["python cfnresponse", "node cfn-response", "node fetch"],
)
def test_inline_code_answers_with_the_ways_it_has_on_aws(functions, request_for, runtime, source):
    code = {"ZipFile": base64.b64encode(archive_of(source, runtime))}
    function = functions.create({}, Code=code, Runtime=runtime, Handler="index.handler")
    created = CUSTOM_RESOURCE.create(request_for(function))
    assert (created.physical_id, created.attributes) == ("id", {"From": "inline"})
