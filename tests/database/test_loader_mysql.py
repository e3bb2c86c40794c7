"""What holds in a load on MySQL alone: the server's leniency, its time-outs, its locks, its files."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext

import pytest

from aurora.deadline import Deadline
from aurora.failures import DatabaseError
from aurora.mysql_loading import MysqlBulk
from seed_data import recording
from seed_data.loader import load
from seed_data.sources import PathSource
from tests.database.loader_dialect import everything, loaders
from tests.database.retail_files import sale, written
from tests.database.test_loader import assert_sound, loaded
from tests.database.test_loader_faults import background as background
from tests.database.test_loader_faults import in_background, wait_until
from tests.database.test_loader_faults import slow as slow

pytestmark = pytest.mark.engine("mysql")


def test_a_source_that_stalls_for_longer_than_the_server_waits_is_loaded(database, slow, background):
    database.rows("SET GLOBAL net_read_timeout = 1")
    try:
        _, load_ = in_background(background, database, slow)
        assert slow.stalled.wait(10)
        time.sleep(2.5)
        slow.go_on.set()
        assert load_.result(30).is_new
    finally:
        database.rows("SET GLOBAL net_read_timeout = DEFAULT")
    assert_sound(database)


def test_a_load_that_cannot_be_undone_in_time_is_undone_by_the_servers_end_of_the_session(
    database, tmp_path, monkeypatch
):
    """Giving locks back in an open transaction would commit what is there of it."""
    before, all_rows = everything(database), MysqlBulk.rows

    def rows(self, statement, parameters=()):
        if statement == "ROLLBACK":
            raise DatabaseError("no answer in time")
        return all_rows(self, statement, parameters)

    monkeypatch.setattr(MysqlBulk, "rows", rows)
    monkeypatch.setattr(recording, "finish_load", lambda *_, **__: 1 / 0)
    with closing(database.session("shop_loader")) as session, pytest.raises(ZeroDivisionError):
        load(session, PathSource(written(tmp_path / "file.csv", [sale()])), deadline=Deadline.after(30))
    assert session.closed
    wait_until(lambda: loaders(database) == 0)
    assert everything(database) == before
    monkeypatch.undo()
    assert loaded(database, tmp_path / "file.csv").is_new


@pytest.mark.parametrize("fails", [False, True])
def test_a_session_is_left_as_it_was_found(database, tmp_path, monkeypatch, fails):
    path = written(tmp_path / "file.csv", [sale()])
    if fails:
        monkeypatch.setattr(recording, "add_orders", lambda *_: 1 / 0)
    state = (
        "SELECT @@autocommit, @@foreign_key_checks, @@unique_checks, @@transaction_isolation, @@sql_mode,"
        " @@net_read_timeout, @@max_execution_time, @@lock_wait_timeout, @@innodb_lock_wait_timeout,"
        " @shop_totals_by_load, IS_USED_LOCK('shop.load')"
    )
    with closing(database.session("shop_loader")) as session:
        before = session.rows(state)
        with pytest.raises(ZeroDivisionError) if fails else nullcontext():
            load(session, PathSource(path), deadline=Deadline.after(30))
        assert session.rows(state) == before
        with pytest.raises(DatabaseError, match="doesn't exist"):
            session.rows("SELECT * FROM shop.set_aside")
        session.rows("SELECT count(*) FROM shop.customers")  # no table is locked


def test_a_server_that_asks_for_a_file_gets_none(database, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary-31415\n")
    with closing(database.session("shop_loader")) as session:
        session.rows("CREATE TEMPORARY TABLE shop.stolen (line text)")
        with pytest.raises(Exception, match="LOAD_LOCAL"):
            session.rows(f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE shop.stolen")


def test_where_the_server_takes_no_local_files_the_load_says_so(database, tmp_path):
    before = everything(database)
    database.rows("SET GLOBAL local_infile = OFF")
    try:
        with pytest.raises(DatabaseError, match=r"3948: .*must be enabled"):
            loaded(database, written(tmp_path / "file.csv", [sale()]))
    finally:
        database.rows("SET GLOBAL local_infile = ON")
    assert everything(database) == before
