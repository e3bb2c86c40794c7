"""Print README's table of the resource types: python -m localcloud.resources."""

# ruff: noqa: T201 - it prints

from __future__ import annotations

from localcloud.resources import implemented


def table() -> list[str]:
    """Return the rows, one for each type that exists here."""
    rows = ["| type | accepted without an effect here |", "| --- | --- |"]
    for name, handler in implemented().items():
        idle = ", ".join(sorted(handler.no_local_effect))
        rows.append(f"| {'Custom::…' if name == 'Custom::' else name} | {idle} |")
    return rows


if __name__ == "__main__":
    print("\n".join(table()))
