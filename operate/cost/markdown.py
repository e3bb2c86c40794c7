"""Estimates as Markdown, for a terminal and for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from operate.cost.estimate import Estimate, Omission
from operate.cost.usage import HOURS_A_MONTH, assumptions

_SMALL_USD = 5
_NEVER_COUNTED = (
    "Not counted anywhere: data transfer, custom metrics, traces, requests to KMS and Secrets Manager, the "
    "CDK's bucket of assets. Free tiers and discounts are not deducted, taxes not added."
)


def page(title: str, one: Estimate) -> str:
    """Return what a deployment costs by resource, every line of it, what is assumed, and the sources."""
    return "\n".join(
        [
            f"### {title}: {_usd(one.idle_month)} USD a month idle, {_usd(one.busy_month)} busy",
            "",
            f"List prices of {one.region}; {one.idle_month / HOURS_A_MONTH:.3f} USD an hour idle, "
            f"{one.busy_month / HOURS_A_MONTH:.3f} busy.",
            "",
            *_table(("stack", "resource", "idle", "busy", "idle, by hour", "busy, by hour"), _resources(one)),
            "",
            "<details><summary>Line by line</summary>",
            "",
            *_table(("stack", "resource", "charged for", "idle", "busy"), _lines(one)),
            "",
            "</details>",
            *_remarks(one),
        ]
    )


def comparison(title: str, before: Estimate, other_title: str, after: Estimate) -> str:
    """Return what differs between two estimates, resource by resource, and the difference of the sums."""
    idle, busy = after.idle_month - before.idle_month, after.busy_month - before.busy_month
    rows = list(_differences(before, after))
    return "\n".join(
        [
            f"### {other_title} instead of {title}: {_signed(idle)} USD a month idle, {_signed(busy)} busy",
            "",
            f"From {_usd(before.idle_month)} to {_usd(after.idle_month)} idle, "
            f"from {_usd(before.busy_month)} to {_usd(after.busy_month)} busy.",
            "",
            *(
                _table(("stack", "resource", "idle", "busy", "idle, difference", "busy, difference"), rows)
                if rows
                else ["No resource costs more or less than before."]
            ),
            "",
            *_remarks(after),
        ]
    )


def _resources(one: Estimate) -> Iterator[tuple[str, ...]]:
    """Yield the resources that matter, the others in one row, and the sum."""
    costs = one.by_resource()
    small = {key: cost for key, cost in costs.items() if max(cost) < _SMALL_USD}
    for key, cost in costs.items():
        if key not in small:
            yield *key, *_by_month_and_hour(*cost)
    if small:
        idle, busy = (sum((cost[which] for cost in small.values()), Decimal()) for which in (0, 1))
        yield (
            f"{len(small)} other{'s' * (len(small) > 1)}",
            f"each below {_SMALL_USD} USD",
            *_by_month_and_hour(idle, busy),
        )
    sums = _by_month_and_hour(one.idle_month, one.busy_month)
    yield "**all**", "", *(f"**{amount}**" for amount in sums)


def _by_month_and_hour(idle: Decimal, busy: Decimal) -> tuple[str, ...]:
    return _usd(idle), _usd(busy), f"{idle / HOURS_A_MONTH:.4f}", f"{busy / HOURS_A_MONTH:.4f}"


def _lines(one: Estimate) -> Iterator[tuple[str, ...]]:
    for line in one.lines:
        yield line.stack, line.resource, line.what, _usd(line.idle), _usd(line.busy)


def _differences(before: Estimate, after: Estimate) -> Iterator[tuple[str, ...]]:
    was, becomes = before.by_resource(), after.by_resource()
    nothing = (Decimal(), Decimal())
    for key in dict.fromkeys([*was, *becomes]):
        old, new = was.get(key, nothing), becomes.get(key, nothing)
        if old != new:
            yield *key, _usd(new[0]), _usd(new[1]), _signed(new[0] - old[0]), _signed(new[1] - old[1])


def _remarks(one: Estimate) -> Iterator[str]:
    yield "<details><summary>What is assumed, what is not in the sum, where the prices come from</summary>"
    yield ""
    yield from _table(("assumed", "idle", "busy"), [(what, *pair) for what, pair in assumptions().items()])
    yield ""
    yield from _omitted(one.omissions)
    yield _NEVER_COUNTED
    yield ""
    yield from _table(
        ("prices to look at", "read from", "as of"),
        [(source.page, source.read, source.as_of) for source in one.sources],
    )
    yield ""
    yield "</details>"


def _omitted(omissions: Iterable[Omission]) -> Iterator[str]:
    rows: dict[tuple[str, str], list[str]] = {}
    for one in omissions:
        rows.setdefault((one.type, one.why), []).append(f"{one.stack}/{one.resource}")
    if rows:
        yield from _table(
            ("not in the sum", "why", "where"),
            [(kind, why, _places(places)) for (kind, why), places in rows.items()],
        )
        yield ""


def _places(places: list[str], *, most: int = 3) -> str:
    rest = len(places) - most
    return ", ".join(places[:most]) + (f" and {rest} more" if rest > 0 else "")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(' ---: ' if _is_number(name) else ' --- ' for name in head)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _is_number(name: str) -> bool:
    return name.startswith(("idle", "busy"))


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}" if amount else "0.00"
