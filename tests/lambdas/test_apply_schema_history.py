"""How files and history are compared: every state, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apply_schema.history import Applied, HistoryRefused, Progress, State, compare
from apply_schema.migration_files import Migration, MigrationFiles

WHEN = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def file(name: str, checksum: str = "a" * 64) -> Migration:
    version = int(name[1 : name.index("__")]) if name.startswith("V") else None
    return Migration(name, version, "SELECT 1;", checksum)


def files(*names: str) -> MigrationFiles:
    return MigrationFiles(tuple(map(file, names)), "digest")


def row(name: str, checksum: str = "a" * 64) -> Applied:
    one = file(name)
    return Applied(name, one.version, checksum, one.kind, WHEN, "somebody", 0.5)


def states(found: MigrationFiles, history: list[Applied], **options: bool) -> dict[str, State]:
    return {entry.name: entry.state for entry in compare(found, history, **options).entries}


def test_an_empty_database_has_everything_pending() -> None:
    comparison = compare(files("V1__a.sql", "R__b.sql"), [])
    assert [one.name for one in comparison.pending] == ["V1__a.sql", "R__b.sql"]
    comparison.refuse_problems()


def test_each_state() -> None:
    found = MigrationFiles(
        (
            file("V2__b.sql"),
            file("V3__c.sql"),
            file("V4__d.sql"),
            file("R__e.sql", "b" * 64),
            file("R__f.sql"),
        ),
        "d",
    )
    history = [
        row("V1__a.sql"),
        row("V3__c.sql"),
        row("V4__d.sql", "c" * 64),
        row("R__e.sql"),
        row("R__g.sql"),
    ]
    assert states(found, history) == {
        "V1__a.sql": State.REMOVED,
        "V2__b.sql": State.LATE,
        "V3__c.sql": State.APPLIED,
        "V4__d.sql": State.EDITED,
        "R__e.sql": State.CHANGED,
        "R__f.sql": State.PENDING,
        "R__g.sql": State.WITHOUT_FILE,
    }


def test_of_a_repeatable_files_runs_the_last_one_counts() -> None:
    history = [row("R__a.sql", "b" * 64), row("R__a.sql")]
    assert states(files("R__a.sql"), history) == {"R__a.sql": State.APPLIED}
    assert states(files("R__a.sql"), history[::-1]) == {"R__a.sql": State.CHANGED}


def test_a_late_file_is_pending_only_where_it_is_allowed() -> None:
    found, history = files("V1__a.sql", "V2__b.sql"), [row("V2__b.sql")]
    assert states(found, history)["V1__a.sql"] is State.LATE
    assert states(found, history, allow_late=True)["V1__a.sql"] is State.PENDING


def test_a_renamed_file_of_the_same_content_is_the_same_migration() -> None:
    assert states(files("V0001__better_name.sql"), [row("V1__name.sql")]) == {
        "V0001__better_name.sql": State.APPLIED
    }


def test_a_database_ahead_has_nothing_pending() -> None:
    comparison = compare(files("V1__a.sql", "R__new.sql"), [row("V1__a.sql"), row("V2__b.sql")])
    assert comparison.is_ahead
    assert comparison.pending == ()
    comparison.refuse_problems()


def test_a_file_that_a_repeatable_row_lost_stops_nothing() -> None:
    comparison = compare(files("V1__a.sql", "V2__drop.sql"), [row("V1__a.sql"), row("R__gone.sql")])
    assert [one.name for one in comparison.pending] == ["V2__drop.sql"]


def test_every_contradiction_is_named_with_its_hashes_and_the_remedy() -> None:
    found = MigrationFiles((file("V2__late.sql", "1" * 64), file("V3__mine.sql", "2" * 64)), "d")
    history = [row("V1__gone.sql", "3" * 64), row("V3__theirs.sql", "4" * 64)]
    with pytest.raises(HistoryRefused) as refused:
        compare(found, history).refuse_problems()
    gone, late, edited = str(refused.value).split("\n")
    assert "V1__gone.sql" in gone
    assert "3" * 64 in gone
    assert "repair" in gone
    assert "V2__late.sql" in late
    assert "1" * 64 in late
    assert "allow" in late
    assert all(
        part in edited
        for part in ("V3__mine.sql", "V3__theirs.sql", "2" * 64, "4" * 64, "2026-11-20 12:30:00")
    )


@pytest.mark.parametrize(
    ("progress", "standing"),
    [
        (Progress(3, 1, failed_at=2, said="no"), "failed at 2/3"),
        (Progress(3, 1, sent=2), "in doubt at 2/3"),
        (Progress(3, 1), "begun at 2/3"),
        (Progress(3, 3), "begun at 3/3"),
        (Progress(3, 1, sent=2, is_running=True), "running at 2/3"),
    ],
)
def test_a_file_that_was_begun_is_pending_and_says_where_it_stands(progress: Progress, standing: str) -> None:
    for name in ("V2__b.sql", "R__b.sql"):
        begun = row(name, checksum="b" * 64)._replace(progress=progress)
        comparison = compare(files("V1__a.sql", name), [row("V1__a.sql"), begun])
        assert [one.name for one in comparison.pending] == [name]
        assert [entry.standing for entry in comparison.entries] == ["applied", standing]
        comparison.refuse_problems()


def test_a_file_that_was_begun_and_is_gone_is_refused_unless_it_left_nothing() -> None:
    begun = row("V1__a.sql")._replace(progress=Progress(3, 1, failed_at=2))
    with pytest.raises(HistoryRefused, match=r"V1__a.sql .* was begun at .* its file is gone"):
        compare(files("V2__b.sql"), [begun]).refuse_problems()
    left_nothing = begun._replace(progress=Progress(3, 0, failed_at=1))
    compare(files("V2__b.sql"), [left_nothing]).refuse_problems()


def test_a_database_with_a_file_begun_above_all_files_is_ahead() -> None:
    begun = row("V2__b.sql")._replace(progress=Progress(3, 1, failed_at=2))
    assert compare(files("V1__a.sql"), [row("V1__a.sql"), begun]).is_ahead
