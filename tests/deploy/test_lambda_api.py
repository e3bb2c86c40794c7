"""Lambda's API over HTTP: what boto3 sees of functions that are processes."""

import base64
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import pytest

SOURCE = """
import pathlib, time
def handler(event, context):
    print("got", event if len(str(event)) < 100 else "much")
    if event == "fail":
        raise ValueError("as asked")
    if str(event).startswith("meet"):
        place = pathlib.Path(event.removeprefix("meet "))
        (place / context.aws_request_id).touch()
        while len(list(place.iterdir())) < 4:
            time.sleep(0.01)
    return {"event": event, "version": context.function_version, "arn": context.invoked_function_arn}
"""


@pytest.fixture(scope="module")
def lambda_(cloud):
    return cloud.client("lambda")


@pytest.fixture(scope="module")
def function(cloud, lambda_):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
             "Principal": {"Service": "lambda.amazonaws.com"}}]}  # fmt: skip
    role = cloud.client("iam").create_role(
        RoleName="for-functions", AssumeRolePolicyDocument=json.dumps(trust)
    )
    cloud.client("iam").attach_role_policy(
        RoleName="for-functions",
        PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("index.py", SOURCE)
    created = lambda_.create_function(
        FunctionName="echo",
        Runtime="python3.13",
        Handler="index.handler",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": archive.getvalue()},
        Timeout=60,
        Publish=True,
    )
    return created["FunctionName"]


def test_a_result_comes_with_status_and_log(lambda_, function):
    answer = lambda_.invoke(FunctionName=function, Payload=b'{"a": 1}', LogType="Tail")
    assert json.load(answer["Payload"])["event"] == {"a": 1}
    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert "got {'a': 1}" in base64.b64decode(answer["LogResult"]).decode()


def test_a_handlers_exception_is_an_unhandled_error(lambda_, function):
    answer = lambda_.invoke(FunctionName=function, Payload=b'"fail"')
    assert answer["FunctionError"] == "Unhandled"
    assert json.load(answer["Payload"])["errorType"] == "ValueError"


def test_an_asynchronous_invocation_answers_at_once_and_runs(cloud, lambda_, function):
    lambda_.invoke(FunctionName=function, Payload=b'"the first makes the log group"')
    started = time.monotonic()
    answer = lambda_.invoke(FunctionName=function, InvocationType="Event", Payload=b'"later"')
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    logs = cloud.client("logs")
    while True:
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", filterPattern="later")[
            "events"
        ]
        if found:
            break
        assert time.monotonic() - started < 60
        time.sleep(0.05)


def test_a_dry_run_runs_nothing(cloud, lambda_, function):
    lambda_.invoke(FunctionName=function, Payload=b'"the first makes the log group"')
    answer = lambda_.invoke(FunctionName=function, InvocationType="DryRun", Payload=b'"never"')
    assert answer["StatusCode"] == 204
    time.sleep(0.3)
    logs = cloud.client("logs")
    assert not logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", filterPattern="never")["events"]


def test_payloads_up_to_six_megabytes_are_taken_and_no_more(lambda_, function):
    answer = lambda_.invoke(FunctionName=function, Payload=json.dumps("x" * 5_900_000).encode())
    assert len(json.load(answer["Payload"])["event"]) == 5_900_000
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        lambda_.invoke(FunctionName=function, Payload=json.dumps("x" * 6_291_456).encode())
    assert refused.value.response["Error"]["Code"] == "RequestTooLargeException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_a_payload_that_is_no_json_is_refused(lambda_, function):
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        lambda_.invoke(FunctionName=function, Payload=b"{nonsense")
    assert refused.value.response["Error"]["Code"] == "InvalidRequestContentException"


def test_invocations_at_the_same_time_do_not_wait_for_each_other(lambda_, function, tmp_path):
    each = json.dumps(f"meet {tmp_path}").encode()  # none ends before all four have begun
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: lambda_.invoke(FunctionName=function, Payload=each), range(4)))
    assert all("FunctionError" not in answer for answer in answers)


def test_a_published_version_stays_as_it_was(lambda_, function):
    published = lambda_.publish_version(FunctionName=function)
    lambda_.update_function_configuration(FunctionName=function, Timeout=11)
    second = lambda_.publish_version(FunctionName=function)["Version"]
    lambda_.delete_function(FunctionName=function, Qualifier=second)
    lambda_.update_function_configuration(FunctionName=function, Timeout=12)
    third = lambda_.publish_version(FunctionName=function)["Version"]
    assert len({published["Version"], second, third}) == 3
    answer = json.load(
        lambda_.invoke(FunctionName=function, Qualifier=published["Version"], Payload=b"1")["Payload"]
    )
    assert answer["version"] == published["Version"]
    assert answer["arn"].endswith(f":{function}:{published['Version']}")
