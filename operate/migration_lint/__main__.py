"""Lint the migrations of both engines: python -m operate.migration_lint [FOLDER], by default schema/."""

import sys
from pathlib import Path

from operate.migration_lint.findings import Problem
from operate.migration_lint.linting import lint_folder

PROJECT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Print every problem with its place; returns 1 where there is one, 2 where there is nothing to lint."""
    folder = Path(arguments[0]) if arguments else PROJECT / "schema"
    files = {engine: sorted((folder / engine).rglob("*.sql")) for engine in ("postgresql", "mysql")}
    if not any(files.values()):
        sys.stderr.write(f"{folder} has no postgresql/*.sql and no mysql/*.sql: name the folder of both\n")
        return 2
    problems: list[Problem] = [
        problem for engine, paths in files.items() for problem in lint_folder(engine, paths)
    ]
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    counts = ", ".join(f"{len(paths)} of {engine}" for engine, paths in files.items())
    sys.stdout.write(f"{len(problems)} problems in migrations: {counts}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
