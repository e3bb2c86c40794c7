"""Files for the loader's tests, read by other means than the loader's."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC
from decimal import Decimal
from pathlib import Path

import pytest

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
REAL_FILE = Path(__file__).parents[3] / "shared" / "data" / "online-retail.csv.gz"
REAL_LINES = 541_909


def real_file() -> Path:
    """The published data set, which is not ours to ship: whoever has it beside the project tests with it."""
    if not REAL_FILE.exists():
        pytest.skip(f"the real data set is not there: {REAL_FILE.name}")
    return REAL_FILE


def sale(
    invoice: str = "536365",
    code: str = "85123A",
    description: str = "HEART",
    quantity: str = "6",
    moment: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850.0",
    country: str = "United Kingdom",
) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(
        [invoice, code, description, quantity, moment, price, customer, country]
    )
    return buffer.getvalue()


def written(path: Path, lines: Iterable[str], *, header: str = HEADER) -> Path:
    content = "".join(f"{line}\n" for line in [header, *lines]).encode()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def rows_of(path: Path) -> Counter[tuple]:
    """The file's rows as a multiset, numbers as numbers, everything else verbatim."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return Counter(map(comparable, list(csv.reader(file))[1:]))


def comparable(row: list[str]) -> tuple:
    invoice, code, description, quantity, moment, price, customer, country = row
    return (
        invoice,
        code,
        description,
        int(quantity),
        moment,
        Decimal(price),
        customer.removesuffix(".0"),
        country,
    )


def rows_in(database) -> Counter[tuple]:
    """The rows that files have brought, rebuilt from order lines and rejects."""
    lines = database.rows("""
        SELECT o.invoice_number, p.stock_code, coalesce(l.description, p.description), l.quantity,
            coalesce(l.invoiced_at, o.ordered_at), l.unit_price, o.customer_id, o.country
        FROM shop.order_lines AS l
        JOIN shop.orders AS o USING (order_id)
        JOIN shop.products AS p USING (product_id)
        WHERE o.load_id IS NOT NULL
    """)
    return Counter(map(_as_written, lines)) + Counter(_rejected(database))


def _as_written(row: tuple) -> tuple:
    invoice, code, description, quantity, moment, price, customer, country = row
    written = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return invoice, code, description, quantity, written, price, str(customer or ""), country


def _rejected(database) -> Iterator[tuple]:
    raw = database.rows("SELECT raw FROM shop.rejects")
    return map(comparable, csv.reader(text for (text,) in raw))
