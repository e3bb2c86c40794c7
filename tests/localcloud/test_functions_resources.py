"""AWS::Lambda in templates: what is created works, what changes takes effect, what AWS refuses is refused."""

import io
import json
import zipfile

import pytest
from moto.s3.models import s3_backends

from localcloud.resources.base import Request, ResourceFailed
from localcloud.resources.lambda_functions import HANDLERS

FUNCTION = HANDLERS["AWS::Lambda::Function"]


@pytest.fixture
def requested(lambda_cloud, functions):
    """Return a request for a resource of AWS::Lambda; a function has what CloudFormation requires."""

    def make(kind, **properties):
        if kind == "Function":
            code = {"ZipFile": "def handler(event, context): return event"}
            required = {
                "Code": code,
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": functions.role_arn,
            }
            properties = required | properties
        return Request(
            resource_type=f"AWS::Lambda::{kind}",
            logical_id="Thing",
            properties=properties,
            stack_id="arn:aws:cloudformation:us-east-1:123456789012:stack/shop/1",
            stack_name="shop",
            account=lambda_cloud.account,
            region="us-east-1",
            cloud=lambda_cloud,
        )

    return make


@pytest.fixture
def answer_of(functions):
    """Return what a deployed function answers."""

    def invoke(name, event=None, qualifier=None):
        outcome = functions.invoke(functions.backend.get_function(name, qualifier), event)
        assert not outcome.failed, outcome.payload
        return json.loads(outcome.payload)

    return invoke


def source(text):
    return {"ZipFile": f"def handler(event, context): return {text}"}


def test_a_function_is_created_under_a_name_of_cloudformations_making(requested, answer_of):
    created = FUNCTION.create(requested("Function"))
    assert created.physical_id.startswith("shop-Thing-")
    assert created.attributes["Arn"].endswith(f":function:{created.physical_id}")
    assert answer_of(created.physical_id, {"a": 1}) == {"a": 1}


def test_code_and_configuration_change_in_place(requested, answer_of):
    before = requested("Function", Code=source("1"), Environment={"Variables": {"A": "1"}}, MemorySize=512)
    created = FUNCTION.create(before)
    assert answer_of(created.physical_id) == 1
    after = requested("Function", Code=source("dict(__import__('os').environ)"), Timeout="7")
    assert FUNCTION.update(after, created, before.properties) is created
    variables = answer_of(created.physical_id)
    assert "A" not in variables
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128", (
        "what the template leaves out is the default again"
    )


def test_code_comes_from_s3_and_its_absence_is_told(requested, functions, answer_of):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return 'from s3'")
    s3 = s3_backends[functions.cloud.account]["aws"]
    if "code" not in s3.buckets:
        s3.create_bucket("code", "us-east-1")
    s3.put_object("code", "code.zip", buffer.getvalue())
    s3.put_object("code", "text", b"no archive")
    created = FUNCTION.create(requested("Function", Code={"S3Bucket": "code", "S3Key": "code.zip"}))
    assert answer_of(created.physical_id) == "from s3"
    for bucket, key, reason in (
        ("code", "absent", "S3 Error Code: NoSuchKey"),
        ("absent", "code.zip", "S3 Error Code: NoSuchBucket"),
        ("code", "text", "Could not unzip uploaded file"),
    ):
        with pytest.raises(ResourceFailed, match=reason):
            FUNCTION.create(requested("Function", Code={"S3Bucket": bucket, "S3Key": key}))


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Runtime": "java21"}, "Runtime java21: the local cloud runs Python and Node.js functions only"),
        ({"Timeout": 901}, "Timeout=901: must be from 1 to 900"),
        ({"MemorySize": 64}, "MemorySize=64: must be from 128 to 10240"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "reserved keys"),
        ({"Role": "arn:aws:iam::123456789012:role/absent"}, "cannot be assumed by Lambda"),
        ({"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:absent:1"]}, "layer"),
        ({"Code": {}}, "Please provide a source"),
        ({"PackageType": "Image"}, "zip archives only"),
    ],
)
def test_what_aws_refuses_is_refused_and_nothing_is_left(requested, functions, properties, reason):
    before = list(functions.backend.list_functions(None))
    with pytest.raises(ResourceFailed, match=reason):
        FUNCTION.create(requested("Function", **properties))
    assert list(functions.backend.list_functions(None)) == before


def test_a_name_is_taken_once(requested):
    FUNCTION.create(requested("Function", FunctionName="taken"))
    with pytest.raises(ResourceFailed, match="taken already exists"):
        FUNCTION.create(requested("Function", FunctionName="taken"))


def test_deleting_twice_is_fine(requested, functions):
    created = FUNCTION.create(requested("Function"))
    for _ in range(2):
        FUNCTION.delete(requested("Function"), created)
    names = [function.function_name for function in functions.backend.list_functions(None)]
    assert created.physical_id not in names


def test_log_lines_go_to_the_group_that_the_template_names(requested, functions, answer_of):
    created = FUNCTION.create(requested("Function", LoggingConfig={"LogGroup": "named"}))
    answer_of(created.physical_id)
    assert "named" in functions.logs.groups
    assert f"/aws/lambda/{created.physical_id}" not in functions.logs.groups


def test_versions_and_aliases_keep_what_they_were(requested, answer_of):
    first = requested("Function", Code=source("'one'"))
    function = FUNCTION.create(first)
    name = function.physical_id
    version_request = requested("Version", FunctionName=name)
    version = HANDLERS["AWS::Lambda::Version"].create(version_request)
    assert version.physical_id == version.attributes["FunctionArn"] == f"{function.attributes['Arn']}:1"
    alias_request = requested(
        "Alias", FunctionName=name, Name="live", FunctionVersion=version.attributes["Version"]
    )
    alias = HANDLERS["AWS::Lambda::Alias"].create(alias_request)
    assert alias.physical_id == f"{function.attributes['Arn']}:live"
    FUNCTION.update(requested("Function", Code=source("'two'")), function, first.properties)
    assert (answer_of(name), answer_of(name, qualifier="1"), answer_of(name, qualifier="live")) == (
        "two",
        "one",
        "one",
    )
    for kind, resource, request in (("Alias", alias, alias_request), ("Version", version, version_request)):
        for _ in range(2):
            HANDLERS[f"AWS::Lambda::{kind}"].delete(request, resource)


def test_a_permission_is_a_statement_of_the_functions_policy(requested, functions):
    name = FUNCTION.create(requested("Function")).physical_id
    handler = HANDLERS["AWS::Lambda::Permission"]
    request = requested(
        "Permission",
        FunctionName=functions.backend.get_function(name).function_arn,
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn="arn:aws:events:us-east-1:123456789012:rule/x",
    )
    permission = handler.create(request)
    (statement,) = functions.backend.get_function(name).policy.statements
    assert statement["Sid"] == permission.physical_id
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {
        "ArnLike": {"AWS:SourceArn": "arn:aws:events:us-east-1:123456789012:rule/x"}
    }
    for _ in range(2):
        handler.delete(request, permission)
    assert functions.backend.get_function(name).policy.statements == []


def test_a_layer_serves_a_function(requested, functions, answer_of):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("python/shared.py", "VALUE = 7")
    s3 = s3_backends[functions.cloud.account]["aws"]
    if "code" not in s3.buckets:
        s3.create_bucket("code", "us-east-1")
    s3.put_object("code", "layer.zip", buffer.getvalue())
    handler = HANDLERS["AWS::Lambda::LayerVersion"]
    request = requested("LayerVersion", Content={"S3Bucket": "code", "S3Key": "layer.zip"})
    layer = handler.create(request)
    function = FUNCTION.create(
        requested("Function", Code=source("__import__('shared').VALUE"), Layers=[layer.physical_id])
    )
    assert answer_of(function.physical_id) == 7
    for _ in range(2):
        handler.delete(request, layer)


def test_what_happens_to_failed_asynchronous_invocations_is_recorded(requested, functions):
    name = FUNCTION.create(requested("Function")).physical_id
    handler = HANDLERS["AWS::Lambda::EventInvokeConfig"]
    request = requested("EventInvokeConfig", FunctionName=name, Qualifier="$LATEST", MaximumRetryAttempts="1")
    created = handler.create(request)
    after = requested("EventInvokeConfig", FunctionName=name, Qualifier="$LATEST", MaximumRetryAttempts="0")
    handler.update(after, created, request.properties)
    assert functions.backend.get_function_event_invoke_config(name)["MaximumRetryAttempts"] == 0
    handler.delete(after, created)
    assert functions.backend.get_function(name).event_invoke_config == []
