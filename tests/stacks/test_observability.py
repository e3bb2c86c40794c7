"""What is watched: every alarm reaches somebody, says what to do, fires when it should, names what exists."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from aurora.metrics import NAMESPACE, UNITS
from operate.dashboard_picture import PICTURE, picture
from stacks.alarms import Alarm, alarms
from stacks.capacity import class_gib, max_connections, memory_bytes
from stacks.dashboard import WIDTH, Watched, dashboard_body
from stacks.engines import ENGINES
from stacks.settings import DEPLOYMENTS, Instances, ObservabilitySettings, ServerlessV2
from stacks.validation import validate
from tests.stacks.conftest import EVERYWHERE, chosen, of_kind
from tests.stacks.documented_metrics import EVENT_CATEGORIES, METRICS
from tests.stacks.synthesized import as_list, referred, synthesize

FUNCTIONS = {
    name: f"function-{name}" for name in ("apply-schema", "seed-data", "smoke-test", "rotate-secret")
}
GIB = 1024**3


def rows(kind, engine):
    return alarms(chosen(kind, engine), FUNCTIONS)


EVERY_ROW = [
    pytest.param(kind, engine, row, id=f"{kind}-{engine}-{row.name}")
    for kind, engine in EVERYWHERE
    for row in rows(kind, engine)
]


# The table.


@pytest.mark.parametrize(("kind", "engine", "row"), EVERY_ROW)
def test_an_alarm_names_a_metric_as_it_is_documented(kind, engine, row):
    """A name that is misspelt, or dimensions under which nothing is sent, would be silent for ever."""
    dimensions = frozenset(row.metric.dimensions)
    if row.metric.namespace == NAMESPACE:
        assert row.metric.name in UNITS
        assert UNITS[row.metric.name].value == row.unit
        assert dimensions == (
            {"Deployment"} if row.metric.name.startswith("SmokeTest") else {"Deployment", "Caller"}
        )
        return
    documented = METRICS[row.metric.namespace][row.metric.name]
    assert row.unit == documented.unit, documented.page
    assert dimensions in documented.dimensions, documented.page
    assert engine in documented.engines, documented.page


@pytest.mark.parametrize(("kind", "engine", "row"), EVERY_ROW)
def test_an_alarm_says_why_and_what_to_do_in_what_cloudwatch_takes(kind, engine, row):
    assert len(row.description) <= 1024
    assert len(row.why.split()) > 5
    assert len(row.what_to_do.split()) > 5
    assert row.description.endswith(f"NEXT: {row.what_to_do}")
    assert not re.search(r"[{}]|  ", row.description), "a text that was not filled in, or badly joined"


@pytest.mark.parametrize(("kind", "engine", "row"), EVERY_ROW)
def test_an_alarm_s_window_is_one_that_cloudwatch_takes(kind, engine, row):
    """PutMetricAlarm: one day at most, seven where periods are an hour or longer."""
    longest = 7 * 86400 if row.period_seconds >= 3600 else 86400
    assert row.period_seconds * row.periods <= longest
    assert row.period_seconds % 60 == 0
    assert 1 <= (row.breaches or row.periods) <= row.periods


HEALTHY_AND_ILL: dict[str, tuple[float, float]] = {
    # by the shop's ordinary life, and by what somebody has to hear of; units as in the table
    "no-orders": (3, 0),
    "order-failures": (0, 1),
    "order-latency": (8, 1500),
    "smoke-test": (0, 1),
    "cpu": (35, 97),
    "connections": (20, 4999),
    "memory": (1.0 * GIB, 50_000_000),
    "acu": (50, 100),
    "replica-lag": (30, 30_000),
    "deadlocks": (0, 1 / 300),
    "transaction-ids": (200_000_000, 1_500_000_000),
    "history-list": (2000, 3_000_000),
    "storage-growth": (0.3 * GIB, 300 * GIB),
    "proxy-borrow-latency": (300, 2_000_000),
    "proxy-pinning": (4, 4000),
    "proxy-refused-logins": (0, 100),
    "errors": (0, 1),
    "throttles": (0, 1),
}
SIZED = {"memory-writer", "memory-readers"}


def kind_of(row: Alarm) -> str:
    """Return the row's name without what it is about: `cpu-writer` is one of `cpu`."""
    return next(name for name in HEALTHY_AND_ILL if row.name == name or row.name.startswith(f"{name}-"))


def breaches(row: Alarm, value: float) -> bool:
    compare = {">": value > row.threshold, ">=": value >= row.threshold, "<": value < row.threshold}
    return compare[row.comparison]


def state(row: Alarm, values: list[float | None]) -> str:
    """Return what CloudWatch makes of the last periods; None is a period without data."""
    treated = {"breaching": True, "notBreaching": False}
    if row.missing == "missing" and all(value is None for value in values):
        return "INSUFFICIENT_DATA"
    past = [
        treated.get(row.missing, False) if value is None else breaches(row, value)
        for value in values[-row.periods :]
    ]
    return "ALARM" if sum(past) >= (row.breaches or row.periods) else "OK"


@pytest.mark.parametrize(("kind", "engine", "row"), EVERY_ROW)
def test_an_alarm_fires_when_it_should_and_not_in_ordinary_life(kind, engine, row):
    healthy, ill = HEALTHY_AND_ILL[kind_of(row)]
    if row.name in SIZED:
        memory = memory_bytes(chosen(kind, engine).database.capacity)
        healthy, ill = memory * 0.4, memory * 0.02
    assert state(row, [healthy] * row.periods) == "OK"
    assert state(row, [ill] * row.periods) == "ALARM"
    if row.periods > 1 and row.breaches is None:
        assert state(row, [ill, *[healthy] * (row.periods - 1)]) == "OK", "one period alone is not an alarm"


@pytest.mark.parametrize(("kind", "engine", "row"), EVERY_ROW)
def test_what_silence_means_is_decided(kind, engine, row):
    """Silence of what is always measured is unknown, of what is counted peace, of orders the alarm itself."""
    silent = state(row, [None] * row.periods)
    if row.name == "no-orders":
        assert silent == "ALARM"
    elif (
        row.metric.namespace == "AWS/RDS" and "ProxyName" not in row.metric.dimensions and not row.expression
    ):
        assert silent == "INSUFFICIENT_DATA"
    else:
        assert silent == "OK"


@pytest.mark.parametrize(("kind", "engine"), EVERYWHERE)
def test_everything_that_is_to_be_watched_is(kind, engine):
    watched = {row.metric.name for row in rows(kind, engine)}
    deployment = chosen(kind, engine)
    expected = {
        "CPUUtilization", "FreeableMemory", "DatabaseConnections", "AuroraReplicaLag", "Deadlocks",
        "VolumeBytesUsed", "DatabaseConnectionsBorrowLatency", "DatabaseConnectionsCurrentlySessionPinned",
        "ClientConnectionsSetupFailedAuth", "Errors", "Throttles",
        "SmokeTestFailed", "OrderFailures", "OrderLatency",
    }  # fmt: skip
    expected |= {
        "MaximumUsedTransactionIDs" if engine == "postgresql" else "RollbackSegmentHistoryListLength"
    }
    expected |= {"ACUUtilization"} if isinstance(deployment.database.capacity, ServerlessV2) else set()
    expected |= {"Orders"} if kind == "production" else set()
    assert watched == expected


def test_names_are_unique_and_about_this_deployment():
    for kind, engine in EVERYWHERE:
        names = [row.name for row in rows(kind, engine)]
        assert len(set(names)) == len(names)


def test_without_a_proxy_or_a_reader_nothing_watches_them():
    dev = DEPLOYMENTS["dev"]
    lone = replace(dev, database=replace(dev.database, proxy=False, reader_count=0))
    names = {row.name for row in alarms(lone, FUNCTIONS)}
    assert not {name for name in names if "proxy" in name or "reader" in name or "lag" in name}


# Sizes: documented figures, from the pages that stacks/capacity.py names.


@pytest.mark.parametrize(
    ("engine", "capacity", "expected"),
    [
        ("postgresql", ServerlessV2(1, 1), 189),
        ("mysql", ServerlessV2(1, 1), 90),
        ("postgresql", ServerlessV2(1, 4), 823),
        ("mysql", ServerlessV2(0.5, 4), 135),
        ("postgresql", ServerlessV2(1, 16), 3360),
        ("postgresql", ServerlessV2(0.5, 128), 2000),
        ("postgresql", ServerlessV2(1, 128), 5000),
        ("mysql", ServerlessV2(0.5, 10), 1000),
        ("mysql", Instances("r8g.large"), 1000),
        ("mysql", Instances("r8g.4xlarge"), 4000),
        ("mysql", Instances("t4g.medium"), 90),
        ("postgresql", Instances("r8g.16xlarge"), 5000),
    ],
)
def test_an_instance_takes_as_many_connections_as_documented(engine, capacity, expected):
    assert max_connections(engine, capacity) == expected


def test_thresholds_follow_from_the_size():
    def threshold(name, capacity):
        dev = DEPLOYMENTS["dev"]
        sized = replace(dev, database=replace(dev.database, capacity=capacity))
        return next(row.threshold for row in alarms(sized, FUNCTIONS) if row.name == name)

    assert threshold("memory-writer", Instances("r8g.large")) == 16 * GIB // 10
    assert threshold("memory-writer", ServerlessV2(0.5, 4)) == 8 * GIB // 10
    assert threshold("connections-writer", ServerlessV2(1, 4)) == 823 * 8 // 10
    assert threshold("connections-writer", ServerlessV2(1, 8)) == 1669 * 8 // 10


@pytest.mark.parametrize(
    ("name", "gib"),
    [("r8g.large", 16), ("r7g.xlarge", 32), ("r6g.4xlarge", 128), ("x2g.large", 32), ("t4g.medium", 4),
     ("m8g.large", None), ("r8g.huge", None), ("t4g.nano", None)],
)  # fmt: skip
def test_the_memory_of_a_class(name, gib):
    assert class_gib(Instances(name)) == gib


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"alarm_email": "nobody"}, "alarm_email='nobody'"),
        ({"alarm_email": "a@b"}, "alarm_email='a@b'"),
        ({"alarm_email": ""}, "alarm_email=''"),
        ({"alarm_email": "a b@example.com"}, "alarm_email="),
        ({"alarm_email": "a@example.com\nBcc: b@example.com"}, "alarm_email="),
        ({"longest_without_orders_hours": 0}, "longest_without_orders_hours=0 is outside 1 to 168"),
        ({"longest_without_orders_hours": 169}, "longest_without_orders_hours=169"),
        ({"storage_growth_gib_a_day": 0}, "storage_growth_gib_a_day=0"),
        ({"storage_growth_gib_a_day": 99_999}, "storage_growth_gib_a_day=99999"),
    ],
)
def test_settings_that_would_watch_nothing_are_refused(settings, said):
    (problem,) = validate(replace(DEPLOYMENTS["dev"], observability=ObservabilitySettings(**settings)))
    assert said in problem


def test_an_instance_class_of_unknown_memory_is_refused():
    dev = DEPLOYMENTS["dev"]
    (problem,) = validate(replace(dev, database=replace(dev.database, capacity=Instances("m8g.large"))))
    assert "instance_class=m8g.large: its memory is not known" in problem


# The templates.


def test_every_alarm_tells_the_topic_of_its_beginning_and_its_end(synthesized):
    topic_id, _ = synthesized.the_one("AWS::SNS::Topic")
    for alarm_id, alarm in synthesized.of_type("AWS::CloudWatch::Alarm").items():
        assert referred(alarm["AlarmActions"]) == referred(alarm["OKActions"]) == {topic_id}, alarm_id
        assert alarm["TreatMissingData"] in {"breaching", "notBreaching", "missing"}, alarm_id
        assert "NEXT: " in alarm["AlarmDescription"], alarm_id
        assert alarm.get("ActionsEnabled", True) is True, alarm_id


@pytest.mark.parametrize(("kind", "engine"), EVERYWHERE)
def test_the_template_has_the_table_row_by_row(kind, engine):
    synthesized, deployment = of_kind(kind, engine), chosen(kind, engine)
    found = {a["AlarmName"]: a for a in synthesized.of_type("AWS::CloudWatch::Alarm").values()}
    table = {f"shop-{deployment.name}-{row.name}": row for row in rows(kind, engine)}
    assert found.keys() == table.keys()
    for name, row in table.items():
        alarm = found[name]
        assert alarm["Threshold"] == row.threshold, name
        assert alarm["EvaluationPeriods"] == row.periods, name
        stat = alarm["Metrics"][0]["MetricStat"] if row.expression else alarm
        assert stat["Period"] == row.period_seconds, name
        watched = stat.get("Metric", stat)
        assert (watched["Namespace"], watched["MetricName"]) == (row.metric.namespace, row.metric.name)
        assert {one["Name"] for one in watched["Dimensions"]} == set(row.metric.dimensions), name
        assert row.metric.statistic in alarm.values() or stat.get("Stat") == row.metric.statistic, name


def test_every_function_that_works_in_the_database_is_watched_by_reference(synthesized):
    watched = {
        function
        for alarm in synthesized.of_type("AWS::CloudWatch::Alarm").values()
        if alarm.get("Namespace") == "AWS/Lambda"
        for function in referred(alarm["Dimensions"])
    }
    packages = {
        function_id
        for function_id, function in synthesized.of_type("AWS::Lambda::Function").items()
        if function["Handler"].endswith(".handler.on_event")
    }
    assert watched == packages


def test_functions_write_metrics_under_the_name_that_alarms_look_for(synthesized):
    names = {f["Environment"]["Variables"]["DEPLOYMENT"] for f in synthesized.functions().values()}
    looked_for = {
        one["Value"]
        for alarm in synthesized.of_type("AWS::CloudWatch::Alarm").values()
        for one in alarm.get("Dimensions", [])
        if one["Name"] == "Deployment"
    }
    assert names == looked_for


def test_the_topic_is_encrypted_and_takes_messages_over_tls_from_three_services_only(synthesized):
    key_id, key = synthesized.key("TopicKey")
    topic_id, topic = synthesized.the_one("AWS::SNS::Topic")
    assert referred(topic["KmsMasterKeyId"]) == {key_id}
    _, policy = synthesized.the_one("AWS::SNS::TopicPolicy")
    assert referred(policy["Topics"]) == {topic_id}
    services = set()
    for statement in policy["PolicyDocument"]["Statement"]:
        if statement["Effect"] == "Deny":
            assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            continue
        assert statement["Action"] == "sns:Publish"
        assert referred(statement["Resource"]) == {topic_id}
        names = set(as_list(statement["Principal"]["Service"]))
        if names != {"events.amazonaws.com"}:
            assert statement["Condition"] == {
                "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
            }
        services |= names
    assert "Deny" in {statement["Effect"] for statement in policy["PolicyDocument"]["Statement"]}
    assert services == {"cloudwatch.amazonaws.com", "events.rds.amazonaws.com", "events.amazonaws.com"}
    may_encrypt = {
        service
        for statement in key["KeyPolicy"]["Statement"]
        if "kms:GenerateDataKey*" in as_list(statement["Action"])
        for service in as_list(statement["Principal"]["Service"])
    }
    assert may_encrypt == services, "who publishes to an encrypted topic uses its key"


def test_a_subscription_by_mail_is_a_setting():
    assert not of_kind("production").has_type("AWS::SNS::Subscription")
    dev = DEPLOYMENTS["dev"]
    told = synthesize(replace(dev, observability=ObservabilitySettings(alarm_email="ops@example.com")))
    _, subscription = told.the_one("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.com")


def test_rds_tells_of_cluster_instances_groups_and_proxy(synthesized):
    topic_id, _ = synthesized.the_one("AWS::SNS::Topic")
    policy_id, _ = synthesized.the_one("AWS::SNS::TopicPolicy")
    found = synthesized.of_type("AWS::RDS::EventSubscription")
    categories = {one["SourceType"]: set(one["EventCategories"]) for one in found.values()}
    assert categories.keys() == EVENT_CATEGORIES.keys()
    for source_type, asked in categories.items():
        assert asked <= EVENT_CATEGORIES[source_type], source_type
    # Security Hub's parameters for RDS.19 to RDS.22
    assert categories["db-cluster"] >= {"maintenance", "failure"}
    assert categories["db-instance"] >= {"maintenance", "configuration change", "failure"}
    assert categories["db-parameter-group"] == {"configuration change"}
    assert categories["db-security-group"] == {"configuration change", "failure"}
    for subscription_id, subscription in found.items():
        assert subscription["Enabled"] is True
        assert referred(subscription["SnsTopicArn"]) == {topic_id}
        assert policy_id in synthesized.resources[subscription_id]["DependsOn"], "RDS tries the topic"


def test_a_rotation_that_fails_is_told_and_no_other_secret_s(synthesized):
    secret_id, _ = synthesized.the_one("AWS::SecretsManager::Secret")
    topic_id, _ = synthesized.the_one("AWS::SNS::Topic")
    (rule,) = [
        rule
        for rule in synthesized.of_type("AWS::Events::Rule").values()
        if rule["EventPattern"]["source"] == ["aws.secretsmanager"]
    ]
    assert rule["State"] == "ENABLED"
    detail = rule["EventPattern"]["detail"]
    assert "RotationFailed" in detail["eventName"]
    assert referred(detail["additionalEventData"]["SecretId"]) == {secret_id}
    (target,) = rule["Targets"]
    assert referred(target["Arn"]) == {topic_id}
    assert "RoleArn" not in target, "with an encrypted topic, delivery may fail: eb-use-resource-based.html"


def test_a_recovery_point_that_fails_is_told_where_there_is_a_plan(retained):
    sources = [rule["EventPattern"]["source"] for rule in retained.of_type("AWS::Events::Rule").values()]
    assert ["aws.backup"] in sources


# The dashboard.


def body_of(kind, engine):
    deployment = chosen(kind, engine)
    table = alarms(deployment, FUNCTIONS)
    return dashboard_body(deployment, Watched(table, [f"arn:{row.name}" for row in table], FUNCTIONS))


def metrics_in(body):
    """Yield namespace, name and dimensions of each metric that the dashboard draws, searches included."""
    for widget in body["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], str):
                namespace, name, *dimensions, _ = metric
                yield namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True))
            else:
                schema, name = re.search(r"\{(.*?)\} MetricName=\"(\w+)\"", metric[0]["expression"]).groups()
                namespace, *names = schema.split(",")
                yield namespace, name, dict.fromkeys(names, "")


@pytest.mark.parametrize(("kind", "engine"), EVERYWHERE)
def test_the_dashboard_names_metrics_as_they_are_documented(kind, engine):
    found = list(metrics_in(body_of(kind, engine)))
    assert found
    for namespace, name, dimensions in found:
        if namespace == NAMESPACE:
            assert name in UNITS
            assert dimensions.keys() <= {"Deployment", "Caller", "Reason"}
            continue
        documented = METRICS[namespace][name]
        assert frozenset(dimensions) in documented.dimensions, (name, documented.page)
        assert engine in documented.engines, (name, documented.page)


@pytest.mark.parametrize(("kind", "engine"), EVERYWHERE)
def test_the_dashboard_answers_its_three_questions_from_the_top(kind, engine):
    widgets = body_of(kind, engine)["widgets"]
    first = widgets[0]
    assert (first["type"], first["x"], first["y"], first["width"]) == ("alarm", 0, 0, WIDTH)
    assert first["properties"]["title"].endswith("healthy?")
    assert first["properties"]["alarms"] == [f"arn:{row.name}" for row in rows(kind, engine)]
    titles = [widget["properties"]["title"] for widget in widgets]
    flowing, slow = titles.index("Are orders flowing?"), titles.index("Who is slow? Orders, ms")
    assert flowing < slow < titles.index("CPU, %")
    names = {name for _, name, _ in metrics_in(body_of(kind, engine))}
    assert names >= {"Orders", "Revenue", "Refusals", "OrderLatency", "DBLoadCPU", "DBLoadNonCPU"}


@pytest.mark.parametrize(("kind", "engine"), EVERYWHERE)
def test_widgets_fill_the_grid_without_lying_on_each_other(kind, engine):
    taken = set()
    for widget in body_of(kind, engine)["widgets"]:
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken, widget["properties"]["title"]
        taken |= cells
    lowest = max(y for _, y in taken) + 1
    assert taken == {(x, y) for x in range(WIDTH) for y in range(lowest)}


@pytest.mark.parametrize(("kind", "engine"), EVERYWHERE)
def test_thresholds_on_the_dashboard_are_those_of_the_alarms(kind, engine):
    table = {row.threshold for row in rows(kind, engine)}
    drawn = [
        line["value"]
        for widget in body_of(kind, engine)["widgets"]
        for line in widget["properties"].get("annotations", {}).get("horizontal", [])
    ]
    assert len(drawn) >= 6
    assert set(drawn) <= table


def test_the_dashboard_of_the_template_is_this_one(synthesized):
    _, dashboard = synthesized.the_one("AWS::CloudWatch::Dashboard")
    parts = dashboard["DashboardBody"]["Fn::Join"][1]
    text = "".join(
        part if isinstance(part, str) else json.dumps(sorted(referred(part)))[1:-1] for part in parts
    )
    text = re.sub(r'""(\w+)""', r'"\1"', text)
    body = json.loads(text)
    alarm_ids = synthesized.of_type("AWS::CloudWatch::Alarm").keys()
    assert set(body["widgets"][0]["properties"]["alarms"]) == set(alarm_ids)
    assert len(text) < 100_000


def test_the_picture_of_the_dashboard_is_current():
    assert PICTURE.read_text() == picture(), "python -m operate.dashboard_picture draws it anew"


def test_every_log_that_the_dashboard_reads_is_one_that_the_engine_exports(engine):
    (log,) = [widget for widget in body_of("dev", engine)["widgets"] if widget["type"] == "log"]
    (group,) = re.findall(r"SOURCE '(.*?)'", log["properties"]["query"])
    assert group.rpartition("/")[2] in ENGINES[engine].log_exports
    names = {
        one.get("LogGroupName") for one in of_kind("dev", engine).of_type("AWS::Logs::LogGroup").values()
    }
    assert group in names
