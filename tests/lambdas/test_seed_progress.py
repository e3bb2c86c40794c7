"""What a load says about its progress."""

from __future__ import annotations

import time

import pytest

from seed_data.progress import Meter, Progress, at_most_every


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def said():
    return []


def test_rate_and_time_left_follow_from_what_was_read(clock, said):
    meter = Meter(said.append, size_bytes=1000)
    meter.begin("loading")
    clock.now += 4
    meter.read(lines=20_000, bytes_read=250)
    assert said[-1] == Progress("loading", 20_000, 5_000, 0.25, 12.0)
    assert str(said[-1]) == "loading: 20,000 lines, 5,000 lines/s, 12 s left"


def test_a_pipe_tells_no_time_left(clock, said):
    meter = Meter(said.append, size_bytes=None)
    meter.begin("loading")
    clock.now += 2
    meter.read(lines=10, bytes_read=250)
    assert [str(each) for each in said] == ["loading", "loading: 10 lines, 5 lines/s"]


def test_parts_after_the_file_claim_no_time_left(clock, said):
    meter = Meter(said.append, size_bytes=1000)
    clock.now += 1
    meter.read(lines=10, bytes_read=1000)
    meter.begin("adding keys")
    assert str(said[-1]) == "adding keys: 10 lines, 10 lines/s"


def test_each_part_is_told_at_once_and_then_seldom(clock, said):
    report = at_most_every(2.0, lambda progress: said.append((progress.doing, progress.lines)))
    for doing, lines, seconds in [
        ("a", 1, 0),
        ("a", 2, 1),
        ("a", 3, 1),
        ("a", 4, 1),
        ("b", 5, 0),
        ("b", 6, 1),
    ]:
        clock.now += seconds
        report(Progress(doing, lines, 1, None, None))
    assert said == [("a", 1), ("a", 3), ("b", 5)]
