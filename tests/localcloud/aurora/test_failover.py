"""A reader takes the writer's place, asked to or because the writer died: with all that was committed."""

import socket
import sys
import threading
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

from localcloud.aurora.cluster import Cluster
from localcloud.aurora.postgresql_programs import ProgramFailed

from .shop import connect, create_cluster, create_instance, create_pair, eventually, managed, query, records


@pytest.fixture
def cluster(stack):
    return create_pair(stack)


def roles(cluster):
    members = records().clusters[cluster.physical_id].db_cluster_members
    return {member["DBInstanceIdentifier"]: member["IsClusterWriter"] for member in members}


def at_writer(stack, cluster, statement):
    return query(connect(stack, cluster.attributes["Endpoint.Address"]), statement)


def at_reader(stack, cluster, statement):
    return query(connect(stack, cluster.attributes["ReadEndpoint.Address"]), statement)


def served(stack, ask):
    """Return the answer, once the server that was started accepts connections."""
    answers = []

    def answered():
        with suppress(stack.dialect.error):
            answers.append(ask())
        return bool(answers)

    assert eventually(answered)
    return answers[0]


class Writing(threading.Thread):
    """Someone who adds a row at a time and remembers which were acknowledged, through whatever comes."""

    def __init__(self, stack, cluster):
        super().__init__(daemon=True)
        self._open = lambda: connect(stack, cluster.attributes["Endpoint.Address"])
        self.acknowledged = []
        self.ended = threading.Event()

    def run(self):
        connection, number = None, 100
        while not self.ended.is_set():
            number += 1
            with suppress(Exception):
                connection = connection or self._open()
                with connection.cursor() as cursor:
                    cursor.execute(f"INSERT INTO kept (n) VALUES ({number})")
                self.acknowledged.append(number)
                continue
            connection = None

    def has_written(self, more):
        wanted = len(self.acknowledged) + more
        return eventually(lambda: len(self.acknowledged) >= wanted)


def test_asked_to_the_reader_is_the_writer_and_the_writer_a_reader(stack, cluster, api):
    at_writer(stack, cluster, stack.dialect.create_table.format(table="kept", value=42))
    before = roles(cluster)
    api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    assert roles(cluster) == {name: not was_writer for name, was_writer in before.items()}
    assert at_writer(stack, cluster, "SELECT n FROM kept") == 42
    assert at_writer(stack, cluster, stack.dialect.is_reader) == 0
    assert at_reader(stack, cluster, stack.dialect.is_reader) == 1
    at_writer(stack, cluster, "UPDATE kept SET n = 43")
    assert eventually(lambda: at_reader(stack, cluster, "SELECT n FROM kept") == 43)


def test_back_and_forth(stack, cluster, api):
    at_writer(stack, cluster, stack.dialect.create_table.format(table="kept", value=0))
    before = roles(cluster)
    for _ in range(2):
        at_writer(stack, cluster, "UPDATE kept SET n = n + 1")
        api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    assert roles(cluster) == before
    assert at_writer(stack, cluster, "SELECT n FROM kept") == 2


@pytest.mark.parametrize("kind", ["planned", "the writer dies"])
def test_under_load_nothing_acknowledged_is_lost(stack, cluster, api, kind):
    at_writer(stack, cluster, stack.dialect.create_table.format(table="kept", value=1))
    writing = Writing(stack, cluster)
    writing.start()
    assert writing.has_written(50)
    former = managed(stack, cluster).cluster.writer
    if kind == "planned":
        api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    else:
        former.server.kill()
    assert eventually(lambda: managed(stack, cluster).cluster.writer is not former)
    assert writing.has_written(50)
    writing.ended.set()
    writing.join(60)
    count = f"SELECT count(*) FROM kept WHERE n IN ({', '.join(map(str, writing.acknowledged))})"
    assert at_writer(stack, cluster, count) == len(writing.acknowledged)
    assert eventually(lambda: at_reader(stack, cluster, count) == len(writing.acknowledged))
    assert not roles(cluster)[former.name]


def test_a_reader_that_dies_serves_again(stack, cluster):
    dead = managed(stack, cluster).cluster.readers[0]
    dead.server.kill()
    assert eventually(lambda: dead.server.is_running)
    assert served(stack, lambda: at_reader(stack, cluster, stack.dialect.is_reader)) == 1


def test_a_dead_writer_hands_over_though_its_port_was_taken_meanwhile(stack, cluster):
    at_writer(stack, cluster, stack.dialect.create_table.format(table="kept", value=42))
    former = managed(stack, cluster).cluster.writer
    former.server.kill()
    with socket.create_server(("127.0.0.1", former.server.port)):
        assert eventually(lambda: managed(stack, cluster).cluster.writer is not former)
    assert served(stack, lambda: at_writer(stack, cluster, "SELECT n FROM kept")) == 42


def test_a_server_that_started_while_it_was_killed_is_not_forgotten(stack, cluster, monkeypatch):
    shop = managed(stack, cluster).cluster
    shop.remove_instance(shop.readers[0].name)  # which would take over
    server = shop.writer.server
    of_this_engine = sys.modules[type(server).__module__]
    original = of_this_engine.kill_with_children

    def slowly(process):
        original(process)
        assert eventually(lambda: server.is_running)  # who watches saw it dead, and was faster than we

    with monkeypatch.context() as patched:
        patched.setattr(of_this_engine, "kill_with_children", slowly)
        server.kill()
    assert server.is_running


def fails_once(monkeypatch, method, error):
    original, calls = getattr(Cluster, method), []

    def failing(self, *arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise error
        original(self, *arguments)

    monkeypatch.setattr(Cluster, method, failing)
    return calls


@pytest.mark.parametrize("error", [ProgramFailed("no room"), OSError("no room")])
def test_what_could_not_be_put_back_is_tried_again(stack, cluster, monkeypatch, error):
    tried = fails_once(monkeypatch, "_make_anew", error)
    dead = managed(stack, cluster).cluster.readers[0]
    dead.server.kill()
    assert eventually(lambda: len(tried) > 1 and dead.server.is_running)
    assert served(stack, lambda: at_reader(stack, cluster, stack.dialect.is_reader)) == 1


def test_a_former_writer_that_cannot_come_back_at_once_is_a_reader_later(stack, cluster, api, monkeypatch):
    fails_once(monkeypatch, "_make_anew", ProgramFailed("no room"))
    former = managed(stack, cluster).cluster.writer
    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*no room"):
        api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    assert not roles(cluster)[former.name]
    assert eventually(lambda: former.server.is_running)
    assert served(stack, lambda: at_reader(stack, cluster, stack.dialect.is_reader)) == 1


def test_a_hand_over_that_fails_leaves_everything_as_it_was(stack, cluster, api, monkeypatch):
    at_writer(stack, cluster, stack.dialect.create_table.format(table="kept", value=42))
    before, successor = roles(cluster), managed(stack, cluster).cluster.readers[0]
    monkeypatch.setattr(type(successor.server), "catch_up", lambda *_, **__: False)
    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*did not catch up"):
        api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    assert roles(cluster) == before
    at_writer(stack, cluster, "UPDATE kept SET n = 43")
    assert eventually(lambda: at_reader(stack, cluster, "SELECT n FROM kept") == 43)


def test_a_writer_without_a_reader_starts_again(stack):
    alone = create_cluster(stack)
    create_instance(stack, alone)
    at_writer(stack, alone, stack.dialect.create_table.format(table="kept", value=42))
    writer = managed(stack, alone).cluster.writer
    writer.server.kill()
    assert eventually(lambda: writer.server.is_running)
    assert served(stack, lambda: at_writer(stack, alone, "SELECT n FROM kept")) == 42


def test_the_one_that_is_named_takes_over_else_the_one_of_the_lowest_tier(stack, cluster, api):
    third = create_instance(stack, cluster, "Third", PromotionTier=15)
    api.failover_db_cluster(
        DBClusterIdentifier=cluster.physical_id, TargetDBInstanceIdentifier=third.physical_id
    )
    assert roles(cluster)[third.physical_id]
    api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id)
    assert not roles(cluster)[third.physical_id]


def test_without_a_reader_there_is_no_failover(stack, api):
    alone = create_cluster(stack)
    create_instance(stack, alone)
    with pytest.raises(ClientError, match="at least two"):
        api.failover_db_cluster(DBClusterIdentifier=alone.physical_id)


def test_the_writer_cannot_take_over_from_itself(stack, cluster, api):
    before = roles(cluster)
    writer = next(name for name, is_writer in before.items() if is_writer)
    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        api.failover_db_cluster(DBClusterIdentifier=cluster.physical_id, TargetDBInstanceIdentifier=writer)
    assert roles(cluster) == before
