"""`make audit`: 0 when no deployment has a finding that is not acknowledged with a reason; 1 otherwise."""

import argparse
import sys
import time

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from audit.assembly import AuditFailed
from audit.auditing import audit_all
from audit.findings import Audit, Target, every_target
from audit.installed import HOME, missing
from audit.page import PAGE, render, stale
from audit.report import print_report
from stacks.assets import PROJECT
from stacks.engines import ENGINES

STEPS = 4
"""Of one target: synthesized under cdk-nag, then three scanners of templates."""


def main(arguments: list[str]) -> int:
    """Audit, print, and write docs/audit.md; returns 0 only when there is nothing to do."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 180, emoji=False, highlight=False)
    kinds = {target.kind for target in every_target()}
    unknown = [kind for kind in options.deployments if kind not in kinds]
    if unknown or missing():
        text = missing() or f"deployment {unknown[0]} is not known; choose of {', '.join(sorted(kinds))}"
        Console(stderr=True).print(text, style="red")
        return 2
    targets = every_target(options.deployments, options.engine)
    try:
        audits = _audited(console, targets)
    except AuditFailed as error:
        Console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted.")
        return 130
    print_report(console, audits)
    current = targets != every_target() or _page(console, audits, check=options.check)
    return 0 if current and all(audit.passed for audit in audits) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m audit", description=__doc__)
    parser.add_argument("deployments", nargs="*", metavar="DEPLOYMENT", help="all without one")
    parser.add_argument("--engine", action="append", default=[], choices=ENGINES, help="both without it")
    parser.add_argument(
        "--check",
        action="store_true",
        help="fail where docs/audit.md is not current, in the place of writing it",
    )
    return parser


def _audited(console: Console, targets: list[Target]) -> list[Audit]:
    started = time.monotonic()
    columns = SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("auditing", total=STEPS * (len(targets) + 1))

        def progress(target: Target, what: str) -> None:
            bar.update(task, advance=1, description=f"{target}: {what}")
            if not console.is_terminal:
                bar.console.print(f"{time.monotonic() - started:5.1f} s  {target}: {what}")

        return list(audit_all(targets, HOME / "assemblies", progress=progress))


def _page(console: Console, audits: list[Audit], *, check: bool) -> bool:
    """Write the page, or say that it is not current; returns whether it is now."""
    page, name = render(audits), PAGE.relative_to(PROJECT)
    if not stale(page):
        return True
    if check:
        console.print(
            f"[red]{name} is not current[/red]: run make audit, look at what changed, and commit it"
        )
        return False
    PAGE.write_text(page)
    console.print(f"{name} is written anew.")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
