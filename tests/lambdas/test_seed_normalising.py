"""Splitting lines into rows: nothing is lost, whichever way a line takes."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seed_data.data_file import Block
from seed_data.model import Product
from seed_data.normalising import Normaliser
from seed_data.online_retail import BadLine, Reason, amount, numbers, parse
from seed_data.seen_invoices import SeenInvoices

UNESCAPED = {"\\\\": "\\", "\\t": "\t", "\\r": "\r", "\\n": "\n"}


def fields_of(row: str) -> list[str | None]:
    """Read a row as COPY does."""
    assert row.endswith("\n")
    return [None if field == r"\N" else _unescaped(field) for field in row[:-1].split("\t")]


def _unescaped(field: str) -> str:
    text, rest = "", field
    while rest:
        taken = rest[:2] if rest[0] == "\\" else rest[0]
        text, rest = text + (UNESCAPED[taken] if rest[0] == "\\" else taken), rest[len(taken) :]
    return text


class Normalised:
    """A list of lines after the pass, its rows read back."""

    def __init__(
        self, lines: list[str], *, per_block: int = 1000, products: dict[str, Product] | None = None
    ):
        blocks = [Block(2 + at, lines[at : at + per_block]) for at in range(0, len(lines), per_block)]
        normaliser = Normaliser(
            load_id=7, first_order_id=100, first_product_id=50, products=products or {}, seen=SeenInvoices()
        )
        text = "".join(normaliser.order_lines(blocks))
        self.order_lines = [fields_of(row) for row in text.splitlines(keepends=True)]
        self.totals = normaliser.totals
        self.products = {product.product_id: product for product in normaliser.products.values()}
        self.orders = {int(row[0]): row for row in _rows(normaliser.take_orders().file().read())}
        self.rejects = _rows(normaliser.rejects.file().read())
        self.set_aside = normaliser.set_aside.file().read().decode().splitlines()
        normaliser.close()

    def rebuilt(self) -> list[tuple]:
        """The order lines as the file had them."""
        return [self._rebuilt(*row) for row in self.order_lines]

    def _rebuilt(self, order_id, _, product_id, quantity, price, description, invoiced_at) -> tuple:
        _, invoice, _, customer, country, _, _, ordered_at, _ = self.orders[int(order_id)]
        product = self.products[int(product_id)]
        return (
            invoice,
            product.stock_code,
            product.description if description is None else description,
            int(quantity),
            invoiced_at or ordered_at,
            Decimal(price),
            customer or "",
            country,
        )


def _rows(content: bytes) -> list[list[str | None]]:
    return [fields_of(row) for row in content.decode().splitlines(keepends=True)]


def expected(text: str) -> tuple:
    line = parse(text)
    price = amount(line.price_thousandths)
    return (*line[:5], price, *line[7:])


INVOICES = ["536365", "536366", "C536379", "A563186", ""]
CODES = ["85123A", "85123a", "22423", "POST", ""]
DESCRIPTIONS = [
    "HEART",
    "HEART ",
    '"LETTER ""D"""',
    '"TRAY, BREAKFAST"',
    "",
    "A\tB",
    r"\N",
    "back\\slash",
    '"open',
]
QUANTITIES = ["1", "6", "-6", "0", "six"]
MOMENTS = ["2010-12-01 08:26:00", "2010-12-01 08:27:00", "2011-02-30 00:00:00"]
PRICES = ["2.55", "0.0", "0.001", "-11062.06", "2.5555"]
CUSTOMERS = ["17850.0", "17850", "", "12583.0"]
COUNTRIES = ["United Kingdom", "France"]
lines = st.tuples(
    *map(st.sampled_from, [INVOICES, CODES, DESCRIPTIONS, QUANTITIES, MOMENTS, PRICES, CUSTOMERS, COUNTRIES])
).map(",".join)
# Runs of one invoice, as files have them: else hardly a line could take the short way.
runs = st.lists(st.tuples(lines, st.lists(st.integers(0, 7), max_size=8)), max_size=6)


@given(runs, st.integers(1, 9))
def test_every_line_is_an_order_line_or_a_reject_or_set_aside_and_says_what_it_said(runs, per_block):
    texts = [text for first, varied in runs for text in [first, *(_vary(first, n) for n in varied)]]
    done = Normalised(texts, per_block=per_block)
    aside = {int(row.split("\t")[0]) for row in done.set_aside}
    rejected = {int(row[1]): row for row in done.rejects}
    kept = [n for n in range(2, 2 + len(texts)) if n not in aside and n not in rejected]
    assert len(done.order_lines) + len(done.rejects) + len(done.set_aside) == len(texts)
    assert done.rebuilt() == [expected(texts[number - 2]) for number in kept]
    for number, row in rejected.items():
        assert (row[0], row[3]) == ("7", texts[number - 2])
        assert row[2] == Reason.OTHER_CUSTOMER or row[2] == _reason(texts[number - 2])
    assert done.totals.lines == len(kept) + len(rejected)
    counted = [texts[number - 2] for number in [*kept, *rejected]]
    assert done.totals.quantity == sum(numbers(text).quantity or 0 for text in counted)
    assert done.totals.amount == sum(numbers(text).amount for text in counted)


def _vary(text: str, column: int) -> str:
    """Repeat the line with another value in a column; its invoice changes less often than the rest."""
    pools = [["22423"], CODES, DESCRIPTIONS, QUANTITIES, MOMENTS, PRICES, CUSTOMERS, COUNTRIES]
    parts = text.split(",")
    if len(parts) == 8 and column:
        parts[column] = pools[column][len(text) % len(pools[column])]
    return ",".join(parts)


def _reason(text: str) -> str | None:
    try:
        parse(text)
    except BadLine as bad:
        return str(bad)
    return None


def sale(
    invoice="536365", code="85123A", description="HEART", price="2.55", moment="2010-12-01 08:26:00", **other
):
    return ",".join(
        [
            invoice,
            code,
            description,
            other.get("quantity", "6"),
            moment,
            price,
            other.get("customer", "17850.0"),
            other.get("country", "United Kingdom"),
        ]
    )


def only_product(*texts: str) -> Product:
    (product,) = Normalised(list(texts)).products.values()
    return product


@pytest.mark.parametrize(
    "odd",
    [
        sale(description='"HEART"'),
        sale(description='"LETTER ""D"" RING"'),
        sale(description='"OPEN'),
        sale(moment="2010-12-01 08:27:00"),
        sale(moment="2010-12-01 25:00:00"),
        sale(price="-2.55"),
        sale(quantity="-6"),
        sale(quantity="0"),
        sale(customer="17850"),
        sale(customer="17851"),
        sale(country="France"),
        sale(description="\\"),
        sale(code="NEW"),
        sale() + ",",
        "",
    ],
)
def test_a_line_that_differs_from_the_many_like_it_is_looked_at(odd):
    done = Normalised([sale(), sale(), odd, sale()])
    if done.rejects:
        assert [row[3] for row in done.rejects] == [odd]
        assert len(done.order_lines) == 3
    else:
        assert done.rebuilt()[2] == expected(odd)


def test_what_is_right_for_a_sale_is_not_for_a_return():
    done = Normalised([sale("1"), sale("C2", quantity="-6"), sale("C2"), sale("3"), sale("3", quantity="-6")])
    assert [row[2] for row in done.rejects] == [Reason.POSITIVE_RETURN, Reason.NEGATIVE_SALE]


def test_the_first_sale_at_a_price_describes_a_product_for_good():
    product = only_product(
        sale("1", description="", price="0.0"),
        sale("2", description="?", price="0.0"),
        sale("C3", description="damaged", quantity="-1"),
        sale("4", description="HEART "),
        sale("5", description="BIG HEART"),
    )
    assert product.description == "HEART "


def test_a_description_seen_before_at_no_price_still_describes_at_the_first_sale():
    done = Normalised(
        [
            sale(code="ANOTHER"),  # so that every spelling is known
            sale(description="A", price="0.0"),
            sale(description="B", price="0.0"),
            sale(description="B"),
        ]
    )
    assert [product.description for product in done.products.values()] == ["HEART", "B"]


def test_a_product_that_was_never_sold_at_a_price_is_described_by_what_there_is():
    returned = only_product(
        sale("C1", description="", quantity="-1"), sale("C2", description="HEART", quantity="-1")
    )
    assert (returned.description, returned.price) == ("HEART", "0")


def test_the_latest_sale_prices_a_product_in_whatever_order_sales_come():
    late, early = "2011-12-01 08:00:00", "2010-12-01 08:00:00"
    texts = [
        sale("1", price="1.0", moment=late),
        sale("2", price="2.0", moment=early),
        sale("2", price="2.0", moment=early),
        sale("3", price="0.0", moment=late),
        sale("C4", price="9.0", moment=late, quantity="-1"),
    ]
    assert only_product(*texts).price == "1.0"
    known = Product(1, "85123A", "HEART", True, "5.0", "2012-01-01 00:00:00", Decimal("5.0"))
    assert Normalised(texts, products={"85123A": known}).products[1].price == "5.0"


def test_case_twins_and_repeated_products_stay():
    done = Normalised([sale(), sale(code="85123a"), sale(), sale()])
    assert [(row[1], row[2]) for row in done.order_lines] == [
        ("1", "50"),
        ("2", "51"),
        ("3", "50"),
        ("4", "50"),
    ]
    assert [p.stock_code for p in done.products.values()] == ["85123A", "85123a"]


def test_a_description_that_is_the_products_own_is_stored_once():
    done = Normalised([sale(), sale(), sale(description="HEART "), sale(description="")])
    assert [row[5] for row in done.order_lines] == [None, None, "HEART ", ""]


def test_an_invoice_that_comes_back_is_set_aside_whole():
    done = Normalised([sale("1"), sale("2"), sale("1"), sale("1"), sale("2"), sale("3")])
    assert [row.split("\t")[0] for row in done.set_aside] == ["4", "5"]
    assert [(row[1], row[5]) for row in done.orders.values()] == [("1", "1"), ("2", "2"), ("3", "1")]


def test_a_line_of_another_customer_is_no_line_of_this_order():
    done = Normalised([sale(), sale(customer=""), sale(country="France"), sale(customer="17850"), sale()])
    assert [(row[1], row[2]) for row in done.rejects] == [
        ("3", Reason.OTHER_CUSTOMER),
        ("4", Reason.OTHER_CUSTOMER),
    ]


def test_a_total_beyond_the_column_is_refused_line_by_line():
    large = {"price": "999999999.0", "quantity": "99"}
    done = Normalised([sale(**large), sale(**large), sale(), sale()])
    assert [(row[1], row[2]) for row in done.rejects] == [("3", Reason.ORDER_TOTAL)]
    assert next(iter(done.orders.values()))[6] == "98999999931600e-3"
    assert done.totals.amount == Decimal("98999999901.0") * 2 + Decimal("15.30") * 2


@pytest.mark.parametrize("number", [5, 20_000])
def test_seen_invoices_never_forget_and_rarely_err(number):
    seen = SeenInvoices()
    taken_for_seen = sum(seen.add(str(invoice)) for invoice in range(number))
    assert all(seen.add(str(invoice)) for invoice in range(number))
    assert taken_for_seen < number / 1000 + 1


def test_counts_by_kind():
    done = Normalised([sale("1"), sale("C2", quantity="-6"), sale("C2", quantity="-1")])
    assert Counter(row[2] for row in done.orders.values()) == {"invoiced": 1, "returned": 1}
