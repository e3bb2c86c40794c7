"""Backups hold data: what a snapshot or a moment had is served by a new cluster, and the old one goes on."""

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from localcloud.aurora import continuous_backup
from localcloud.aurora.managed import AuroraService

from .shop import connect, create_cluster, create_instance, eventually, managed, query, records

COUNT = "SELECT count(*) FROM kept"


@pytest.fixture
def cluster(stack):
    """Create a cluster with a writer and a table of one row, 1."""
    cluster = create_cluster(stack)
    create_instance(stack, cluster)
    at(stack, cluster, stack.dialect.create_table.format(table="kept", value=1))
    return cluster


class Restored:
    """Clusters restored by the API, and taken away again by it."""

    def __init__(self, stack, api):
        self._stack, self._api = stack, api
        self._names = []

    def from_snapshot(self, snapshot, name="restored", **given):
        engine = {"Engine": str(self._stack.dialect.engine)}
        answer = self._api.restore_db_cluster_from_snapshot(
            **{"DBClusterIdentifier": name, "SnapshotIdentifier": snapshot, **engine, **given}
        )
        return self._serve(answer["DBCluster"])

    def to(self, cluster, moment=None, name="restored", **given):
        when = {"RestoreToTime": moment} if moment else {"UseLatestRestorableTime": True}
        answer = self._api.restore_db_cluster_to_point_in_time(
            **{"DBClusterIdentifier": name, "SourceDBClusterIdentifier": cluster, **when, **given}
        )
        return self._serve(answer["DBCluster"])

    def _serve(self, described):
        name = described["DBClusterIdentifier"]
        self._names.append(name)
        self._api.create_db_instance(
            DBInstanceIdentifier=f"{name}-writer",
            DBClusterIdentifier=name,
            DBInstanceClass="db.serverless",
            Engine=described["Engine"],
        )
        return self._api.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]

    def take_away(self):
        for name in self._names:
            with suppress(ClientError):
                self._api.delete_db_instance(DBInstanceIdentifier=f"{name}-writer")
            with suppress(ClientError):
                self._api.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


@pytest.fixture
def restored(stack, api):
    restored = Restored(stack, api)
    yield restored
    restored.take_away()


@pytest.fixture(autouse=True)
def no_snapshot_is_left(api):
    """Snapshots outlive clusters, and records of moto's outlive a cloud."""
    yield
    for name in list(records().cluster_snapshots):
        api.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)


def at(stack, cluster, statement):
    return query(connect(stack, cluster.attributes["Endpoint.Address"]), statement)


def at_restored(stack, described, statement, **options):
    return query(connect(stack, described["Endpoint"], described["Port"], **options), statement)


def insert(stack, cluster, *values):
    for value in values:
        at(stack, cluster, f"INSERT INTO kept (n) VALUES ({value})")


def take(api, cluster, name="before"):
    api.create_db_cluster_snapshot(DBClusterIdentifier=cluster.physical_id, DBClusterSnapshotIdentifier=name)
    return name


def now():
    """Return a moment that lies between all that was committed before and all that will be."""
    return datetime.now(UTC)


def refused(call, **arguments):
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    return refusal.value.response["Error"]["Code"], refusal.value.response["Error"]["Message"]


def test_a_snapshot_has_the_data_of_its_moment_and_the_copy_lives_by_itself(stack, cluster, api, restored):
    take(api, cluster)
    insert(stack, cluster, 2)
    copy = restored.from_snapshot("before")
    assert at_restored(stack, copy, COUNT) == 1
    at_restored(stack, copy, "INSERT INTO kept (n) VALUES (3)")
    at_restored(stack, copy, "INSERT INTO kept (n) VALUES (4)")
    assert at_restored(stack, copy, COUNT) == 3
    assert at(stack, cluster, COUNT) == 2
    again = restored.from_snapshot("before", "restored-again")
    assert at_restored(stack, again, COUNT) == 1


class Writing(threading.Thread):
    """Someone who adds pairs of rows, both or none, until told to end."""

    def __init__(self, stack, cluster):
        super().__init__(daemon=True)
        self._connection = connect(stack, cluster.attributes["Endpoint.Address"])
        self.pairs = 0
        self.ended = threading.Event()

    def run(self):
        with self._connection.cursor() as cursor:
            while not self.ended.is_set():
                cursor.execute("BEGIN")
                for _ in range(2):
                    cursor.execute("INSERT INTO kept (n) VALUES (2)")
                cursor.execute("COMMIT")
                self.pairs += 1
        self._connection.close()


def test_a_snapshot_taken_while_others_write_has_whole_transactions_only(stack, cluster, api, restored):
    writing = Writing(stack, cluster)
    writing.start()
    assert eventually(lambda: writing.pairs > 20)
    before = writing.pairs
    take(api, cluster)
    after = writing.pairs + 1
    assert eventually(lambda: writing.pairs > after + 20)
    writing.ended.set()
    writing.join(60)
    rows = at_restored(stack, restored.from_snapshot("before"), COUNT)
    assert rows % 2 == 1
    assert before <= (rows - 1) // 2 <= after


def test_a_restored_cluster_is_one_of_rds_with_readers_and_failovers(stack, cluster, api, restored):
    take(api, cluster)
    copy = restored.from_snapshot("before", Tags=[{"Key": "of", "Value": "rehearsal"}])
    api.create_db_instance(
        DBInstanceIdentifier="restored-reader",
        DBClusterIdentifier="restored",
        DBInstanceClass="db.serverless",
        Engine=copy["Engine"],
    )
    described = api.describe_db_clusters(DBClusterIdentifier="restored")["DBClusters"][0]
    members = {one["DBInstanceIdentifier"]: one["IsClusterWriter"] for one in described["DBClusterMembers"]}
    assert members == {"restored-writer": True, "restored-reader": False}
    assert described["TagList"] == [{"Key": "of", "Value": "rehearsal"}]
    assert described["MasterUsername"] == "shop_admin"
    assert described["EngineVersion"] == stack.dialect.version
    assert described["Port"] == stack.dialect.port
    assert stack.cloud.databases["restored"] == stack.cloud.databases[cluster.physical_id]
    assert stack.cloud.endpoints["cluster restored, writer"] == f"{copy['Endpoint']}:{copy['Port']}"
    at_reader = {**described, "Endpoint": described["ReaderEndpoint"]}
    assert at_restored(stack, at_reader, stack.dialect.is_reader) == 1
    api.failover_db_cluster(DBClusterIdentifier="restored")
    at_restored(stack, copy, "INSERT INTO kept (n) VALUES (2)")
    assert eventually(lambda: at_restored(stack, at_reader, COUNT) == 2)
    api.delete_db_instance(DBInstanceIdentifier="restored-reader")
    assert at_restored(stack, copy, COUNT) == 2


def test_a_deleted_restored_cluster_leaves_nothing(stack, cluster, api, restored):
    take(api, cluster)
    before = dict(stack.cloud.endpoints)
    restored.from_snapshot("before")
    server = AuroraService.of(stack.cloud).clusters["restored"].cluster.writer.server
    code, _ = refused(api.delete_db_cluster, DBClusterIdentifier="restored", SkipFinalSnapshot=True)
    assert code == "InvalidDBClusterStateFault"
    api.delete_db_instance(DBInstanceIdentifier="restored-writer")
    api.delete_db_cluster(DBClusterIdentifier="restored", SkipFinalSnapshot=True)
    assert not server.is_running
    assert not server.directory.exists()
    assert stack.cloud.endpoints == before
    assert "restored" not in records().clusters
    assert not [
        one for one in records().cluster_snapshots.values() if one.db_cluster_identifier == "restored"
    ]
    assert at(stack, cluster, COUNT) == 1
    api.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="before")
    assert not list(stack.cloud.directory.glob("snapshot*"))


def test_the_final_snapshot_of_a_deleted_cluster_can_be_restored(stack, cluster, api, restored):
    insert(stack, cluster, 2)
    take(api, cluster)
    restored.from_snapshot("before", "gone")
    api.delete_db_instance(DBInstanceIdentifier="gone-writer")
    api.delete_db_cluster(DBClusterIdentifier="gone", FinalDBSnapshotIdentifier="the-last")
    assert at_restored(stack, restored.from_snapshot("the-last"), COUNT) == 2


def test_the_snapshot_that_a_template_asks_for_can_be_restored(stack, cluster, restored):
    stack.delete("Writer")
    name = stack.snapshot("Cluster")
    stack.delete("Cluster")
    assert at_restored(stack, restored.from_snapshot(name), COUNT) == 1


def test_a_template_can_begin_with_a_snapshot(stack, cluster, api):
    take(api, cluster)
    another = "another password"
    copy = stack.create(
        "AWS::RDS::DBCluster",
        "Copy",
        Engine=str(stack.dialect.engine),
        SnapshotIdentifier="before",
        MasterUserPassword=another,
    )
    create_instance(stack, copy, "CopyWriter")
    assert query(connect(stack, copy.attributes["Endpoint.Address"], password=another), COUNT) == 1
    assert at(stack, cluster, COUNT) == 1


def test_a_copied_snapshot_outlives_its_source(stack, cluster, api, restored):
    take(api, cluster)
    api.copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier="before", TargetDBClusterSnapshotIdentifier="copied"
    )
    api.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="before")
    assert at_restored(stack, restored.from_snapshot("copied"), COUNT) == 1


def test_what_cannot_be_restored_is_refused_in_the_words_of_rds(stack, cluster, api):
    engine = {"Engine": str(stack.dialect.engine)}
    restore = api.restore_db_cluster_from_snapshot
    take(api, cluster)
    assert refused(restore, DBClusterIdentifier="restored", SnapshotIdentifier="missing", **engine) == (
        "DBClusterSnapshotNotFoundFault",
        "DBClusterSnapshot missing not found.",
    )
    taken = {"DBClusterIdentifier": cluster.physical_id, "SnapshotIdentifier": "before", **engine}
    assert refused(restore, **taken) == ("DBClusterAlreadyExistsFault", "DB Cluster already exists")
    code, message = refused(
        restore, DBClusterIdentifier="restored", SnapshotIdentifier="before", Engine="aurora"
    )
    assert (code, "doesn't match the engine name" in message) == ("InvalidParameterValue", True)
    automated = next(name for name in records().cluster_snapshots if name.startswith("rds:"))
    code, message = refused(restore, DBClusterIdentifier="restored", SnapshotIdentifier=automated, **engine)
    assert (code, "holds no data" in message) == ("InvalidDBClusterSnapshotStateFault", True)
    code, message = refused(take, api=api, cluster=cluster)
    assert (code, "already exists" in message) == ("DBClusterSnapshotAlreadyExistsFault", True)
    assert "restored" not in records().clusters
    code, message = refused(api.delete_db_cluster, DBClusterIdentifier=cluster.physical_id)
    assert message == "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."


def test_a_point_in_time_has_what_was_committed_before_and_nothing_later(stack, cluster, api, restored):
    insert(stack, cluster, 2)
    between = now()
    insert(stack, cluster, 3)
    copy = restored.to(cluster.physical_id, between)
    assert at_restored(stack, copy, COUNT) == 2
    at_restored(stack, copy, "INSERT INTO kept (n) VALUES (4)")
    assert at_restored(stack, copy, COUNT) == 3
    assert at(stack, cluster, COUNT) == 3
    again = restored.to(cluster.physical_id, between, "restored-again")
    assert at_restored(stack, again, COUNT) == 2


def test_the_latest_point_in_time_has_everything(stack, cluster, api, restored):
    insert(stack, cluster, 2)
    assert at_restored(stack, restored.to(cluster.physical_id), COUNT) == 2
    insert(stack, cluster, 3)
    clone = restored.to(cluster.physical_id, name="clone", RestoreType="copy-on-write")
    assert at_restored(stack, clone, COUNT) == 3


def test_a_writer_that_does_not_answer_is_no_failure_of_the_api(stack, cluster, api, monkeypatch):
    def unanswered(*_, **__):
        raise stack.dialect.error("server closed the connection unexpectedly")

    monkeypatch.setattr(type(managed(stack, cluster).cluster.writer.server), "execute", unanswered)
    _, message = refused(
        api.restore_db_cluster_to_point_in_time,
        DBClusterIdentifier="restored",
        SourceDBClusterIdentifier=cluster.physical_id,
        UseLatestRestorableTime=True,
    )
    assert "server closed the connection unexpectedly" in message
    assert "restored" not in records().clusters


def test_a_point_in_time_works_across_failovers(stack, cluster, api, restored):
    create_instance(stack, cluster, "Reader")
    moments = [now()]
    for value in (2, 3, 4):
        insert(stack, cluster, value)
        moments.append(now())
        api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    insert(stack, cluster, 5)
    for number in (1, 2, 4):
        copy = restored.to(cluster.physical_id, moments[number - 1], f"restored-{number}")
        assert at_restored(stack, copy, "SELECT max(n) FROM kept") == number


def test_a_point_in_time_works_when_the_writer_died(stack, cluster, api, restored):
    create_instance(stack, cluster, "Reader")
    insert(stack, cluster, 2)
    between = now()
    insert(stack, cluster, 3)
    former = managed(stack, cluster).cluster.writer
    former.server.kill()
    assert eventually(lambda: managed(stack, cluster).cluster.writer is not former)
    assert eventually(lambda: managed(stack, cluster).cluster.is_whole)
    assert at_restored(stack, restored.to(cluster.physical_id, between), COUNT) == 2
    assert at_restored(stack, restored.to(cluster.physical_id, name="latest"), COUNT) == 3


def test_a_restored_cluster_can_be_restored_itself(stack, cluster, api, restored):
    take(api, cluster)
    restored.from_snapshot("before", "second")
    second = api.describe_db_clusters(DBClusterIdentifier="second")["DBClusters"][0]
    between = now()
    at_restored(stack, second, "INSERT INTO kept (n) VALUES (2)")
    third = restored.to("second", between, "third")
    assert at_restored(stack, third, COUNT) == 1
    at_restored(stack, third, "INSERT INTO kept (n) VALUES (3)")
    between = now()
    at_restored(stack, third, "INSERT INTO kept (n) VALUES (4)")
    assert at_restored(stack, restored.to("third", between, "fourth"), COUNT) == 2


def test_a_log_that_becomes_too_long_begins_anew(stack, cluster, api, restored, monkeypatch):
    create_instance(stack, cluster, "Reader")
    insert(stack, cluster, 2)
    before = now()
    monkeypatch.setattr(continuous_backup, "LOG_LIMIT_BYTES", 0)
    monkeypatch.setattr("localcloud.aurora.managed.LIMIT_LOG_EVERY", 10)
    assert eventually(lambda: earliest(api, cluster) > before)
    monkeypatch.undo()
    insert(stack, cluster, 3)
    between = now()
    insert(stack, cluster, 4)
    assert at_restored(stack, restored.to(cluster.physical_id, between), COUNT) == 3
    code, message = refused(
        api.restore_db_cluster_to_point_in_time,
        DBClusterIdentifier="earlier",
        SourceDBClusterIdentifier=cluster.physical_id,
        RestoreToTime=before,
    )
    assert (code, "not within the restorable time" in message) == ("InvalidParameterValue", True)
    api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    copy = restored.to(cluster.physical_id, between, "across")
    assert at_restored(stack, copy, COUNT) == 3


def earliest(api, cluster):
    described = api.describe_db_clusters(DBClusterIdentifier=cluster.physical_id)["DBClusters"][0]
    return described["EarliestRestorableTime"]


def test_times_outside_of_the_log_are_refused(stack, cluster, api):
    def to(**given):
        return refused(
            api.restore_db_cluster_to_point_in_time,
            **{
                "DBClusterIdentifier": "restored",
                "SourceDBClusterIdentifier": cluster.physical_id,
                **given,
            },
        )

    described = api.describe_db_clusters(DBClusterIdentifier=cluster.physical_id)["DBClusters"][0]
    first, last = described["EarliestRestorableTime"], described["LatestRestorableTime"]
    assert first <= last <= now()
    for moment in (first - timedelta(seconds=1), now() + timedelta(hours=1)):
        code, message = to(RestoreToTime=moment)
        assert (code, "not within the restorable time" in message) == ("InvalidParameterValue", True)
    assert to(SourceDBClusterIdentifier="missing", UseLatestRestorableTime=True) == (
        "DBClusterNotFoundFault",
        "DBCluster missing not found.",
    )
    for both in (
        {"RestoreToTime": last, "UseLatestRestorableTime": True},
        {"RestoreToTime": last, "RestoreType": "copy-on-write"},
        {},
    ):
        assert to(**both)[0] == "InvalidParameterCombination"
    assert "restored" not in records().clusters


def test_after_a_major_upgrade_the_log_begins_with_the_new_version(stack, cluster, api, restored):
    before = now()
    api.modify_db_cluster(
        DBClusterIdentifier=cluster.physical_id,
        EngineVersion=next_major(api, stack),
        AllowMajorVersionUpgrade=True,
        ApplyImmediately=True,
    )
    release = stack.dialect.release
    assert eventually(lambda: managed(stack, cluster).cluster.release != release, seconds=300)
    assert eventually(lambda: records().clusters[cluster.physical_id].status == "available", seconds=300)
    if stack.dialect.engine.product == "PostgreSQL":
        assert earliest(api, cluster) > before
    insert(stack, cluster, 2)
    between = now()
    insert(stack, cluster, 3)
    assert at_restored(stack, restored.to(cluster.physical_id, between), COUNT) == 2


def next_major(api, stack):
    (described,) = api.describe_db_engine_versions(
        Engine=str(stack.dialect.engine), EngineVersion=stack.dialect.version
    )["DBEngineVersions"]
    return next(
        target["EngineVersion"]
        for target in reversed(described["ValidUpgradeTarget"])
        if target["IsMajorVersionUpgrade"]
    )
