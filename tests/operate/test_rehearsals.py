"""Rehearsals against an RDS that only remembers: what is asked of it, what is compared, what is left."""

from __future__ import annotations

import io
import json
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from apply_schema.contents import COPY_SUFFIX
from operate import __main__ as operate
from operate.aws import Refused
from operate.deployment import Deployment
from operate.rehearsals import command, copies, failover, restore
from operate.rehearsals.comparison import compare, compare_with_the_past
from operate.rehearsals.copies import Copies
from operate.rehearsals.functions import OLDER, Contents, Functions, TableContents
from operate.rehearsals.steps import RehearsalFailed, Steps

CLUSTER = "shop-dev"
TAGS = {"application": "shop", "environment": "dev"}
AT = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
RULES = {"shop.orders": TableContents(3, "aa", 7), "shop.notes": TableContents(1, "bb", None)}


def contents(**changed):
    """Return what a healthy database holds, with something changed."""
    healthy = Contents("postgresql", "16.13", AT.isoformat(), None, dict(RULES), {"stock": 0}, 1.0)
    return replace(healthy, **changed)


def with_tables(**changed):
    return contents(tables={**RULES, **{f"shop.{name}": one for name, one in changed.items()}})


class Rds:
    """Remembers clusters, instances, snapshots; each is made, and deleted, between one look and the next."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.fails: dict[str, BaseException] = {}
        self.restorable = AT - timedelta(seconds=20)
        self.targets = [
            {"EngineVersion": "16.14", "IsMajorVersionUpgrade": False},
            {"EngineVersion": "17.9", "IsMajorVersionUpgrade": True},
        ]
        self.clusters = {CLUSTER: self._source()}
        self.instances = {"writer": _instance("writer", CLUSTER), "reader": _instance("reader", CLUSTER)}
        self.snapshots: dict[str, dict] = {}
        self.upgrading: list[tuple[dict, str, str]] = []
        """What comes next of an upgrade that was asked for, after a moment in which nothing is seen of it."""

    def _source(self) -> dict:
        return {
            "DBClusterIdentifier": CLUSTER,
            "Status": "available",
            "Engine": "aurora-postgresql",
            "EngineVersion": "16.13",
            "DBSubnetGroup": "subnets",
            "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1"}],
            "DBClusterParameterGroup": "of-cluster",
            "Port": 15432,
            "IAMDatabaseAuthenticationEnabled": True,
            "DeletionProtection": True,
            "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 4.0, "Extra": 1},
            "StorageType": "aurora-iopt1",
            "Endpoint": "source.example",
            "DBClusterMembers": [
                {"DBInstanceIdentifier": "writer", "IsClusterWriter": True},
                {"DBInstanceIdentifier": "reader", "IsClusterWriter": False},
            ],
        }

    def get_paginator(self, operation):
        return _Pages(getattr(self, operation))

    def describe_db_clusters(self, DBClusterIdentifier=None):  # noqa: N803 - boto3's names
        self.restorable += timedelta(seconds=1)
        self.clusters[CLUSTER]["LatestRestorableTime"] = self.restorable
        described = {"DBClusters": _described(self.clusters)}
        if self.upgrading:
            copy, status, version = self.upgrading.pop(0)
            copy |= {"Status": status, "EngineVersion": version}
        return described

    def describe_db_instances(self):
        return {"DBInstances": _described(self.instances)}

    def describe_db_cluster_snapshots(self):
        return {"DBClusterSnapshots": _described(self.snapshots)}

    def describe_db_engine_versions(self, *, Engine, EngineVersion):  # noqa: N803
        family = f"{Engine}{EngineVersion.split('.')[0]}"
        return {"DBEngineVersions": [{"ValidUpgradeTarget": self.targets, "DBParameterGroupFamily": family}]}

    def create_db_cluster_snapshot(self, **given):
        self._note("create_db_cluster_snapshot", given)
        name = given["DBClusterSnapshotIdentifier"]
        self.snapshots[name] = {
            "DBClusterSnapshotIdentifier": name,
            "DBClusterIdentifier": given["DBClusterIdentifier"],
            "Status": "creating",
            "TagList": given["Tags"],
        }

    def restore_db_cluster_from_snapshot(self, **given):
        self._restored("restore_db_cluster_from_snapshot", given)

    def restore_db_cluster_to_point_in_time(self, **given):
        if given["RestoreToTime"] > self.restorable:
            raise _error("InvalidRestoreFault")
        self._restored("restore_db_cluster_to_point_in_time", given)

    def _restored(self, operation, given):
        self._note(operation, given)
        name = given["DBClusterIdentifier"]
        self.clusters[name] = self._source() | {
            "DBClusterIdentifier": name,
            "Status": "creating",
            "Endpoint": "copy.example",
            "TagList": given["Tags"],
            "DBClusterMembers": [],
        }

    def create_db_instance(self, **given):
        self._note("create_db_instance", given)
        name, cluster = given["DBInstanceIdentifier"], given["DBClusterIdentifier"]
        self.instances[name] = _instance(name, cluster) | {
            "DBInstanceStatus": "creating",
            "TagList": given["Tags"],
        }

    def modify_db_cluster(self, **given):
        self._note("modify_db_cluster", given)
        copy = self.clusters[given["DBClusterIdentifier"]]
        self.upgrading = [
            (copy, "upgrading", copy["EngineVersion"]),
            (copy, "available", given["EngineVersion"]),
        ]

    def delete_db_instance(self, *, DBInstanceIdentifier, SkipFinalSnapshot):  # noqa: N803
        self._delete(self.instances, DBInstanceIdentifier, "DBInstanceStatus", "InvalidDBInstanceState")

    def delete_db_cluster(self, *, DBClusterIdentifier, SkipFinalSnapshot):  # noqa: N803
        if any(one["DBClusterIdentifier"] == DBClusterIdentifier for one in self.instances.values()):
            raise _error("InvalidDBClusterStateFault")
        self._delete(self.clusters, DBClusterIdentifier, "Status", "InvalidDBClusterStateFault")

    def delete_db_cluster_snapshot(self, *, DBClusterSnapshotIdentifier):  # noqa: N803
        name = DBClusterSnapshotIdentifier
        self._delete(self.snapshots, name, "Status", "InvalidDBClusterSnapshotStateFault")

    def _delete(self, there, name, status, busy):
        self.calls.append(("delete", {"name": name}))
        if there[name][status] == "creating":
            raise _error(busy)
        there[name][status] = "deleting"

    def _note(self, operation, given):
        self.calls.append((operation, given))
        if operation in self.fails:
            raise self.fails[operation]

    def given(self, operation):
        """Return what one call was given."""
        ((_, given),) = [call for call in self.calls if call[0] == operation]
        return given

    @property
    def made(self):
        """Return what there is beside the deployment's own."""
        return [
            *(self.clusters.keys() - {CLUSTER}),
            *(self.instances.keys() - {"writer", "reader"}),
            *self.snapshots,
        ]


class _Pages:
    def __init__(self, describe) -> None:
        self.paginate = lambda: [describe()]


def _described(there):
    """Show each as it is, and let what goes on go on until the next look."""
    shown = [dict(one) for one in there.values()]
    for name, one in list(there.items()):
        key = "DBInstanceStatus" if "DBInstanceStatus" in one else "Status"
        if one[key] == "deleting":
            del there[name]
        elif one[key] == "creating":
            one[key] = "available"
    return shown


def _instance(name, cluster):
    return {
        "DBInstanceIdentifier": name,
        "DBClusterIdentifier": cluster,
        "DBInstanceStatus": "available",
        "DBInstanceClass": "db.serverless",
        "DBParameterGroups": [{"DBParameterGroupName": "of-instances"}],
        "TagList": [],
    }


def _error(code):
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


class Session:
    def __init__(self, rds) -> None:
        self.rds = rds

    def client(self, service, **_):
        assert service == "rds"
        return self.rds


class Looks:
    """Functions that answer in turn: the cluster before, its copy, the cluster after."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers) or [contents(), contents(), contents()]
        self.asked: list[tuple[str | None, dict | None]] = []

    def contents(self, *, endpoint=None, up_to=None):
        self.asked.append((endpoint, up_to))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def rds():
    return Rds()


@pytest.fixture
def said():
    return io.StringIO()


@pytest.fixture
def steps(said):
    return Steps(Console(file=said, width=200), poll_seconds=0)


@pytest.fixture
def of_dev(rds, steps):
    return Copies(Session(rds), steps, cluster=CLUSTER, tags=TAGS)


def report(found, said):
    steps = Steps(Console(file=said, width=300), poll_seconds=0)
    return restore.print_report(
        steps, Deployment(kind="dev"), found, cluster=CLUSTER, what="Restore", again="snapshot"
    )


# --- a copy


def test_a_snapshot_is_restored_beside_its_cluster_compared_and_taken_away(rds, of_dev, said):
    looks = Looks()
    found = restore.rehearse_snapshot(of_dev, looks)
    assert looks.asked == [
        (None, None),
        ("copy.example", {"shop.orders": 7}),
        (None, {"shop.orders": 7}),
    ]
    given = rds.given("restore_db_cluster_from_snapshot")
    tags = [{"Key": key, "Value": value} for key, value in {**TAGS, "rehearsal-of": CLUSTER}.items()]
    assert given == {
        "DBClusterIdentifier": "shop-dev-rehearsal",
        "SnapshotIdentifier": "shop-dev-rehearsal",
        "Engine": "aurora-postgresql",
        "EngineVersion": "16.13",
        "DBSubnetGroupName": "subnets",
        "VpcSecurityGroupIds": ["sg-1"],
        "DBClusterParameterGroupName": "of-cluster",
        "Port": 15432,
        "EnableIAMDatabaseAuthentication": True,
        "DeletionProtection": False,
        "CopyTagsToSnapshot": False,
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 4.0},
        "StorageType": "aurora-iopt1",
        "Tags": tags,
    }
    instance = rds.given("create_db_instance")
    assert (instance["DBInstanceClass"], instance["DBParameterGroupName"]) == (
        "db.serverless",
        "of-instances",
    )
    assert not instance["PubliclyAccessible"]
    assert report(found, said) == 0
    assert "Restore of shop-dev: worked; 4 rows are the same" in said.getvalue()
    assert not rds.made
    assert set(rds.clusters) == {CLUSTER}
    assert set(rds.instances) == {"writer", "reader"}


def test_the_function_looks_into_what_the_verb_makes():
    assert copies.SUFFIX == COPY_SUFFIX


@pytest.mark.parametrize(
    "operation",
    ["create_db_cluster_snapshot", "restore_db_cluster_from_snapshot", "create_db_instance"],
)
@pytest.mark.parametrize("error", [_error("StorageQuotaExceeded"), KeyboardInterrupt()])
def test_whatever_goes_wrong_nothing_is_left(rds, of_dev, operation, error):
    rds.fails[operation] = error
    with pytest.raises(type(error)):
        restore.rehearse_snapshot(of_dev, Looks())
    assert not rds.made


@pytest.mark.parametrize("error", [RehearsalFailed("no password"), KeyboardInterrupt()])
def test_a_copy_that_cannot_be_looked_into_is_taken_away(rds, of_dev, error):
    with pytest.raises(type(error)):
        restore.rehearse_snapshot(of_dev, Looks(contents(), error))
    assert "create_db_instance" in [name for name, _ in rds.calls]
    assert not rds.made


def test_what_a_killed_rehearsal_has_left_goes_first(rds, of_dev, said):
    tags = of_dev._tags
    rds.restore_db_cluster_from_snapshot(DBClusterIdentifier="shop-dev-rehearsal", Tags=tags)
    rds.create_db_instance(
        DBInstanceIdentifier="shop-dev-copy", DBClusterIdentifier="shop-dev-rehearsal", Tags=tags
    )
    rds.calls.clear()
    assert restore.rehearse_snapshot(of_dev, Looks()).worked
    operations = [name for name, _ in rds.calls]
    assert operations.index("delete") < operations.index("create_db_cluster_snapshot")
    assert "what an earlier rehearsal has left is taken away" in said.getvalue()


@pytest.mark.parametrize("tags", [[], [{"Key": "rehearsal-of", "Value": "shop-production"}]])
def test_a_cluster_that_only_has_the_name_is_never_touched(rds, of_dev, tags):
    """Somebody may have deployed NAME=dev-rehearsal."""
    rds.clusters["shop-dev-rehearsal"] = rds._source() | {
        "DBClusterIdentifier": "shop-dev-rehearsal",
        "TagList": tags,
    }
    with pytest.raises(Refused, match="shop-dev-rehearsal is there and is no copy of shop-dev"):
        restore.rehearse_snapshot(of_dev, Looks())
    assert rds.calls == []
    assert "shop-dev-rehearsal" in rds.clusters


def test_a_copy_that_cannot_be_taken_away_is_named_with_what_had_failed_before(
    rds, of_dev, said, monkeypatch
):
    rds.fails["create_db_instance"] = _error("InsufficientDBInstanceCapacity")
    monkeypatch.setattr(rds, "delete_db_cluster", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        restore.rehearse_snapshot(of_dev, Looks())
    assert "shop-dev-rehearsal and shop-dev-copy may be left" in said.getvalue()
    assert "InsufficientDBInstanceCapacity" in said.getvalue()


# --- a moment


def test_the_moment_is_the_first_second_behind_all_that_was_seen_and_is_waited_for(rds, of_dev, said):
    found = restore.rehearse_moment(of_dev, Looks(), None)
    given = rds.given("restore_db_cluster_to_point_in_time")
    moment = AT.replace(microsecond=0) + timedelta(seconds=1)
    assert given["RestoreToTime"] == moment == found.moment
    assert given["SourceDBClusterIdentifier"] == CLUSTER
    assert "SnapshotIdentifier" not in given
    assert "backups to 12:00:01: to 11:59:5" in said.getvalue()
    assert found.worked
    assert not rds.made


def test_an_order_of_after_the_moment_is_found(of_dev, said):
    late = contents(newest_order=(AT + timedelta(seconds=3)).isoformat())
    found = restore.rehearse_moment(of_dev, Looks(contents(), late, contents()), None)
    assert report(found, said) == 1
    assert "AFTER the moment" in said.getvalue()
    assert "DID NOT WORK" in said.getvalue()


def test_a_moment_of_the_past_is_compared_with_what_has_become_of_its_rows(rds, of_dev, said):
    looks = Looks(contents(), with_tables(orders=TableContents(3, "cancelled", 7)))
    found = restore.rehearse_moment(of_dev, looks, AT - timedelta(hours=1))
    assert looks.asked == [("copy.example", None), (None, {"shop.orders": 7})]
    assert report(found, said) == 0
    assert "changed meanwhile" in said.getvalue()
    assert not rds.made


# --- an upgrade


def test_a_minor_upgrade_names_the_version_alone(rds, of_dev):
    upgraded = contents(server_version="16.14")
    found = restore.rehearse_upgrade(of_dev, Looks(contents(), upgraded, contents()), "16.14")
    given = rds.given("modify_db_cluster")
    assert given == {
        "DBClusterIdentifier": "shop-dev-rehearsal",
        "EngineVersion": "16.14",
        "ApplyImmediately": True,
    }
    assert found.worked
    assert found.copy.engine_version == "16.14"
    assert not rds.made


def test_a_major_upgrade_takes_the_new_familys_parameters(rds, of_dev):
    assert restore.rehearse_upgrade(of_dev, Looks(), "17.9").worked
    given = rds.given("modify_db_cluster")
    assert given["AllowMajorVersionUpgrade"]
    assert given["DBClusterParameterGroupName"] == "default.aurora-postgresql17"
    assert given["DBInstanceParameterGroupName"] == "default.aurora-postgresql17"
    assert rds.clusters[CLUSTER]["EngineVersion"] == "16.13"


def test_what_the_version_cannot_be_upgraded_to_is_refused_before_anything_is_made(rds, of_dev):
    with pytest.raises(Refused, match=r"cannot be upgraded to 16\.11: name one of 16\.14, 17\.9"):
        restore.rehearse_upgrade(of_dev, Looks(), "16.11")
    assert rds.calls == []


def test_an_upgrade_that_fails_leaves_the_former_version_and_says_so(rds, of_dev, monkeypatch):
    def modify_db_cluster(**given):
        copy = rds.clusters[given["DBClusterIdentifier"]]
        rds.upgrading = [(copy, "upgrading", "16.13"), (copy, "available", "16.13")]

    monkeypatch.setattr(rds, "modify_db_cluster", modify_db_cluster)
    with pytest.raises(RehearsalFailed, match="failed to leave version 16"):
        restore.rehearse_upgrade(of_dev, Looks(), "17.9")
    assert not rds.made


# --- what is compared

ROW = TableContents


@pytest.mark.parametrize(
    ("before", "copy", "after", "verdict"),
    [
        (ROW(3, "a", 7), ROW(3, "a", 7), ROW(3, "a", 7), "same"),
        (ROW(3, "a", 7), ROW(3, "x", 7), ROW(3, "a", 7), "DIFFERS"),  # a changed row
        (ROW(3, "a", 7), ROW(2, "x", 7), ROW(3, "a", 7), "DIFFERS"),  # a lost row
        (ROW(3, "a", 7), ROW(4, "x", 7), ROW(3, "a", 7), "DIFFERS"),  # one too many
        (ROW(3, "a", 7), None, ROW(3, "a", 7), "DIFFERS"),
        (None, ROW(3, "a", 7), None, "DIFFERS"),
        (ROW(3, "a", 7), ROW(3, "a", 7), ROW(3, "b", 7), "same"),  # cancelled after the moment
        (ROW(3, "a", 7), ROW(3, "b", 7), ROW(3, "b", 7), "same"),  # before it
        (None, ROW(0, "b", 7), ROW(0, "b", 7), "same"),  # a migration ran meanwhile
        (ROW(3, "a", 7), ROW(3, "b", 7), ROW(3, "c", 7), "changed meanwhile"),
    ],
)
def test_the_copy_holds_what_one_of_the_two_looks_saw(before, copy, after, verdict):
    looks = [contents(tables={"shop.orders": one} if one else {}) for one in (before, copy, after)]
    found = compare(*looks)
    assert [one.verdict for one in found.tables] == [verdict]
    assert found.holds is (verdict != "DIFFERS")


def test_an_invariant_that_the_copy_alone_breaks_is_found():
    broken = contents(violations={"stock": 2})
    assert not compare(contents(), broken, contents()).holds
    assert compare(broken, broken, broken).holds  # the copy is not to blame
    assert not compare_with_the_past(broken, contents()).holds


def test_a_lost_row_is_said_with_its_table_and_the_exit_code_is_one(of_dev, said):
    lost = with_tables(orders=TableContents(2, "cc", 7))
    found = restore.rehearse_snapshot(of_dev, Looks(contents(), lost, contents()))
    assert report(found, said) == 1
    assert "shop.orders" in said.getvalue()
    assert "3 rows aa before, 2 rows cc in the copy, 3 rows aa after" in said.getvalue()
    assert "DID NOT WORK" in said.getvalue()


# --- waiting


def test_a_state_that_leads_nowhere_ends_the_waiting(steps):
    states = iter(["creating", "incompatible-restore"])
    with pytest.raises(RehearsalFailed, match="the copy: incompatible-restore"):
        steps.wait_for("the copy", lambda: next(states), "available", longest_seconds=60)


def test_waiting_ends_in_the_end(steps):
    with pytest.raises(RehearsalFailed, match="the copy is not there, not available, after 0 minutes"):
        steps.wait_for("the copy", lambda: "", "available", longest_seconds=0)


# --- the functions


class Lambda:
    """Answers as functions do, and keeps what it was asked."""

    def __init__(self, answer, error=None) -> None:
        self.answer, self.error, self.events = answer, error, []

    def client(self, service, **_):
        assert service == "lambda"
        return self

    def invoke(self, *, FunctionName, Payload):  # noqa: N803
        self.events.append((FunctionName, json.loads(Payload)))
        answer = {"Payload": io.BytesIO(json.dumps(self.answer).encode())}
        return answer | ({"FunctionError": self.error} if self.error else {})


NAMES = {"MigrationsFunction": "migrate", "SmokeTestFunction": "smoke"}


def test_contents_are_what_the_function_says():
    tables = {"shop.orders": {"rows": 3, "digest": "aa", "up_to": 7}}
    data = {"state": "read", **vars(contents(tables=tables))}
    answers = Lambda({"exit_code": 0, "data": data, "text": ""})
    found = Functions(answers, NAMES).contents(endpoint="copy", up_to={"shop.orders": 7})
    assert found.tables == {"shop.orders": TableContents(3, "aa", 7)}
    assert found.limits == {"shop.orders": 7}
    assert answers.events == [
        ("migrate", {"verb": "contents", "up_to": {"shop.orders": 7}, "endpoint": "copy"})
    ]


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ({"exit_code": 2, "data": {"state": "usage"}, "text": "usage: no verb"}, None, OLDER),
        ({"exit_code": 1, "data": {}, "text": "failed: rotated twice since"}, None, "rotated twice since"),
        ({"errorMessage": "Task timed out"}, "Unhandled", "migrate failed: Task timed out"),
    ],
)
def test_what_is_no_answer_says_why(answer, error, said):
    with pytest.raises(RehearsalFailed) as failure:
        Functions(Lambda(answer, error), NAMES).contents()
    assert said in str(failure.value)


def test_functions_of_before_rehearsals_are_told_by_their_answer():
    future = Functions(Lambda({"result": "passed"}), NAMES).order(seconds=1, customers=1, run="r")
    with pytest.raises(RehearsalFailed, match="deploy once more"):
        future.result(timeout=60)
    with pytest.raises(RehearsalFailed, match="deploy once more"):
        Functions(Lambda({}), {}).contents()


# --- failover

KEPT = {
    "result": "kept", "customers": 4, "seconds": 20.0, "acknowledged": 1234, "refused": 0, "unknown": 1,
    "tried_again": 4, "gave_up": [], "lost": 0, "altered": 0, "named": [], "twice": 0, "violations": {},
    "pause_milliseconds": 612.3, "usual_milliseconds": 2.4, "purged": 1235, "left": 0,
}  # fmt: skip


def failed_over(said, **changed):
    found = failover.FailedOver("reader", "writer", 2.9, KEPT | changed)
    console = Console(file=said, width=300)
    return failover.print_report(console, Deployment(kind="dev"), found, cluster=CLUSTER)


def test_a_failover_is_told_with_its_pause(said):
    assert failed_over(said) == 0
    assert "612 ms in which nobody was acknowledged an order; usually 2.4 ms" in said.getvalue()
    assert "1,234 acknowledged by 4 customers in 20 s" in said.getvalue()
    assert "Failover of shop-dev: worked" in said.getvalue()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"result": "broken", "lost": 1, "named": ["token-1"]}, "token-1"),
        ({"result": "broken", "violations": {"stock": 2}}, "2 times not: stock"),
        ({"result": "broken", "gave_up": ["Unavailable: nobody"]}, "Unavailable: nobody"),
        ({"left": 3}, "1,235 orders, 3 left"),
    ],
)
def test_a_failover_that_lost_something_says_what(said, changed, told):
    assert failed_over(said, **changed) == 1
    assert told in said.getvalue()
    assert "DID NOT WORK" in said.getvalue()


def test_a_cluster_without_a_reader_is_refused(rds, steps):
    rds.clusters[CLUSTER]["DBClusterMembers"].pop()
    with pytest.raises(Refused, match="no reader to fail over to"):
        failover.check(steps, Session(rds), CLUSTER)


@pytest.fixture
def failing_over(rds, steps, monkeypatch):
    """Fail over with a load of which the test holds the future."""
    orders: Future = Future()
    monkeypatch.setattr(failover, "stack_outputs", lambda *_: NAMES | {"ClusterIdentifier": CLUSTER})
    monkeypatch.setattr(failover, "Functions", lambda *_: type("F", (), {"order": lambda *_, **__: orders})())
    monkeypatch.setattr(failover, "_SmokeTestLog", lambda *_: type("L", (), {"tells": lambda _: True})())

    def failing_over(then):
        def fail_over(DBClusterIdentifier):  # noqa: N803
            then(orders)
            for one in rds.clusters[CLUSTER]["DBClusterMembers"]:
                one["IsClusterWriter"] = not one["IsClusterWriter"]

        monkeypatch.setattr(rds, "failover_db_cluster", fail_over, raising=False)
        monkeypatch.setattr(failover, "_described", lambda *_: rds.clusters[CLUSTER])
        deployment = Deployment(kind="dev")
        return failover.rehearse(steps, Session(rds), deployment, seconds=20, customers=4)

    return failing_over, orders


def test_a_load_that_ended_before_the_failover_has_measured_nothing(failing_over):
    fail_over, _ = failing_over
    with pytest.raises(RehearsalFailed, match="its pause is not known: again with ORDER_SECONDS=60"):
        fail_over(then=lambda orders: orders.set_result(KEPT))


def test_an_error_of_the_load_is_the_rehearsals(failing_over):
    fail_over, orders = failing_over
    orders.set_exception(RehearsalFailed("smoke failed: no such table"))
    with pytest.raises(RehearsalFailed, match="no such table"):
        fail_over(then=lambda _orders: None)


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["point-in-time", "--moment", "yesterday"], "MOMENT=yesterday is no moment with a zone"),
        (["point-in-time", "--moment", "2026-01-01T00:00:00"], "is no moment with a zone"),
        (["point-in-time", "--moment", "2999-01-01T00:00:00Z"], "lies ahead"),
        (["snapshot", "--moment", "2026-01-01T00:00:00Z"], "belongs to REHEARSAL=point-in-time"),
        (["failover", "--order-seconds", "0"], "ORDER_SECONDS=0 is outside 1 to 600"),
        (["failover", "--customers", "17"], "CUSTOMERS=17 is outside 1 to 16"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_call(monkeypatch, capsys, arguments, said):
    monkeypatch.setattr(command, "session_of", lambda *_: pytest.fail("it was called"))
    assert operate.main(["rehearse", *arguments, "--deployment", "dev"]) == 1
    assert said in capsys.readouterr().err


def test_the_cost_is_told_by_the_settings():
    from stacks.settings import DEPLOYMENTS

    assert "about 0.24 USD: one instance (db.serverless)" in command._cost(
        "db.serverless", DEPLOYMENTS["dev"]
    )
    told = command._cost("db.r8g.large", DEPLOYMENTS["production"])
    assert "about 0.14 USD: one instance (db.r8g.large)" in told
    elsewhere = replace(DEPLOYMENTS["production"], region="mars-north-1")
    assert "no price of db.r8g.large_hour in mars-north-1" in command._cost("db.r8g.large", elsewhere)
