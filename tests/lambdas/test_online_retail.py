"""What a line of the file is, and why some are no order lines."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seed_data.data_file import Block, UnusableFile
from seed_data.online_retail import HEADERS, BadLine, Reason, data_lines, numbers, parse, split

GOOD = "536365,85123A,WHITE HANGING HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"


def line(**fields: str) -> str:
    """GOOD with other fields, written as a CSV writer writes them."""
    names = HEADERS[0].split(",")
    values = dict(zip(names, GOOD.split(","), strict=True)) | fields
    assert set(values) == set(names)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values.values())
    return buffer.getvalue()


def test_a_plain_sale():
    assert parse(GOOD) == (
        "536365",
        "85123A",
        "WHITE HANGING HEART",
        6,
        "2010-12-01 08:26:00",
        "2.55",
        2550,
        "17850",
        "United Kingdom",
    )


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"CustomerID": ""}, "customer", ""),
        ({"CustomerID": "17850"}, "customer", "17850"),
        ({"InvoiceNo": "C536379", "Quantity": "-1"}, "is_return", True),
        ({"UnitPrice": "0.001"}, "price_thousandths", 1),
        ({"UnitPrice": "0"}, "price_thousandths", 0),
        ({"UnitPrice": "999999999.999"}, "price_thousandths", 999_999_999_999),
        ({"StockCode": "85123a"}, "stock_code", "85123a"),
        ({"StockCode": "BANK CHARGES"}, "stock_code", "BANK CHARGES"),
        ({"Description": ""}, "description", ""),
        ({"Description": " TWO SPACES  "}, "description", " TWO SPACES  "),
        ({"Description": 'METAL, 7" SIGN'}, "description", 'METAL, 7" SIGN'),
        ({"Description": r"TAB	AND \N"}, "description", r"TAB	AND \N"),
        ({"InvoiceDate": "2010-12-01 08:26"}, "moment", "2010-12-01 08:26"),
        ({"InvoiceDate": "2012-02-29 00:00:00"}, "moment", "2012-02-29 00:00:00"),
    ],
)
def test_quirks_that_are_order_lines(fields, attribute, value):
    assert getattr(parse(line(**fields)), attribute) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.EMPTY),
        ("   ", Reason.EMPTY),
        ('536365,85123A,"NOT CLOSED,6,2010-12-01 08:26:00,2.55,17850.0,France', Reason.QUOTES),
        ('536365,85123A,"CLOSED"LATE,6,2010-12-01 08:26:00,2.55,17850.0,France', Reason.QUOTES),
        ("536365,85123A,TOO,FEW", Reason.COLUMNS),
        (GOOD + ",", Reason.COLUMNS),
        (GOOD.replace(",", ";"), Reason.COLUMNS),
        (line(InvoiceNo=""), Reason.INVOICE),
        (line(InvoiceNo="A563185"), Reason.INVOICE),
        (line(InvoiceNo="536365 "), Reason.INVOICE),
        (line(InvoiceNo="c536365"), Reason.INVOICE),
        (line(InvoiceNo="\uff15\uff13\uff16"), Reason.INVOICE),  # digits, but not ASCII's
        (line(StockCode=""), Reason.STOCK_CODE),
        (line(StockCode="  "), Reason.STOCK_CODE),
        (line(StockCode="X" * 41), Reason.STOCK_CODE),
        (line(Quantity=""), Reason.QUANTITY),
        (line(Quantity="six"), Reason.QUANTITY),
        (line(Quantity="6.0"), Reason.QUANTITY),
        (line(Quantity="1_000"), Reason.QUANTITY),  # Python's int takes it
        (line(Quantity="1e3"), Reason.QUANTITY),
        (line(Quantity="1234567890"), Reason.QUANTITY),
        (line(InvoiceDate=""), Reason.MOMENT),
        (line(InvoiceDate="12/1/2010 8:26"), Reason.MOMENT),
        (line(InvoiceDate="2010-02-30 08:26:00"), Reason.MOMENT),
        (line(InvoiceDate="2010-12-01 24:00:00"), Reason.MOMENT),
        (line(InvoiceDate="0000-12-01 08:26:00"), Reason.MOMENT),
        (line(UnitPrice=""), Reason.PRICE),
        (line(UnitPrice="2,55"), Reason.PRICE),
        (line(UnitPrice="NaN"), Reason.PRICE),
        (line(UnitPrice="Infinity"), Reason.PRICE),
        (line(UnitPrice="2.5555"), Reason.PRICE),
        (line(UnitPrice="1000000000"), Reason.PRICE),
        (line(UnitPrice="-11062.06"), Reason.NEGATIVE_PRICE),
        (line(CustomerID="17850.5"), Reason.CUSTOMER),
        (line(CustomerID="0"), Reason.CUSTOMER),
        (line(CustomerID="1000000"), Reason.CUSTOMER),
        (line(CustomerID="guest"), Reason.CUSTOMER),
        (line(Country=""), Reason.COUNTRY),
        (line(Country="X" * 61), Reason.COUNTRY),
        (line(Quantity="0"), Reason.NO_QUANTITY),
        (line(Quantity="-6"), Reason.NEGATIVE_SALE),
        (line(InvoiceNo="C536365"), Reason.POSITIVE_RETURN),
    ],
)
def test_each_bad_line_has_its_reason(text, reason):
    with pytest.raises(BadLine) as caught:
        parse(text)
    assert str(caught.value) == reason


def test_a_bad_line_still_counts_into_the_totals_by_what_is_a_number():
    assert numbers(line(InvoiceNo="A563186", UnitPrice="-11062.06", Quantity="1")) == (
        1,
        Decimal("-11062.06"),
    )
    assert numbers(line(UnitPrice="2.5555")).amount == Decimal("15.333")
    assert numbers(line(Quantity="six")) == (None, Decimal("2.55"))
    assert numbers(line(Quantity="six")).amount == 0
    assert numbers("536365,85123A,TOO,FEW") == (None, None)
    assert numbers('"') == (None, None)


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"])), min_size=2))
def test_what_a_csv_writer_writes_is_read_back(fields):
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(fields)
    if buffer.getvalue().strip():
        assert split(buffer.getvalue()) == fields


@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
def test_no_line_at_all_fails_otherwise_than_by_a_reason(text):
    try:
        parse(text)
    except BadLine as bad:
        assert str(bad) in list(Reason)


@pytest.mark.parametrize("header", [*HEADERS, ",".join(f'"{name}"' for name in HEADERS[1].split(","))])
def test_both_headers_are_known(header):
    assert list(data_lines([Block(1, [header, GOOD])])) == [Block(2, [GOOD])]


def test_a_header_may_stand_alone_in_its_block():
    assert list(data_lines([Block(1, [HEADERS[0]]), Block(2, [GOOD])])) == [Block(2, [GOOD])]


@pytest.mark.parametrize(
    ("blocks", "complaint"),
    [
        ([], "the file is empty"),
        ([Block(1, [HEADERS[0]])], "ends after its header"),
        ([Block(1, [GOOD])], "line 1 is '536365,"),
        ([Block(1, ["", HEADERS[0], GOOD])], "line 1 is ''"),
        ([Block(1, [HEADERS[0].replace(",", ";"), GOOD])], "expected the header InvoiceNo,"),
        ([Block(1, [HEADERS[0].lower(), GOOD])], "expected the header"),
        ([Block(1, [HEADERS[0] + ",Discount", GOOD])], "expected the header"),
    ],
)
def test_other_beginnings_are_refused(blocks, complaint):
    with pytest.raises(UnusableFile, match=complaint):
        list(data_lines(blocks))
