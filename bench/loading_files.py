"""Files to load: real invoices over and over, each time under numbers of their own."""

import gzip
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from operate.deployment import PROJECT

REAL_FILE = PROJECT.parent / "shared" / "data" / "online-retail.csv.gz"
SAMPLE = (
    PROJECT / "lambda" / "seed_data" / "sample.csv"
)  # for whoever has not the data set beside the project
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
SHIFT = 1_000_000  # beyond all invoice numbers of the file


def write_repeated(path: Path, lines: list[str], *, count: int) -> Path:
    """Write a CSV.gz of so many lines: the given ones again and again, their invoices shifted each time."""
    with gzip.open(path, "wt", compresslevel=6, encoding="utf-8", newline="") as file:
        file.write(f"{HEADER}\n")
        file.writelines(f"{line}\n" for line in itertools.islice(_repeated(lines), count))
    return path


def read_lines(path: Path) -> list[str]:
    """Return the lines of a CSV or CSV.gz without its header."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return file.read().splitlines()[1:]


def _repeated(lines: list[str]) -> Iterator[str]:
    for shift in itertools.count(step=SHIFT):
        yield from (_shifted(line, shift) for line in lines)


def _shifted(line: str, shift: int) -> str:
    return re.sub(r"[0-9]+", lambda number: str(int(number[0]) + shift), line, count=1)
