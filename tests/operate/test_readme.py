"""The README's commands exist and say what they would do; its paths and table of settings are true."""

import re
import subprocess

import pytest

from operate.deployment import PROJECT
from stacks.engines import ENGINES
from stacks.settings import DEPLOYMENTS, ServerlessV2

README = (PROJECT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"^make [^#\n]*[^#\s]", README, flags=re.MULTILINE)))


def test_it_has_the_two_commands_that_do_everything():
    assert "make local" in COMMANDS
    assert "make test" in COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_make_command_is_a_verb_of_the_makefile(command: str):
    done = subprocess.run(
        [*command.split(), "--dry-run", "--silent"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), f"{command} would do nothing"


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(((?!https?:)[^)#]+)\)", README))))
def test_every_linked_file_exists(path: str):
    assert (PROJECT / path).exists()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:stacks|lambda|localcloud)/[\w/]+\.py)`", README)))
)
def test_every_named_source_exists(path: str):
    assert (PROJECT / path).exists()


def row(label: str) -> list[str]:
    (line,) = [line for line in README.splitlines() if line.startswith(f"| {label} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def test_the_table_of_engines_says_what_their_records_say():
    engines = [ENGINES[name] for name in ("postgresql", "mysql")]
    others = [[one for one in engine.major_versions if one != engine.default_version] for engine in engines]
    assert row("version") == [
        f"{engine.default_version}; also {', '.join(rest)}"
        for engine, rest in zip(engines, others, strict=True)
    ]
    assert row("port") == [str(engine.default_port) for engine in engines]
    assert row("logs in CloudWatch") == [", ".join(engine.log_exports) for engine in engines]
    assert row("rewinds in place, hours") == [
        f"{engine.default_backtrack_hours}, up to {engine.longest_backtrack_hours}"
        if engine.longest_backtrack_hours
        else "0"
        for engine in engines
    ]


def test_the_table_of_settings_says_what_the_settings_say():
    names = ("local", "dev", "ephemeral", "production")
    capacities = [DEPLOYMENTS[name].database.capacity for name in names]
    assert row("capacity") == [
        f"{capacity.min_capacity_acu:g} to {capacity.max_capacity_acu:g} ACU"
        if isinstance(capacity, ServerlessV2)
        else f"{capacity.instance_class} instances"
        for capacity in capacities
    ]
    assert row("readers") == [str(DEPLOYMENTS[name].database.reader_count) for name in names]
    assert row("backups, days") == [str(DEPLOYMENTS[name].database.backup_retention_days) for name in names]
    kept = ["yes" if DEPLOYMENTS[name].retain_data else "no" for name in names]
    assert row("deletion protection, data kept") == kept
