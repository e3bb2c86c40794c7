"""A secret knows its database, and is rotated in four steps or stays as it was."""

import json
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from moto.secretsmanager.exceptions import InvalidRequestException, SecretsManagerClientError
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends

from localcloud.functions.runner import Functions, Outcome
from localcloud.resources import secret_rotation
from localcloud.resources.base import ResourceFailed

from .conftest import ACCOUNT, REGION
from .shop import create_cluster

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rotate"


def secrets():
    return secretsmanager_backends[ACCOUNT][REGION]


def value_of(secret_id, stage="AWSCURRENT"):
    return json.loads(secrets().get_secret_value(secret_id, None, stage)["SecretString"])


@pytest.fixture
def secret(stack):
    created = stack.create(
        "AWS::SecretsManager::Secret",
        "Secret",
        SecretString=json.dumps({"username": "shop_admin", "password": "first"}),
    )
    return created.physical_id


@dataclass
class RotationFunction:
    """Stands in for the functions of the cloud: rotates as the documentation's template does."""

    fails_at: str | None = None
    admits: list = field(
        default_factory=lambda: [
            {
                "Effect": "Allow",
                "Principal": {"Service": "secretsmanager.amazonaws.com"},
                "Action": "lambda:InvokeFunction",
                "Resource": "*",
                "Condition": {"StringEquals": {"AWS:SourceAccount": ACCOUNT}},
            }
        ]
    )
    events: list = field(default_factory=list)

    def invoke(self, function, event, *, waits=False):
        self.events.append(event)
        if event["Step"] == self.fails_at:
            return Outcome("id", json.dumps({"errorType": "Broken", "errorMessage": "at will"}), True, "")
        getattr(self, event["Step"])(event["SecretId"], event["ClientRequestToken"])
        return Outcome("id", "null", False, "")

    def createSecret(self, secret_id, version):  # noqa: N802 - the step's name
        value = {**value_of(secret_id), "password": f"rotated {len(self.events)}"}
        secrets().put_secret_value(secret_id, json.dumps(value), None, version, ["AWSPENDING"])

    def setSecret(self, secret_id, version):  # noqa: N802
        assert value_of(secret_id, "AWSPENDING") != value_of(secret_id)

    def testSecret(self, secret_id, version):  # noqa: N802
        assert value_of(secret_id, "AWSPENDING")

    def finishSecret(self, secret_id, version):  # noqa: N802
        stages = secrets().describe_secret(secret_id).versions
        current = next(name for name, one in stages.items() if "AWSCURRENT" in one["version_stages"])
        secrets().update_secret_version_stage(secret_id, "AWSCURRENT", current, version)


@pytest.fixture
def function(cloud, monkeypatch):
    function = RotationFunction()
    cloud.part(Functions, lambda _: function)
    monkeypatch.setattr(secret_rotation, "_function", lambda secret, arn: Registered(arn, function))
    return function


@dataclass
class Registered:
    """The function as Lambda knows it."""

    function_arn: str
    rotation: RotationFunction

    @property
    def policy(self):
        return SimpleNamespace(statements=self.rotation.admits)


def steps(function):
    return [event["Step"] for event in function.events]


def test_an_attached_secret_says_where_the_database_is(stack, secret):
    cluster = create_cluster(stack, Port=15432)
    attached = stack.create(
        "AWS::SecretsManager::SecretTargetAttachment",
        "Attachment",
        SecretId=secret,
        TargetId=cluster.physical_id,
        TargetType="AWS::RDS::DBCluster",
    )
    assert attached.physical_id == secret
    assert value_of(secret) == {
        "username": "shop_admin",
        "password": "first",
        "engine": stack.dialect.engine.secret_name,
        "host": cluster.attributes["Endpoint.Address"],
        "port": 15432,
        "dbname": "shop",
        "dbClusterIdentifier": cluster.physical_id,
    }
    stack.delete("Attachment")
    assert value_of(secret) == {"username": "shop_admin", "password": "first"}


def test_a_secret_is_attached_to_an_existing_cluster_only(stack, secret):
    for target, reason in (
        ({"TargetId": "missing", "TargetType": "AWS::RDS::DBCluster"}, "DBCluster missing not found"),
        ({"TargetId": "x", "TargetType": "AWS::RDS::DBInstance"}, "only AWS::RDS::DBCluster"),
    ):
        with pytest.raises(ResourceFailed, match=reason):
            stack.create("AWS::SecretsManager::SecretTargetAttachment", "Refused", SecretId=secret, **target)


def test_a_rotation_takes_four_steps_and_changes_the_secret(stack, secret, function):
    secrets().rotate_secret(secret_id=secret, rotation_lambda_arn=FUNCTION)
    assert steps(function) == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert {event["SecretId"] for event in function.events} == {secret}
    assert len({event["ClientRequestToken"] for event in function.events}) == 1
    assert value_of(secret)["password"] == "rotated 1"
    assert value_of(secret, "AWSPREVIOUS")["password"] == "first"


@pytest.mark.parametrize("condition", [None, {"ArnLike": {"AWS:SourceArn": "arn:aws:secretsmanager:*:*:x"}}])
def test_a_function_that_does_not_admit_secrets_manager_is_not_taken(stack, secret, function, condition):
    function.admits = [{**function.admits[0], "Condition": condition}] if condition else []
    with pytest.raises(SecretsManagerClientError, match=r"grants access to the principal secretsmanager\."):
        secrets().rotate_secret(secret_id=secret, rotation_lambda_arn=FUNCTION)
    assert function.events == []
    assert value_of(secret)["password"] == "first"


def test_a_secret_rotates_again_by_the_function_that_it_has(stack, secret, function):
    secrets().rotate_secret(secret_id=secret, rotation_lambda_arn=FUNCTION)
    secrets().rotate_secret(secret_id=secret)
    assert value_of(secret)["password"] == "rotated 5"


@pytest.mark.parametrize("step", ["createSecret", "setSecret", "testSecret", "finishSecret"])
def test_a_failed_rotation_leaves_the_secret_and_is_taken_up_again(stack, secret, function, step):
    function.fails_at = step
    secrets().rotate_secret(secret_id=secret, rotation_lambda_arn=FUNCTION)
    assert steps(function)[-1] == step
    assert value_of(secret)["password"] == "first"

    function.fails_at = None
    secrets().rotate_secret(secret_id=secret)
    assert value_of(secret)["password"].startswith("rotated")
    assert len({event["ClientRequestToken"] for event in function.events}) == 1


def test_a_secret_without_a_function_is_not_rotated(stack, secret):
    with pytest.raises(Exception, match="doesn't already have a Lambda function"):
        secrets().rotate_secret(secret_id=secret)
    with pytest.raises(Exception, match="can't find the Lambda function"):
        secrets().rotate_secret(secret_id=secret, rotation_lambda_arn=FUNCTION)
    assert value_of(secret)["password"] == "first"


def schedule(stack, secret, **properties):
    return stack.create(
        "AWS::SecretsManager::RotationSchedule",
        "Schedule",
        SecretId=secret,
        RotationLambdaARN=FUNCTION,
        RotationRules={"AutomaticallyAfterDays": "30"},
        **properties,
    )


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_schedule_rotates_at_once(stack, secret, function):
    schedule(stack, secret)
    wait_for(lambda: value_of(secret)["password"] == "rotated 1")
    record = secrets().describe_secret(secret)
    assert (record.rotation_enabled, record.auto_rotate_after_days) == (True, 30)


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ({"AutomaticallyAfterDays": 30}, 30),
        ({"ScheduleExpression": "rate(10 days)", "Duration": "2h"}, 10),
        ({"ScheduleExpression": "rate(4 hours)"}, 1),
        ({"ScheduleExpression": "cron(0 4 1 * ? *)"}, 0),
    ],
)
def test_the_rules_of_a_rotation_are_on_record(stack, secret, function, rules, days):
    secrets().rotate_secret(secret_id=secret, rotation_lambda_arn=FUNCTION, rotation_rules=rules)
    record = secrets().describe_secret(secret)
    assert record.to_dict()["RotationRules"] == rules
    assert record.auto_rotate_after_days == days
    assert record.next_rotation_date is None or record.next_rotation_date > time.time()


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"AutomaticallyAfterDays": 1001}, "must be within 1-1000"),
        ({"ScheduleExpression": "rate(1 hour)"}, "as often as every four hours"),
        ({"ScheduleExpression": "monthly"}, "schedule expression monthly is not valid"),
        ({"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"}, "can't specify both"),
    ],
)
def test_rules_that_are_no_schedule_are_refused(stack, secret, function, rules, reason):
    with pytest.raises(InvalidRequestException, match=reason):
        secrets().rotate_secret(secret_id=secret, rotation_lambda_arn=FUNCTION, rotation_rules=rules)


@pytest.mark.parametrize(
    ("fails_at", "names"),
    [
        (None, ["RotationStarted", "RotationSucceeded"]),
        ("setSecret", ["RotationStarted", "RotationFailed"]),
        ("finishSecret", ["RotationStarted", "RotationFailed"]),
    ],
)
def test_the_event_bus_hears_of_a_rotation(stack, secret, function, fails_at, names):
    queue = sqs_backends[ACCOUNT][REGION].create_queue(f"told-{time.monotonic_ns()}")
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    queue.policy = json.dumps(
        {"Version": "2012-10-17", "Statement": [{**allow, "Action": "sqs:SendMessage", "Resource": "*"}]}
    )
    pattern = {"source": ["aws.secretsmanager"], "detail": {"additionalEventData": {"SecretId": [secret]}}}
    stack.create(
        "AWS::Events::Rule",
        "Rule",
        EventPattern=pattern,
        Targets=[{"Id": "t", "Arn": queue.queue_arn}],
    )
    function.fails_at = fails_at
    secrets().rotate_secret(secret_id=secret, rotation_lambda_arn=FUNCTION)
    wait_for(lambda: len(queue._messages) == 2)
    told = [json.loads(message.body) for message in queue._messages]
    assert [one["detail"]["eventName"] for one in told] == names
    assert {one["detail-type"] for one in told} == {"AWS Service Event via CloudTrail"}


def test_a_schedule_that_shall_not_rotate_at_once_tests_and_leaves_the_secret(stack, secret, function):
    schedule(stack, secret, RotateImmediatelyOnUpdate=False)
    wait_for(lambda: steps(function) == ["testSecret"])
    wait_for(lambda: len(secrets().describe_secret(secret).versions) == 1)
    assert value_of(secret)["password"] == "first"


def test_a_deleted_schedule_rotates_no_more(stack, secret, function):
    schedule(stack, secret, RotateImmediatelyOnUpdate="false")
    wait_for(lambda: steps(function) == ["testSecret"])
    stack.delete("Schedule")
    with pytest.raises(Exception, match="doesn't already have a Lambda function"):
        secrets().rotate_secret(secret_id=secret)


def test_a_hosted_rotation_is_refused(stack, secret):
    with pytest.raises(ResourceFailed, match="HostedRotationLambda"):
        stack.create(
            "AWS::SecretsManager::RotationSchedule",
            "Hosted",
            SecretId=secret,
            HostedRotationLambda={"RotationType": "PostgreSQLSingleUser"},
        )
