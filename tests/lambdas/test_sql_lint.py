"""squawk over the migrations, as `make check` runs it: a finding fails, or its file says why it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SQL = sorted((ROOT / "schema" / "postgresql").rglob("*.sql"))
SQUAWK = Path(sys.executable).with_name("squawk")
ANNOTATION = re.compile(r"-- squawk-ignore(-file)?( [a-z][a-z-]+,?)+ -- \w.*")
DROP = "ALTER TABLE shop.orders DROP COLUMN country;\n"


def squawk(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SQUAWK, "--config", ROOT / ".squawk.toml", "--reporter", "gcc", path],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def without_reason(text: str) -> list[str]:
    """The annotations that accept a finding and do not say why, or do not say which."""
    lines = [line.strip() for line in text.splitlines() if "squawk-ignore" in line]
    return [line for line in lines if not ANNOTATION.search(line)]


@pytest.mark.parametrize("path", SQL, ids=lambda path: path.name)
def test_each_finding_is_fixed_or_accepted_with_a_reason(path: Path) -> None:
    found = squawk(path)
    assert found.returncode == 0, found.stdout
    assert without_reason(path.read_text()) == []


def test_a_new_finding_fails(tmp_path) -> None:
    path = tmp_path / "V9__drop.sql"
    path.write_text(DROP)
    found = squawk(path)
    assert found.returncode == 1
    assert "ban-drop-column" in found.stdout


@pytest.mark.parametrize(
    "accepted",
    [
        f"-- squawk-ignore ban-drop-column -- nothing reads it any more\n{DROP}",
        f"-- squawk-ignore-file ban-drop-column -- nothing reads it any more\n\n{DROP}",
        DROP.replace("\n", " -- squawk-ignore ban-drop-column -- nothing reads it any more\n"),
    ],
)
def test_an_annotation_with_a_reason_accepts_it(tmp_path, accepted: str) -> None:
    path = tmp_path / "V9__drop.sql"
    path.write_text(accepted)
    assert squawk(path).returncode == 0
    assert without_reason(accepted) == []


@pytest.mark.parametrize(
    "bare",
    [
        "-- squawk-ignore ban-drop-column",
        "-- squawk-ignore ban-drop-column -- ",
        "-- squawk-ignore-file ban-drop-column",
        "-- squawk-ignore-file",
        "-- squawk-ignore-file -- everything is fine",
        "/* squawk-ignore ban-drop-column */",
    ],
)
def test_an_annotation_without_rule_or_reason_is_found(bare: str) -> None:
    assert without_reason(f"SELECT 1;\n{bare}\n{DROP}") == [bare.strip()]


def test_each_rule_that_is_left_out_everywhere_has_its_reason() -> None:
    configured = (ROOT / ".squawk.toml").read_text()
    excluded = re.search(r"excluded_rules = \[\n(.*?)\]", configured, re.DOTALL)
    assert excluded is not None
    assert all(re.search(r'^ +"[a-z-]+", +# \w', line) for line in excluded[1].splitlines())
