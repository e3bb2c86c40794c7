"""The Online Retail files: which lines are order lines, and why the others are not.

Both published headers are known: "Online Retail" and "Online Retail II", the same eight columns in the same
order. A record is a line: a quoted field ends where its line does, so that one stray quote spoils one line
and never the rest of the file.

What the files hold beside plain sales, and what becomes of it (docs/adr/0030):

- returns, whose invoices are C and digits and whose quantities are below zero: order lines;
- guests, who have no customer: order lines;
- customers written as floats (17850.0), stock codes that differ by case alone, descriptions with spaces at
  their ends, prices of three decimals, products repeated on one invoice, invoices of several times: order
  lines, verbatim;
- stock adjustments (a quantity below zero on no return) and bad debt (invoice A563186, a price below zero):
  rejects, for nobody ordered them.
"""

from __future__ import annotations

import csv
import enum
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from seed_data.data_file import Block, DataFile, UnusableFile

if TYPE_CHECKING:
    from seed_data.normalising import Normaliser

HEADERS = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
    "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country",
)
COLUMNS = 8

INVOICE = re.compile(r"C?[0-9]{1,18}")
QUANTITY = re.compile(r"-?[0-9]{1,9}")
PRICE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,3})?")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
CUSTOMER = re.compile(r"[1-9][0-9]{0,5}(?:\.0)?")  # from 1,000,000 on, the shop numbers its own
ANY_PRICE = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,6})?")
LONGEST_STOCK_CODE = 40
LONGEST_COUNTRY = 60


class Reason(enum.StrEnum):
    """Why a line is no order line, in the order in which a line is examined."""

    EMPTY = "the line is empty"
    QUOTES = "a quoted field does not end on its line, or goes on after its closing quote"
    COLUMNS = "the line does not have the header's 8 columns"
    INVOICE = "the invoice is neither a sale (digits) nor a return (C and digits)"
    STOCK_CODE = f"the stock code is missing or longer than {LONGEST_STOCK_CODE} characters"
    QUANTITY = "the quantity is not a whole number of at most 9 digits"
    MOMENT = "the date is no moment in the form 2010-12-01 08:26:00"
    NEGATIVE_PRICE = "the price is below zero: an adjustment, not a sale"
    PRICE = "the price is not a number of at most 9 digits and 3 decimals"
    CUSTOMER = "the customer is not a whole number of at most 6 digits"
    COUNTRY = f"the country is missing or longer than {LONGEST_COUNTRY} characters"
    NO_QUANTITY = "the quantity is zero"
    NEGATIVE_SALE = "a sale's quantity is below zero: an adjustment, for a return's invoice starts with C"
    POSITIVE_RETURN = "a return's quantity is above zero"
    OTHER_CUSTOMER = "the customer or country differs from the invoice's first line"
    ORDER_TOTAL = "the invoice's total would pass 99,999,999,999.999"


class BadLine(Exception):
    """A line that is no order line; the text is the reason. Expected: it never stops a load."""


class Line(NamedTuple):
    """One well-formed order line. Text is verbatim."""

    invoice: str
    stock_code: str
    description: str
    quantity: int
    moment: str
    price: str
    price_thousandths: int
    customer: str
    """Digits, or empty for a guest."""
    country: str

    @property
    def is_return(self) -> bool:
        """Tell whether the goods came back."""
        return self.invoice.startswith("C")


class OnlineRetailFile(DataFile):
    """A data file whose header is one of HEADERS."""

    def data_blocks(self) -> Iterator[Block]:
        """Yield what follows the header, or raise UnusableFile; see `data_lines`."""
        return data_lines(self.blocks())

    def order_lines(self, normaliser: Normaliser, blocks: Iterator[Block]) -> Iterator[str]:
        """Yield rows of the blocks' order lines."""
        return normaliser.order_lines(blocks)


def data_lines(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield what follows the header; UnusableFile where that is none of HEADERS, or nothing follows."""
    remaining = iter(blocks)
    first = next(remaining, None)
    if first is None:
        raise UnusableFile("the file is empty: expected a header and invoice lines")
    header, *lines = first.lines
    if header.replace('"', "") not in HEADERS:
        raise UnusableFile(f"line 1 is {header[:200]!r}: expected the header {' or '.join(HEADERS)}")
    if lines:
        yield Block(2, lines)
        yield from remaining
        return
    second = next(remaining, None)
    if second is None:
        raise UnusableFile("the file ends after its header: expected invoice lines")
    yield second
    yield from remaining


def parse(text: str) -> Line:
    """Return the line, or raise BadLine with the first of the reasons above that applies."""
    fields = split(text)
    if len(fields) != COLUMNS:
        raise BadLine(Reason.COLUMNS)
    invoice, stock_code, description, quantity, moment, price, customer, country = fields
    if not INVOICE.fullmatch(invoice):
        raise BadLine(Reason.INVOICE)
    if not stock_code.strip() or len(stock_code) > LONGEST_STOCK_CODE:
        raise BadLine(Reason.STOCK_CODE)
    if not QUANTITY.fullmatch(quantity):
        raise BadLine(Reason.QUANTITY)
    if not _is_moment(moment):
        raise BadLine(Reason.MOMENT)
    if not PRICE.fullmatch(price):
        raise BadLine(_wrong_price(price))
    if customer and not CUSTOMER.fullmatch(customer):
        raise BadLine(Reason.CUSTOMER)
    if not country.strip() or len(country) > LONGEST_COUNTRY:
        raise BadLine(Reason.COUNTRY)
    pieces, is_return = int(quantity), invoice.startswith("C")
    if not pieces:
        raise BadLine(Reason.NO_QUANTITY)
    if pieces < 0 and not is_return:
        raise BadLine(Reason.NEGATIVE_SALE)
    if pieces > 0 and is_return:
        raise BadLine(Reason.POSITIVE_RETURN)
    customer = customer.removesuffix(".0")
    return Line(
        invoice, stock_code, description, pieces, moment, price, thousandths(price), customer, country
    )


def split(text: str) -> list[str]:
    """Return the line's fields, or raise BadLine where its quotes do not pair."""
    if not text.strip():
        raise BadLine(Reason.EMPTY)
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        raise BadLine(Reason.QUOTES) from None


class Numbers(NamedTuple):
    """What a rejected line adds to the file's control totals: None where it is no number."""

    quantity: int | None
    price: Decimal | None

    @property
    def amount(self) -> Decimal:
        """Quantity times price, 0 where either is missing."""
        return (self.quantity or 0) * (self.price or Decimal(0))


def numbers(text: str) -> Numbers:
    """Return quantity and price of a line that may be wrong in every other respect."""
    try:
        fields = split(text)
    except BadLine:
        return Numbers(None, None)
    if len(fields) != COLUMNS:
        return Numbers(None, None)
    quantity, price = fields[3], fields[5]
    return Numbers(
        int(quantity) if QUANTITY.fullmatch(quantity) else None,
        Decimal(price) if ANY_PRICE.fullmatch(price) else None,
    )


def thousandths(price: str) -> int:
    """Return a price of at most three decimals as a whole number: sums of it are exact, and fast."""
    whole, _, decimals = price.partition(".")
    return int(whole + decimals.ljust(3, "0"))


def amount(price_thousandths: int) -> Decimal:
    """Return thousandths as the decimal that a person reads."""
    return Decimal(price_thousandths).scaleb(-3)


def _is_moment(text: str) -> bool:
    """Tell whether the calendar has it: the pattern alone would pass a 30 February."""
    if not MOMENT.fullmatch(text):
        return False
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _wrong_price(price: str) -> Reason:
    return Reason.NEGATIVE_PRICE if PRICE.fullmatch(price.removeprefix("-")) else Reason.PRICE
