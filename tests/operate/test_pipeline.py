"""`make pipeline`: the workflows' own steps, in their order, on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from operate import pipeline
from operate.pipeline import JOBS, main, runs_of


@pytest.fixture
def make(monkeypatch, tmp_path: Path):
    """A make that notes what it is asked, and fails at the commands it is told to fail at."""
    notes = tmp_path / "notes"
    program = tmp_path / "bin" / "make"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$* $DEPLOYMENT $ENGINE $NAME LOCAL=$LOCAL CI=$CI" >> {notes}\n'
        'case " $FAILING " in *" $1 "*) exit 2;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    for name in ("DEPLOYMENT", "ENGINE", "NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pipeline, "_end", lambda cloud: None)
    return lambda: notes.read_text().splitlines() if notes.exists() else []


def test_the_ephemeral_environments_of_both_engines_are_deployed_tested_and_destroyed(make):
    assert main(["ephemeral"]) == 0
    assert make() == [
        f"{verb} ephemeral {engine} {name} LOCAL=1 CI=true"
        for engine, name in (("postgresql", "pr-local"), ("mysql", "pr-local-my"))
        for verb in ("deploy", "smoke", "destroy")
    ]


def test_what_failed_is_destroyed_nevertheless_and_the_other_engine_still_runs(make, monkeypatch, capsys):
    monkeypatch.setenv("FAILING", "deploy")
    assert main(["ephemeral"]) == 1
    assert [line.split()[0] for line in make()] == ["deploy", "destroy", "deploy", "destroy"]
    said = capsys.readouterr().out
    assert (said.count("failed"), said.count("skipped"), said.count("passed")) == (2, 2, 2)


def test_a_failing_destroy_fails_the_pipeline(make, monkeypatch):
    monkeypatch.setenv("FAILING", "destroy")
    assert main(["ephemeral"]) == 1


def test_one_engine_alone(make):
    assert main(["synth", "ephemeral", "--engine", "mysql"]) == 0
    assert {line.split()[2] for line in make()} == {"mysql"}
    assert len(make()) == 2 + 3


def test_all_jobs_come_in_the_order_of_the_workflow(make):
    assert main([]) == 0
    verbs = [line.split()[0] for line in make()]
    assert list(dict.fromkeys(verbs)) == ["check", "test", "audit", "synth", "deploy", "smoke", "destroy"]
    assert verbs.count("synth") == 4


def test_nothing_is_left_to_be_filled_in():
    for job in JOBS:
        for steps in runs_of(job):
            assert steps
            assert all("$" not in value for step in steps for value in step.variables.values())


def test_an_unknown_job_is_wrong_usage(make, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["comment"])
    assert ended.value.code == 2
    assert "there are check, test, audit, synth, ephemeral" in capsys.readouterr().err
    assert make() == []
