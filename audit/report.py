"""What `make audit` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.findings import CONTROL, Audit
from audit.page import SCANNERS, count, grouped, plain


def print_report(console: Console, audits: Sequence[Audit]) -> None:
    """Print counts, acknowledgements with their reasons, and last what there is to do."""
    ours = sorted((a for a in audits if a.target.kind != CONTROL), key=lambda a: a.target)
    console.print(_counts(ours))
    console.print(_acknowledgements(ours))
    to_do = to_do_of(audits)
    for (rule, advice), places in to_do.items():
        console.print(Text(f"{rule}: {advice}", style="red"), soft_wrap=True)
        for place, targets in places.items():
            console.print(Text(f"    {place} ({', '.join(targets)})"), soft_wrap=True)
    if to_do:
        console.print(
            "Mend each, or acknowledge it beside its resource with a reason that a reviewer accepts."
        )
    else:
        console.print("No finding that is not acknowledged; no acknowledgement that nothing needs.")


def to_do_of(audits: Sequence[Audit]) -> dict[tuple[str, str], dict[str, list[str]]]:
    """Return what there is to do: by rule and what it wants the resources, and of these the targets."""
    to_do: dict[tuple[str, str], dict[str, list[str]]] = {}
    for audit in sorted(audits, key=lambda a: a.target):
        for rule, advice, place in _problems(audit):
            to_do.setdefault((rule, advice), {}).setdefault(place, []).append(str(audit.target))
    return to_do


def _problems(audit: Audit) -> Iterator[tuple[str, str, str]]:
    """Yield a rule, what it wants, and of which resource."""
    for scanner in audit.blind:
        yield scanner, "found nothing to look at: see whether it ran", "every stack"
    if audit.target.kind == CONTROL:
        return
    for scan in audit.scans:
        for finding in sorted(scan.left):
            yield finding.rule, finding.advice, plain(finding.resource)
    for acknowledgement in audit.stale:
        yield (
            acknowledgement.rule,
            "stale, for no scanner finds this any more",
            plain(acknowledgement.resource),
        )
    for finding in audit.unexplained:
        yield finding.rule, "hidden without a reason: use stacks/acknowledgements.py", plain(finding.resource)


def _counts(audits: Sequence[Audit]) -> Table:
    table = Table(title="Checks that hold / findings / findings acknowledged")
    for column in ("deployment", "engine", "resources", *SCANNERS.values()):
        table.add_column(column, justify="left" if column in {"deployment", "engine"} else "right")
    for audit in audits:
        by_scanner = {scan.scanner: scan for scan in audit.scans}
        cells = [
            Text(count(scan), style="red" if scan.left else "")
            for scan in map(by_scanner.__getitem__, SCANNERS)
        ]
        target = audit.target
        table.add_row(target.kind, target.engine, str(audit.resource_count), *cells)
    return table


def _acknowledgements(audits: Sequence[Audit]) -> Table:
    table = Table(title="Acknowledged", show_lines=True)
    for column in ("reason", "resources", "rules"):
        table.add_column(column, overflow="fold")
    everything = {a for audit in audits for a in audit.acknowledgements}
    for reason, resources, rules in grouped(everything):
        table.add_row(*map(Text, (reason, ", ".join(resources), rules)))
    return table
