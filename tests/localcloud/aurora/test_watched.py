"""What CloudWatch and who subscribed to RDS's events hear of real servers, on every engine."""

import json
import threading
import time
from contextlib import suppress

import pytest
from moto.sns.models import sns_backends

from localcloud.aurora.managed import AuroraService
from localcloud.metrics.of_databases import NAMESPACE
from localcloud.metrics.samples import Metrics, SeriesName
from localcloud.refusals import Refusals

from .conftest import ACCOUNT, REGION
from .shop import connect, create_cluster, create_instance, create_pair, eventually, managed, query


@pytest.fixture
def cluster(stack):
    return create_pair(stack)


def values(stack, metric, **dimensions):
    """Return every value of a metric after one more look at the servers."""
    AuroraService.of(stack.cloud).metrics.sample()
    name = SeriesName.of(NAMESPACE, metric, dimensions)
    found = Metrics.of(stack.cloud).between(REGION, name, 0.0, time.time() + 1)
    return [one.values[0] for one in found]


def test_connections_are_those_of_clients_by_cluster_role_and_instance(stack, cluster):
    of_cluster = {"DBClusterIdentifier": cluster.physical_id}
    of_writer = {"DBInstanceIdentifier": managed(stack, cluster).cluster.writer.name}

    def connections(**dimensions):
        return values(stack, "DatabaseConnections", **dimensions)[-1]

    # a server counts a session until it has ended on its side, a moment after its client has left
    assert eventually(lambda: connections(**of_cluster, Role="WRITER") == 0)
    held = [connect(stack, cluster.attributes["Endpoint.Address"]) for _ in range(3)]
    assert connections(**of_cluster, Role="WRITER") == 3
    assert eventually(lambda: connections(**of_cluster, Role="READER") == 0)
    assert connections(**of_writer) == 3
    assert set(values(stack, "DatabaseConnections", **of_cluster)[-2:]) == {3.0, 0.0}
    for connection in held:
        connection.close()
    assert eventually(lambda: connections(**of_cluster, Role="WRITER") == 0)


def test_the_lag_is_the_readers_in_milliseconds(stack, cluster):
    writer = connect(stack, cluster.attributes["Endpoint.Address"])
    query(writer, stack.dialect.create_table.format(table="lagging", value=1))
    lag = values(stack, "AuroraReplicaLag", DBClusterIdentifier=cluster.physical_id, Role="READER")
    assert lag and 0 <= lag[-1] < 60_000
    assert values(stack, "AuroraReplicaLag", DBClusterIdentifier=cluster.physical_id, Role="WRITER") == []


def test_what_only_one_engine_has_is_measured_on_that_engine(stack, cluster):
    own, others = {
        "POSTGRESQL": ("MaximumUsedTransactionIDs", "RollbackSegmentHistoryListLength"),
        "MYSQL": ("RollbackSegmentHistoryListLength", "MaximumUsedTransactionIDs"),
    }[stack.dialect.engine.family]
    identifier = cluster.physical_id
    assert values(stack, own, DBClusterIdentifier=identifier, Role="WRITER")[-1] >= 0
    assert values(stack, others, DBClusterIdentifier=identifier, Role="WRITER") == []


def test_the_volume_grows_with_what_is_stored(stack, cluster):
    identifier = cluster.physical_id
    before = values(stack, "VolumeBytesUsed", DBClusterIdentifier=identifier)[-1]
    address = cluster.attributes["Endpoint.Address"]
    wide = stack.dialect.create_table.format(table="grown", value="repeat('x', 1000)")
    for statement in (wide, *["INSERT INTO grown SELECT * FROM grown"] * 13):
        query(connect(stack, address), statement)
    assert eventually(
        lambda: values(stack, "VolumeBytesUsed", DBClusterIdentifier=identifier)[-1] > before + 1e6
    )


def test_deadlocks_are_counted_by_the_second(stack, cluster):
    address = cluster.attributes["Endpoint.Address"]
    query(connect(stack, address), stack.dialect.create_table.format(table="crossed", value=1))
    query(connect(stack, address), "INSERT INTO crossed VALUES (2)")
    values(stack, "Deadlocks", DBClusterIdentifier=cluster.physical_id)
    both = threading.Barrier(2)

    def take(first, second):
        connection = connect(stack, address)
        with suppress(Exception), connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"UPDATE crossed SET n = n WHERE n = {first}")
            both.wait(60)
            cursor.execute(f"UPDATE crossed SET n = n WHERE n = {second}")
        connection.close()

    if stack.dialect.engine.family == "MYSQL":  # without a key InnoDB locks every row it looks at
        query(connect(stack, address), "ALTER TABLE crossed ADD PRIMARY KEY (n)")
    crossing = [threading.Thread(target=take, args=pair) for pair in ((1, 2), (2, 1))]
    for one in crossing:
        one.start()
    for one in crossing:
        one.join(60)
    assert eventually(lambda: any(values(stack, "Deadlocks", DBClusterIdentifier=cluster.physical_id)))


def test_a_server_that_does_not_answer_has_no_datapoint(stack, cluster, monkeypatch):
    monkeypatch.setattr(type(managed(stack, cluster)), "_tell_of", lambda *_: None)
    reader = managed(stack, cluster).cluster.readers[0]
    before = len(values(stack, "DatabaseConnections", DBInstanceIdentifier=reader.name))
    monkeypatch.setattr(type(reader.server), "is_running", True)  # nobody puts it back
    reader.server.kill()
    assert len(values(stack, "DatabaseConnections", DBInstanceIdentifier=reader.name)) == before
    monkeypatch.undo()
    assert eventually(lambda: reader.server.is_running)


@pytest.fixture
def topic(stack):
    return sns_backends[ACCOUNT][REGION].create_topic(f"events-{time.monotonic_ns()}", {}, {})


def subscribe(stack, topic, logical_id="Subscription", **properties):
    return stack.create("AWS::RDS::EventSubscription", logical_id, SnsTopicArn=topic.arn, **properties)


def heard(topic):
    return [json.loads(message) for _, message, *_ in topic.sent_notifications]


def told(topic):
    return [
        (one["Event ID"].rpartition("#")[2], one["Source ID"], one["Event Message"]) for one in heard(topic)
    ]


def test_a_failover_is_told_in_rdss_words(stack, cluster, topic, api):
    subscribe(stack, topic, SourceType="db-cluster", EventCategories=["failover"])
    reader = managed(stack, cluster).cluster.readers[0].name
    api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    identifier = cluster.physical_id
    assert eventually(lambda: len(told(topic)) == 2)
    assert told(topic) == [
        ("RDS-EVENT-0073", identifier, f"Started cross AZ failover to DB instance: {reader}"),
        ("RDS-EVENT-0071", identifier, f"Completed failover to DB instance: {reader}"),
    ]
    first = heard(topic)[0]
    assert first["Event Source"] == "db-cluster"
    assert first["Source ARN"] == f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:{identifier}"
    _, _, subject, attributes, _ = topic.sent_notifications[0]
    assert subject == "RDS Notification Message"
    assert attributes["EventID"]["Value"] == "RDS-EVENT-0073"


def test_a_writer_that_dies_is_told_as_a_failover_and_a_restart(stack, cluster, topic):
    subscribe(stack, topic)
    former = managed(stack, cluster).cluster.writer
    former.server.kill()

    def since_creation():
        return [one for one in told(topic) if "created" not in one[2]]

    assert eventually(lambda: len(since_creation()) == 3)
    assert [number for number, _, _ in since_creation()] == [
        "RDS-EVENT-0073",
        "RDS-EVENT-0071",
        "RDS-EVENT-0006",
    ]
    assert since_creation()[2][1:] == (former.name, "DB instance restarted.")


def test_a_failover_that_fails_is_told(stack, cluster, topic, api, monkeypatch):
    subscribe(stack, topic, SourceType="db-cluster")
    successor = managed(stack, cluster).cluster.readers[0]
    monkeypatch.setattr(type(successor.server), "catch_up", lambda *_, **__: False)
    with pytest.raises(Exception, match="did not catch up"):
        api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    assert eventually(lambda: told(topic) and told(topic)[-1][0] == "RDS-EVENT-0069")


def test_creation_deletion_and_parameters_are_told_to_who_asked_for_them(stack, topic):
    subscribe(stack, topic, "Instances", SourceType="db-instance", EventCategories=["creation", "deletion"])
    subscribe(stack, topic, "Groups", SourceType="db-parameter-group")
    stack.create(
        "AWS::RDS::DBClusterParameterGroup",
        "Group",
        Description="d",
        Family=stack.dialect.family,
        Parameters={"max_connections": "150"},
        DBClusterParameterGroupName="told",
    )
    cluster = create_cluster(stack)
    instance = create_instance(stack, cluster)
    stack.update("Group", Parameters={"max_connections": "160"})
    stack.delete("Writer")
    assert eventually(lambda: len(told(topic)) == 3)
    assert told(topic) == [
        ("RDS-EVENT-0005", instance.physical_id, "DB instance created."),
        (
            "RDS-EVENT-0037",
            "told",
            "Updated parameter max_connections to 160 with apply method immediate.",
        ),
        ("RDS-EVENT-0003", instance.physical_id, "DB instance deleted."),
    ]


def test_a_subscription_hears_of_its_own_sources_and_of_nothing_while_it_is_off(stack, cluster, topic, api):
    other = create_cluster(stack, "Other")
    failovers = {"SourceType": "db-cluster", "EventCategories": ["failover"]}
    subscribe(stack, topic, "Of", **failovers, SourceIds=[other.physical_id])
    subscribe(stack, topic, "Off", **failovers, Enabled=False)
    everything = sns_backends[ACCOUNT][REGION].create_topic(f"all-{time.monotonic_ns()}", {}, {})
    subscribe(stack, everything, "All", **failovers)
    api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    assert eventually(lambda: len(told(everything)) == 2)
    assert told(topic) == []


def test_a_topic_whose_policy_does_not_let_rds_hears_nothing_and_the_refusal_is_on_record(
    stack, cluster, topic, api
):
    statement = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}}
    topic.policy = json.dumps(
        {"Version": "2012-10-17", "Statement": [{**statement, "Action": "sns:Publish", "Resource": "*"}]}
    )
    subscribe(stack, topic, SourceType="db-cluster")
    api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)

    def refused():
        return [one for one in Refusals.of(stack.cloud).latest if topic.arn in one.reason]

    assert eventually(refused)
    assert refused()[0].who.startswith("events.rds.amazonaws.com for arn:aws:rds:")
    assert told(topic) == []


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"MonitoringInterval": 60}, "A MonitoringRoleARN value is required"),
        ({"MonitoringInterval": 7}, "Invalid monitoring interval 7"),
        ({"MonitoringRoleArn": "arn:aws:iam::123456789012:role/r"}, "MonitoringInterval value other than 0"),
        (
            {"MonitoringInterval": 60, "MonitoringRoleArn": "arn:aws:iam::123456789012:role/r"},
            "ENHANCED_MONITORING",
        ),
        ({"DatabaseInsightsMode": "advanced"}, "at least 465 days"),
        (
            {"DatabaseInsightsMode": "advanced", "PerformanceInsightsEnabled": True},
            "at least 465 days",
        ),
        ({"PerformanceInsightsRetentionPeriod": 100}, "valid values are 7, month"),
        (
            {"PerformanceInsightsEnabled": True, "PerformanceInsightsKmsKeyId": "absent"},
            r"KMS key \[absent\] does not exist",
        ),
    ],
)
def test_monitoring_that_rds_would_not_turn_on_is_refused(stack, properties, reason):
    with pytest.raises(Exception, match=reason):
        create_cluster(stack, DBClusterIdentifier="refused", **properties)


def test_insights_are_on_record(stack, api):
    created = create_cluster(
        stack,
        DatabaseInsightsMode="advanced",
        PerformanceInsightsEnabled=True,
        PerformanceInsightsRetentionPeriod=465,
    )
    [shown] = api.describe_db_clusters(DBClusterIdentifier=created.physical_id)["DBClusters"]
    assert shown["DatabaseInsightsMode"] == "advanced" and shown["PerformanceInsightsEnabled"] is True
    assert shown["PerformanceInsightsRetentionPeriod"] == 465
