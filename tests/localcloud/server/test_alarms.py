"""Alarms ring: from a metric to a message in a queue, and not where a policy stands between."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.localcloud.server.deploying import TRUST, DeploymentFailed, key_for, ref, resource

ACCOUNT = "123456789012"
PATIENCE_SECONDS = 60.0


def eventually(look: Callable[[], Any]) -> Any:
    """Return the first answer that is not empty."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def statement(service: str, action: str, **condition: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": "*",
        **({"Condition": condition} if condition else {}),
    }


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def mailbox(
    topic_policy: dict[str, Any] | None = None, queue_policy: dict[str, Any] | None = None, **topic: Any
) -> dict[str, Any]:
    """Return a topic with a queue behind it; by default everybody is let in who should be."""
    services = ("cloudwatch", "events", "events.rds")
    allowed = [statement(f"{name}.amazonaws.com", "sns:Publish") for name in services]
    taken = statement("sns.amazonaws.com", "sqs:SendMessage", ArnEquals={"aws:SourceArn": ref("Topic")})
    return {
        "Topic": resource("AWS::SNS::Topic", **topic),
        "TopicPolicy": resource(
            "AWS::SNS::TopicPolicy", Topics=[ref("Topic")], PolicyDocument=topic_policy or policy(*allowed)
        ),
        "Queue": resource("AWS::SQS::Queue"),
        "QueuePolicy": resource(
            "AWS::SQS::QueuePolicy", Queues=[ref("Queue")], PolicyDocument=queue_policy or policy(taken)
        ),
        "Subscription": resource(
            "AWS::SNS::Subscription",
            TopicArn=ref("Topic"),
            Protocol="sqs",
            Endpoint={"Fn::GetAtt": ["Queue", "Arn"]},
        ),
    }


def alarm(namespace: str, **changed: Any) -> dict[str, Any]:
    given = {
        "Namespace": namespace,
        "MetricName": "Failures",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmDescription": "orders fail",
        "AlarmActions": [ref("Topic")],
    }
    return {
        **resource("AWS::CloudWatch::Alarm", **{**given, **changed}),
        "DependsOn": [name for name in mailbox() if name != "Topic"],
    }


def received(server: Any, queue: str) -> list[dict[str, Any]]:
    """Return what has arrived in the queue since the last look, as SNS wraps it."""
    messages = server.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    found = []
    for one in messages.get("Messages", []):
        server.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        found.append(json.loads(one["Body"]))
    return found


def state(server: Any, name: str) -> str:
    [found] = server.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(found["StateValue"])


def refusals(server: Any) -> list[dict[str, str]]:
    status = json.loads(server.run("status", "--json").stdout)
    found: list[dict[str, str]] = status["refusals"]
    return found


def test_a_metric_over_its_threshold_ends_in_a_message(server, stack):
    ids = stack.deploy(**mailbox(), Alarm=alarm(stack.name, OKActions=[ref("Topic")]))
    assert eventually(lambda: state(server, ids["Alarm"]) == "OK"), "missing data is not breaching"
    [calm] = eventually(lambda: received(server, ids["Queue"]))
    assert json.loads(calm["Message"])["OldStateValue"] == "INSUFFICIENT_DATA"
    server.client("cloudwatch").put_metric_data(
        Namespace=stack.name, MetricData=[{"MetricName": "Failures", "Value": 3, "Unit": "Count"}]
    )
    [wrapped] = eventually(lambda: received(server, ids["Queue"]))
    assert wrapped["Subject"] == f'ALARM: "{ids["Alarm"]}" in US East (N. Virginia)'
    assert wrapped["TopicArn"] == ids["Topic"] and wrapped["Type"] == "Notification"
    message = json.loads(wrapped["Message"])
    assert message["AlarmName"] == ids["Alarm"] and message["AlarmDescription"] == "orders fail"
    assert (message["OldStateValue"], message["NewStateValue"]) == ("OK", "ALARM")
    assert message["NewStateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [3.0 (")
    assert message["AWSAccountId"] == ACCOUNT and message["AlarmArn"].endswith(f":alarm:{ids['Alarm']}")
    assert message["Trigger"] == {
        "MetricName": "Failures",
        "Namespace": stack.name,
        "StatisticType": "Statistic",
        "Statistic": "SUM",
        "Unit": None,
        "Dimensions": [],
        "Period": 60,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1.0,
        "TreatMissingData": "notBreaching",
        "EvaluateLowSampleCountPercentile": "",
    }
    assert state(server, ids["Alarm"]) == "ALARM"
    changed = stack.deploy(**mailbox(), Alarm=alarm(stack.name, Threshold=2))
    assert changed == ids and state(server, ids["Alarm"]) == "ALARM", "an update leaves the state"
    assert received(server, ids["Queue"]) == []
    stack.delete()


def test_an_alarm_over_metric_math_and_one_over_alarms(server, stack):
    def query(name: str, **more: Any) -> dict[str, Any]:
        metric = {"Namespace": stack.name, "MetricName": name}
        stat = {"Metric": metric, "Period": 60, "Stat": "Sum"}
        return {"Id": name.lower(), "MetricStat": stat, "ReturnData": False, **more}

    share = {"Id": "share", "Expression": "100 * failures / orders", "Label": "failed %"}
    given = alarm(stack.name, Metrics=[query("Failures"), query("Orders"), share], Threshold=10)
    for name in ("Namespace", "MetricName", "Statistic", "Period", "AlarmActions"):
        del given["Properties"][name]
    quoted = {"Fn::Join": ["", ['ALARM("', ref("Share"), '")']]}
    ids = stack.deploy(
        **mailbox(),
        Share=given,
        Any=resource("AWS::CloudWatch::CompositeAlarm", AlarmRule=quoted, AlarmActions=[ref("Topic")]),
    )
    data = [{"MetricName": "Orders", "Value": 20}, {"MetricName": "Failures", "Value": 1}]
    server.client("cloudwatch").put_metric_data(Namespace=stack.name, MetricData=data)
    assert eventually(lambda: state(server, ids["Share"]) == "OK")
    server.client("cloudwatch").put_metric_data(Namespace=stack.name, MetricData=[data[1]])
    [wrapped] = eventually(lambda: received(server, ids["Queue"]))
    message = json.loads(wrapped["Message"])
    assert message["AlarmName"] == ids["Any"] and message["NewStateValue"] == "ALARM"
    assert ids["Share"] in message["AlarmRule"]
    assert state(server, ids["Share"]) == "ALARM"
    stack.delete()


def test_a_state_that_is_set_is_acted_upon_and_lasts_until_the_next_look(server, stack):
    ids = stack.deploy(**mailbox(), Alarm=alarm(stack.name))
    assert eventually(lambda: state(server, ids["Alarm"]) == "OK")
    server.client("cloudwatch").set_alarm_state(
        AlarmName=ids["Alarm"], StateValue="ALARM", StateReason="a drill"
    )
    [wrapped] = eventually(lambda: received(server, ids["Queue"]))
    assert json.loads(wrapped["Message"])["NewStateReason"] == "a drill"
    assert eventually(lambda: state(server, ids["Alarm"]) == "OK")
    stack.delete()


def test_an_alarm_whose_actions_are_off_moves_and_tells_nobody(server, stack):
    ids = stack.deploy(**mailbox(), Alarm=alarm(stack.name, ActionsEnabled=False))
    server.client("cloudwatch").put_metric_data(
        Namespace=stack.name, MetricData=[{"MetricName": "Failures", "Value": 1}]
    )
    assert eventually(lambda: state(server, ids["Alarm"]) == "ALARM")
    time.sleep(0.5)
    assert received(server, ids["Queue"]) == []
    stack.delete()


CLOUDWATCH = "cloudwatch.amazonaws.com"
REFUSED = {
    "the topic's policy": (
        lambda _: mailbox(policy(statement("s3.amazonaws.com", "sns:Publish"))),
        "sns:Publish on",
    ),
    "another alarm's policy": (
        lambda _: mailbox(
            policy(
                statement(CLOUDWATCH, "sns:Publish", ArnEquals={"aws:SourceArn": "arn:aws:cloudwatch:::x"})
            )
        ),
        "sns:Publish on",
    ),
    "the topic's key": (
        lambda server: mailbox(KmsMasterKeyId=key_for(server, "s3.amazonaws.com")),
        "the key",
    ),
    "a key of AWS's": (lambda _: mailbox(KmsMasterKeyId="alias/aws/sns"), "is AWS's and names no service"),
    "the queue's policy": (
        lambda _: mailbox(queue_policy=policy(statement("s3.amazonaws.com", "sqs:SendMessage"))),
        "sqs:SendMessage on",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_arrives_where_a_policy_is_in_the_way_and_status_says_so(server, stack, case):
    made, reason = REFUSED[case]
    ids = stack.deploy(**made(server), Alarm=alarm(stack.name))
    server.client("cloudwatch").set_alarm_state(
        AlarmName=ids["Alarm"], StateValue="ALARM", StateReason="a drill"
    )
    topic = ids["Topic"]
    told = eventually(
        lambda: [
            one
            for one in refusals(server)
            if reason in one["reason"] and (topic in one["reason"] or topic in one["who"])
        ]
    )
    assert told, refusals(server)
    assert received(server, ids["Queue"]) == []
    stack.delete()


def test_an_encrypted_topic_whose_key_lets_cloudwatch_use_it(server, stack):
    ids = stack.deploy(**mailbox(KmsMasterKeyId=key_for(server, CLOUDWATCH)), Alarm=alarm(stack.name))
    server.client("cloudwatch").set_alarm_state(
        AlarmName=ids["Alarm"], StateValue="ALARM", StateReason="a drill"
    )
    assert eventually(lambda: received(server, ids["Queue"]))
    stack.delete()


def test_a_topic_without_a_policy_of_its_own_lets_its_owners_alarms_publish(server, stack):
    parts = mailbox()
    del parts["TopicPolicy"]
    rings = alarm(stack.name)
    rings["DependsOn"].remove("TopicPolicy")
    ids = stack.deploy(**parts, Alarm=rings)
    server.client("cloudwatch").set_alarm_state(
        AlarmName=ids["Alarm"], StateValue="ALARM", StateReason="a drill"
    )
    assert eventually(lambda: received(server, ids["Queue"]))
    stack.delete()


def test_a_rule_hears_of_alarms_and_shapes_what_it_sends(server, stack):
    pattern = {"source": ["aws.cloudwatch"], "detail": {"state": {"value": ["ALARM"]}}}
    transformer = {
        "InputPathsMap": {"name": "$.detail.alarmName", "why": "$.detail.state"},
        "InputTemplate": '{"text": "rings: <name>", "state": <why>}',
    }
    targets = [{"Id": "t", "Arn": ref("Topic"), "InputTransformer": transformer}]
    ids = stack.deploy(
        **mailbox(),
        Rule=resource("AWS::Events::Rule", EventPattern=pattern, Targets=targets),
        Alarm=alarm(stack.name, AlarmActions=[]),
    )
    server.client("cloudwatch").set_alarm_state(
        AlarmName=ids["Alarm"], StateValue="ALARM", StateReason='a "drill"'
    )
    [wrapped] = eventually(lambda: received(server, ids["Queue"]))
    message = json.loads(wrapped["Message"])
    assert message["text"] == f"rings: {ids['Alarm']}"
    assert message["state"]["value"] == "ALARM" and message["state"]["reason"] == 'a "drill"'
    stack.delete()


def test_a_rule_whose_topic_asks_for_the_source_is_not_heard(server, stack):
    """EventBridge tells topics of no source, whatever their policies ask for."""
    source = {"ArnLike": {"aws:SourceArn": f"arn:aws:events:us-east-1:{ACCOUNT}:rule/*"}}
    ids = stack.deploy(
        **mailbox(policy(statement("events.amazonaws.com", "sns:Publish", **source))),
        Rule=resource(
            "AWS::Events::Rule",
            EventPattern={"source": [stack.name]},
            Targets=[{"Id": "t", "Arn": ref("Topic")}],
        ),
    )
    entry = {"Source": stack.name, "DetailType": "Order", "Detail": "{}"}
    server.client("events").put_events(Entries=[entry])
    assert eventually(lambda: [one for one in refusals(server) if ids["Topic"] in one["reason"]])
    assert received(server, ids["Queue"]) == []
    stack.delete()


def test_events_that_are_put_reach_topics_and_functions(server, stack):
    code = "def handler(event, context): print('got', event['detail']['order'])"
    rights = policy({"Effect": "Allow", "Action": "logs:*", "Resource": "*"})
    arn = {"Fn::GetAtt": ["Function", "Arn"]}
    ids = stack.deploy(
        **mailbox(),
        Role=resource(
            "AWS::IAM::Role",
            AssumeRolePolicyDocument=TRUST,
            Policies=[{"PolicyName": "p", "PolicyDocument": rights}],
        ),
        Function=resource(
            "AWS::Lambda::Function",
            Handler="index.handler",
            Role={"Fn::GetAtt": ["Role", "Arn"]},
            Runtime="python3.13",
            Code={"ZipFile": code},
        ),
        Permission=resource(
            "AWS::Lambda::Permission",
            Action="lambda:InvokeFunction",
            FunctionName=ref("Function"),
            Principal="events.amazonaws.com",
        ),
        Rule=resource(
            "AWS::Events::Rule",
            EventPattern={"source": [stack.name]},
            Targets=[{"Id": "t", "Arn": ref("Topic")}, {"Id": "f", "Arn": arn}],
        ),
    )
    entry = {"Source": stack.name, "DetailType": "Order", "Detail": '{"order": 7}', "Time": datetime.now(UTC)}
    assert server.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    [wrapped] = eventually(lambda: received(server, ids["Queue"]))
    assert json.loads(wrapped["Message"])["detail"] == {"order": 7}

    def lines() -> list[str]:
        group = f"/aws/lambda/{ids['Function']}"
        try:
            events = server.client("logs").filter_log_events(logGroupName=group)["events"]
        except Exception:
            return []
        return [one["message"] for one in events if "got 7" in one["message"]]

    assert eventually(lines)
    stack.delete()


def test_a_dashboard_that_nobody_could_draw_is_refused(stack):
    widget = {"type": "metrics", "x": 20, "width": 12, "properties": {}}
    body = json.dumps({"widgets": [widget]})
    with pytest.raises(DeploymentFailed, match="there are 2 validation errors"):
        stack.deploy(Dashboard=resource("AWS::CloudWatch::Dashboard", DashboardBody=body))
