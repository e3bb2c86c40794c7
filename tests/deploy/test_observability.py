"""What watches the shop, on the local cloud: metrics arrive, alarms fire, and who subscribed is told."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest

from stacks.settings import kind_on
from tests.deploy.clients import ROOT, App

PATIENCE_SECONDS = 60
SMOKE_TEST_ORDERS = 4
"""What one smoke test places; two of its five attempts are refused, and one repeats another."""


def eventually(look):
    """Return the first answer that is something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


class Watched:
    """A deployment with a queue that is subscribed to its alarms."""

    def __init__(self, cloud, name):
        self.cloud, self.name = cloud, name
        self.app = App(cloud, ROOT)
        self.cloudwatch, self._sqs = cloud.client("cloudwatch"), cloud.client("sqs")
        self.heard: list[dict] = []

    def subscribe(self):
        topic = self.outputs("observability")["AlarmTopicArn"]
        self.queue = self._sqs.create_queue(QueueName=f"{self.name}-alarms")["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy})
        self.cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def outputs(self, part):
        return self.app.outputs(f"shop-{self.name}-{part}")

    def sum_of(self, metric, **dimensions):
        """Return the sum of a metric of the shop over the last hour."""
        given = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        stat = {
            "Metric": {"Namespace": "Shop", "MetricName": metric, "Dimensions": given},
            "Period": 3600,
            "Stat": "Sum",
        }
        now = datetime.now(UTC)
        (found,) = self.cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "m", "MetricStat": stat}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
        )["MetricDataResults"]
        return sum(found["Values"])

    def told(self, wanted):
        """Return the first message that is wanted, of those that have arrived and will."""

        def look():
            messages = self._sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            for one in messages.get("Messages", []):
                self._sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=one["ReceiptHandle"])
                self.heard.append(json.loads(json.loads(one["Body"])["Message"]))
            return next((message for message in self.heard if wanted(message)), None)

        return eventually(look)

    def alarm(self, name, state):
        """Return the message that tells of an alarm's new state."""
        full = f"shop-{self.name}-{name}"
        return self.told(lambda said: said.get("AlarmName") == full and said.get("NewStateValue") == state)

    def states(self):
        alarms = self.cloud.items("cloudwatch", "describe_alarms", "MetricAlarms")
        return {one["AlarmName"].removeprefix(f"shop-{self.name}-"): one["StateValue"] for one in alarms}

    def smoke(self):
        """Run the smoke test; return whether it passed."""
        function = self.outputs("schema")["SmokeTestFunction"]
        answer = self.cloud.client("lambda").invoke(FunctionName=function, Payload=b"{}")
        return "FunctionError" not in answer

    def change_stock(self, by):
        database = self.outputs("database")
        self.cloud.query(
            f"UPDATE shop.inventory SET stock = stock + {by:d} WHERE warehouse_id = 2",
            host=database["ClusterEndpoint"],
            secret=database["AdminSecretArn"],
        )


@pytest.fixture(scope="module")
def watched(cloud, engine):
    """A deployment of this engine, in the module's cloud."""
    watched = Watched(cloud, kind_on("local", engine))
    assembly = f"observability-{cloud.name}-{engine}"
    watched.app.synthesize(assembly, deployment="local", engine=engine)
    watched.app.bootstrap(assembly)
    watched.app.deploy(assembly)
    watched.subscribe()
    yield watched
    watched.app.destroy(assembly)
    shutil.rmtree(ROOT / f"cdk.out.{assembly}")
    assert [one for one in cloud.left_over() if "alarms" in one or "topics" in one] == []


def test_the_smoke_test_s_orders_are_metrics_and_no_customer_s(watched):
    smoke_test = {"Deployment": watched.name, "Caller": "smoke-test"}
    assert eventually(lambda: watched.sum_of("Orders", **smoke_test)) == SMOKE_TEST_ORDERS
    assert watched.sum_of("OrderLines", **smoke_test) > SMOKE_TEST_ORDERS
    assert watched.sum_of("Revenue", **smoke_test) > 0
    assert watched.sum_of("Refusals", **smoke_test, Reason="OutOfStock") == 1
    assert watched.sum_of("SmokeTestPassed", Deployment=watched.name) == 1
    assert watched.sum_of("SeedLines", Deployment=watched.name) > 100
    assert watched.sum_of("MigrationsApplied", Deployment=watched.name) > 0
    assert watched.sum_of("Orders", Deployment=watched.name, Caller="customers") == 0


def test_the_dashboard_shows_the_alarms_that_are_there(watched):
    name = watched.outputs("observability")["DashboardName"]
    body = json.loads(watched.cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    alarms = watched.cloud.items("cloudwatch", "describe_alarms", "MetricAlarms")
    assert set(body["widgets"][0]["properties"]["alarms"]) == {one["AlarmArn"] for one in alarms}
    functions = {one["FunctionName"] for one in watched.cloud.items("lambda", "list_functions", "Functions")}
    shown = {
        metric[3]
        for widget in body["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "AWS/Lambda"
    }
    assert shown
    assert shown <= functions


def test_after_a_deployment_nothing_is_wrong(watched):
    """What is counted or measured here is known to be well; what is not (a CPU) is said to be unknown."""
    known = {
        "smoke-test", "order-failures", "errors-smoke-test", "errors-seed-data", "errors-apply-schema",
        "connections-writer", "connections-readers", "replica-lag",
    }  # fmt: skip
    eventually(lambda: all(watched.states()[name] == "OK" for name in known))
    states = watched.states()
    assert {name: states[name] for name in known} == dict.fromkeys(known, "OK")
    assert [name for name, state in states.items() if state == "ALARM"] == []


def test_a_smoke_test_that_fails_is_an_alarm_that_is_told_with_what_to_do(watched):
    assert watched.smoke()
    watched.change_stock(+1)
    assert not watched.smoke(), "stock that no movement explains breaks an invariant"
    said = watched.alarm("smoke-test", "ALARM")
    assert said, watched.states()
    assert "NEXT: The function's log names each failed check" in said["AlarmDescription"]
    assert watched.alarm("errors-smoke-test", "ALARM"), watched.states()
    assert watched.sum_of("SmokeTestFailed", Deployment=watched.name) == 1
    watched.change_stock(-1)
    assert watched.smoke()


def test_a_trace_shows_the_work_in_the_database_and_nothing_of_its_content(watched):
    began = datetime.now(UTC) - timedelta(seconds=5)
    assert watched.smoke()
    xray = watched.cloud.client("xray")

    def traced():
        ended = datetime.now(UTC) + timedelta(seconds=5)
        found = xray.get_trace_summaries(StartTime=began, EndTime=ended)["TraceSummaries"]
        ids = [one["Id"] for one in found]
        traces = xray.batch_get_traces(TraceIds=ids)["Traces"] if ids else []
        documents = [json.loads(one["Document"]) for trace in traces for one in trace["Segments"]]
        names = {one["name"] for one in documents}
        return documents if {"connect", "place_order", "order_commits_whole"} <= names else None

    documents = eventually(traced)
    assert documents
    orders = [one for one in documents if one["name"] == "place_order"]
    assert {key for one in orders for key in one["annotations"]} <= {"lines", "error"}
    assert "SMOKE-TEST-A" not in json.dumps(documents)


def test_a_failover_is_told_by_rds(watched):
    watched.cloud.client("rds").failover_db_cluster(DBClusterIdentifier=f"shop-{watched.name}")
    said = watched.told(lambda said: "failover" in said.get("Event Message", "").lower())
    assert said, watched.heard
    assert said["Source ID"] == f"shop-{watched.name}"


def test_a_rotation_that_fails_is_told(watched):
    """Its function is not let run: the rotation has failed, whatever the reason."""
    database = watched.outputs("database")
    functions = watched.cloud.items("lambda", "list_functions", "Functions")
    (rotation,) = [
        one["FunctionName"]
        for one in functions
        if one["FunctionName"].startswith(f"shop-{watched.name}-database-RotateSecret")
    ]
    client = watched.cloud.client("lambda")
    variables = client.get_function_configuration(FunctionName=rotation)["Environment"]["Variables"]
    client.update_function_configuration(
        FunctionName=rotation, Environment={"Variables": {**variables, "CLUSTER_ENDPOINT": "nowhere.invalid"}}
    )
    try:
        watched.cloud.client("secretsmanager").rotate_secret(SecretId=database["AdminSecretArn"])
        said = watched.told(lambda said: said.get("detail", {}).get("eventName") == "RotationFailed")
        assert said, watched.heard
        assert said["detail"]["additionalEventData"]["SecretId"] == database["AdminSecretArn"]
        assert watched.alarm("errors-rotate-secret", "ALARM"), watched.states()
    finally:
        client.update_function_configuration(FunctionName=rotation, Environment={"Variables": variables})
