"""docs/faults.md names checks that exist, on both engines for every fault."""

import ast
import re
from functools import cache

import pytest

from acid import atomicity
from operate.deployment import PROJECT

PAGE = (PROJECT / "docs" / "faults.md").read_text()
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and "`" in line]
ENGINES = {"PostgreSQL": "postgresql", "MySQL": "mysql"}


@cache
def functions() -> dict[str, set[str]]:
    """Return every test, and every part of `make acid`, with the engines that it runs on."""
    found: dict[str, set[str]] = {}
    for path in [*(PROJECT / "tests").rglob("test_*.py"), *(PROJECT / "acid").glob("*.py")]:
        module = ast.parse(path.read_text())
        of_module = next(
            (one for one in module.body if isinstance(one, ast.Assign) and "pytestmark" in ast.unparse(one)),
            None,
        )
        for function in module.body:
            if isinstance(function, ast.FunctionDef):
                marks = [
                    ast.unparse(mark) for mark in [*function.decorator_list, *([of_module] * bool(of_module))]
                ]
                only = {name for mark in marks for name in re.findall(r"mark\.engine\('(\w+)'\)", mark)}
                found.setdefault(function.name, set()).update(only or ENGINES.values())
    return found


def checks(cell: str) -> dict[str, set[str]]:
    """Return the names in a cell with the engines that the page says of them."""
    named = re.findall(r"`(\w+)`(?: \((PostgreSQL|MySQL)\))?", cell)
    return {name: {ENGINES[engine]} if engine else set(ENGINES.values()) for name, engine in named}


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip("| ") for row in ROWS])
def test_every_fault_is_checked_on_both_engines(row):
    said = checks(row[2])
    assert {name for name in said if not said[name] <= functions().get(name, set())} == set()
    assert set().union(*said.values()) == set(ENGINES.values())


def test_every_fault_of_the_acid_report_stands_on_the_page():
    page = {name for row in ROWS for name in checks(row[2])}
    assert {fault.__name__ for fault in atomicity.FAULTS} <= page
