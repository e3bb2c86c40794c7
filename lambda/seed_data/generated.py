"""Generated lines as a source: loaded as they are made, without a file between."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from aurora.row_text import NULL, escaped
from seed_data import generator
from seed_data.baskets import AMOUNT_BITS, AMOUNT_MASK, Amount, Basket, Invoice, count
from seed_data.catalogue import RowParts, Ware
from seed_data.model import Order
from seed_data.normalising import Normaliser
from seed_data.online_retail import Line, thousandths


class Generated:
    """So many lines from a seed. Its loads leave the rows that a load of the written file would leave."""

    can_be_read_again = True

    def __init__(self, lines: int, seed: int = generator.DEFAULT_SEED) -> None:
        """Raise ValueError for numbers that no generator takes."""
        generator.check(lines)
        self.name = f"generated: {lines:,} lines from seed {seed}"
        self._lines = lines
        self._seed = seed

    def size_bytes(self) -> int:
        """Return the number of lines: nothing is stored, and lines are what progress is counted by."""
        return self._lines

    @contextmanager
    def open(self) -> Iterator[GeneratedFile]:
        """Begin with the first line."""
        yield GeneratedFile(self._lines, self._seed)


class Invoices(NamedTuple):
    """Consecutive invoices; their lines are numbered as in a file with a header."""

    first_number: int
    last_number: int
    invoices: list[Invoice]


class GeneratedFile:
    """What a load reads of a generated source, in the place of a data file."""

    def __init__(self, lines: int, seed: int) -> None:
        self.bytes_read = 0
        """Lines made so far, in the unit of the source's size."""
        self._lines = lines
        self._seed = seed

    @property
    def digest(self) -> str:
        """What tells this content from any other: the generator's version, the number of lines, the seed."""
        identity = f"generator {generator.VERSION}, {self._lines} lines, seed {self._seed}"
        return hashlib.sha256(identity.encode()).hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Yield nothing: the digest is known without reading."""
        return iter(())

    def data_blocks(self) -> Iterator[Invoices]:
        """Yield the invoices, of some thousand lines at a time; none of none."""
        first = number = 2
        batch: list[Invoice] = []
        for invoice in generator.invoices(self._lines, self._seed):
            batch.append(invoice)
            number += count(invoice)
            if number - first >= generator.LINES_AT_ONCE:
                self.bytes_read = number - 2
                yield Invoices(first, number - 1, batch)
                first, batch = number, []
        if batch:
            self.bytes_read = number - 2
            yield Invoices(first, number - 1, batch)

    def order_lines(self, normaliser: Normaliser, blocks: Iterator[Invoices]) -> Iterator[str]:
        """Yield the rows of order lines: of baskets at once, of invoices with quirks from their text."""
        writer = _Writer(normaliser)
        for first_number, _, invoices in blocks:
            number = first_number
            rows: list[str] = []
            for invoice in invoices:
                writer.write(rows, number, invoice)
                number += count(invoice)
            yield "".join(rows)
        normaliser.end()


class _Writer:
    """Turns invoices into rows. What is known for good of a ware is kept with it."""

    def __init__(self, normaliser: Normaliser) -> None:
        self._normaliser = normaliser

    def write(self, rows: list[str], number: int, invoice: Invoice) -> None:
        """Add the rows of an invoice whose first line has this number."""
        order = self._order(invoice) if isinstance(invoice, Basket) else None
        if order and isinstance(invoice, Basket):
            self._write_basket(rows, invoice, order)
            return
        lines = invoice.lines() if isinstance(invoice, Basket) else invoice
        rows += [self._normaliser.take(place, line) for place, line in enumerate(lines, number)]

    def _order(self, basket: Basket) -> Order | None:
        """Return the basket's new order; None where its invoice may have come by before."""
        draw = basket.draws[0]
        first = _line(basket, basket.wares[draw >> AMOUNT_BITS], basket.amounts[draw & AMOUNT_MASK])
        return self._normaliser.open(first)

    def _write_basket(self, rows: list[str], basket: Basket, order: Order) -> None:
        """Add a row for each draw: the inner loop. What `Normaliser.add` does for a line is done here too."""
        order_id, moment, is_sale = f"{order.order_id}\t", order.moment, not order.is_return
        wares, amounts = basket.wares, basket.amounts
        line_count = quantity = total = 0
        for draw in basket.draws:
            ware, amount = wares[draw >> AMOUNT_BITS], amounts[draw & AMOUNT_MASK]
            parts = ware.row or self._know(ware)
            if parts is None:
                order.line_count, order.quantity, order.amount_thousandths = line_count, quantity, total
                rows.append(self._normaliser.add(order, _line(basket, ware, amount)))
                line_count, quantity, total = order.line_count, order.quantity, order.amount_thousandths
                continue
            before, after, price_thousandths, product = parts
            text, pieces = amount
            line_count += 1
            quantity += pieces
            total += pieces * price_thousandths
            if is_sale:
                product.price = ware.price
                product.priced_at = moment
            rows.append(f"{order_id}{line_count}{before}{text}{after}")
        order.line_count, order.quantity, order.amount_thousandths = line_count, quantity, total

    def _know(self, ware: Ware) -> RowParts | None:
        """Keep with the ware what its rows have in common, once its product is described for good."""
        product = self._normaliser.products.get(ware.stock_code)
        if product is None or not product.is_described:
            return None
        is_its_own = ware.description == product.description
        description = NULL if is_its_own else escaped(ware.description)
        before, after = f"\t{product.product_id}\t", f"\t{ware.price}\t{description}\t{NULL}\n"
        ware.row = RowParts(before, after, thousandths(ware.price), product)
        return ware.row


def _line(basket: Basket, ware: Ware, amount: Amount) -> Line:
    customer, country = basket.buyer
    return Line(
        basket.invoice,
        ware.stock_code,
        ware.description,
        amount.pieces,
        basket.moment,
        ware.price,
        thousandths(ware.price),
        customer.removesuffix(".0"),
        country,
    )
