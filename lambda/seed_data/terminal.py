"""A load's progress as a bar on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from seed_data.progress import Progress, Report


@contextmanager
def progress_bar(stream: TextIO) -> Iterator[Report]:
    """Give a report that redraws one line: what is going on, a bar, lines, rate, time left."""
    console = Console(file=stream)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None, figures="")

        def report(progress: Progress) -> None:
            total = None if progress.done is None else 1.0
            bar.update(
                task,
                description=progress.doing,
                total=total,
                completed=progress.done or 0,
                figures=progress.figures,
            )

        yield report
