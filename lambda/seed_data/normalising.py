"""From lines of the wide file to rows of order lines, orders, products and rejects, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aurora.row_text import NULL, Spool, escaped, row
from seed_data.data_file import Block
from seed_data.model import ORDER_TOTAL_LIMIT, Order, Product, Totals, Ware
from seed_data.online_retail import BadLine, Line, Reason, numbers, parse
from seed_data.seen_invoices import SeenInvoices

REMEMBERED = (
    10_000  # of each: the real file has 722 quantities, 1,630 prices, 5,650 products and descriptions
)


class Normaliser:
    """Splits lines into rows. Order lines stream out; the much fewer rows of other tables are spooled.

    An invoice that may have come by before is set aside: only the database can tell whose it is.
    """

    def __init__(
        self,
        *,
        load_id: int,
        first_order_id: int,
        first_product_id: int,
        products: dict[str, Product],
        seen: SeenInvoices,
    ) -> None:
        self.load_id = load_id
        self.totals = Totals()
        self.products = products
        self.rejects = Spool()
        self.set_aside = Spool()
        self.first_order_id = first_order_id
        self.next_order_id = first_order_id
        self.first_product_id = first_product_id
        self.next_product_id = first_product_id
        self._seen = seen
        self._orders = Spool()
        self._order = Order(0, "", "", "", "")
        self._wares: dict[tuple[str, str], Ware] = {}
        self._prices: dict[str, int] = {}
        self._sold: dict[str, int] = {}
        self._returned: dict[str, int] = {}

    def order_lines(self, blocks: Iterable[Block]) -> Iterator[str]:
        """Yield the rows of each block's order lines.

        A line whose every part was found right before is taken at once: the order's invoice, date, customer
        and country, a product under this description, spellings of quantity and price. Of the real file's
        lines these are 14 in 15. All others go through `parse`, which alone decides what is right.
        """
        wares, prices = self._wares, self._prices
        lowest, highest = -ORDER_TOTAL_LIMIT, ORDER_TOTAL_LIMIT
        for block in blocks:
            rows: list[str] = []
            order = self._order
            for number, text in enumerate(block.lines, block.first_number):
                try:
                    invoice, code, description, quantity, moment, price, customer, country = text.split(",")
                    ware = wares[code, description]
                    pieces = order.quantities[quantity]
                    thousandths = pieces * prices[price]
                except (ValueError, KeyError):
                    pass
                else:
                    total = order.amount_thousandths + thousandths
                    if (
                        invoice == order.invoice
                        and moment == order.moment
                        and customer in order.customers
                        and country == order.country
                        and lowest < total < highest
                    ):
                        order.line_count += 1
                        order.quantity += pieces
                        order.amount_thousandths = total
                        product = ware.product
                        if thousandths > 0 and moment >= product.priced_at:
                            product.price = price
                            product.priced_at = moment
                        rows.append(
                            f"{order.order_id}\t{order.line_count}\t{ware.product_id}"
                            f"\t{quantity}\t{price}\t{ware.description}\t{NULL}\n"
                        )
                        continue
                rows.append(self.take(number, text))
                order = self._order
            yield "".join(rows)
        self.end()

    def take(self, number: int, text: str) -> str:
        """Return the line's row, or nothing where it was rejected or set aside."""
        try:
            line = parse(text)
            if line.invoice != self._order.invoice and self.open(line) is None:
                self.set_aside.add(row(number, line.invoice, text))
                return ""
            return self.add(self._order, line)
        except BadLine as bad:
            self.reject(number, text, str(bad))
            return ""

    def open(self, line: Line) -> Order | None:
        """Begin the order of this line, the one at hand from now on; None if it may have come by before."""
        if self._seen.add(line.invoice):
            return None
        self.finish(self._order)
        self._order = self.begin(line)
        return self._order

    def end(self) -> None:
        """Finish the order at hand, the last one."""
        self.finish(self._order)

    def take_orders(self) -> Spool:
        """Hand over the rows of orders that were finished since."""
        taken, self._orders = self._orders, Spool()
        return taken

    def close(self) -> None:
        """Give back temporary files."""
        for spool in (self._orders, self.rejects, self.set_aside):
            spool.close()

    def begin(self, line: Line) -> Order:
        """Return the new order of this line, still without lines."""
        order = Order(self.next_order_id, line.invoice, line.moment, line.customer, line.country)
        order.customers = (f"{line.customer}.0", line.customer) if line.customer else ("",)
        order.quantities = self._returned if line.is_return else self._sold
        self.next_order_id += 1
        return order

    def add(self, order: Order, line: Line) -> str:
        """Return the row of one more line of the order, or raise BadLine where it cannot be of this order."""
        if line.customer != order.customer or line.country != order.country:
            raise BadLine(Reason.OTHER_CUSTOMER)
        total = order.amount_thousandths + line.quantity * line.price_thousandths
        if not -ORDER_TOTAL_LIMIT < total < ORDER_TOTAL_LIMIT:
            raise BadLine(Reason.ORDER_TOTAL)
        ware = self._ware(line)
        self._remember_numbers(line)
        order.line_count += 1
        order.quantity += line.quantity
        order.amount_thousandths = total
        moment = NULL if line.moment == order.moment else line.moment
        return (
            f"{order.order_id}\t{order.line_count}\t{ware.product_id}"
            f"\t{line.quantity}\t{line.price}\t{ware.description}\t{moment}\n"
        )

    def finish(self, order: Order) -> None:
        """Spool the order's row and count its lines into the totals."""
        if not order.line_count:
            return
        self._count(order, 1)
        self._orders.add(
            f"{order.order_id}\t{order.invoice}\t{'returned' if order.is_return else 'invoiced'}"
            f"\t{order.customer or NULL}\t{escaped(order.country)}\t{order.line_count}"
            f"\t{order.amount_thousandths}e-3\t{order.moment}\t{self.load_id}\n"
        )

    def resume(self, order: Order) -> None:
        """Take a finished order back into hand, so that lines can be added and it can be finished again."""
        self._count(order, -1)

    def _count(self, order: Order, sign: int) -> None:
        self.totals.order_lines += sign * order.line_count
        self.totals.quantity += sign * order.quantity
        self.totals.ordered_thousandths += sign * order.amount_thousandths

    def reject(self, number: int, text: str, reason: str) -> None:
        """Spool the line as it stands, with its reason, and count it into the totals."""
        read = numbers(text)
        self.totals.rejects += 1
        self.totals.quantity += read.quantity or 0
        self.totals.rejected_amount += read.amount
        self.rejects.add(row(self.load_id, number, reason, text, read.quantity, read.price))

    def _ware(self, line: Line) -> Ware:
        """Return the line's product under the line's description."""
        product = self._product(line)
        key = line.stock_code, line.description
        if ware := self._wares.get(key):
            return ware
        is_its_own = product.is_described and line.description == product.description
        ware = Ware(product, str(product.product_id), NULL if is_its_own else escaped(line.description))
        if product.is_described and len(self._wares) < REMEMBERED:  # from now on, it means this for good
            self._wares[key] = ware
        return ware

    def _product(self, line: Line) -> Product:
        """Return the line's product, with what this line tells about it."""
        product = self.products.get(line.stock_code)
        if product is None:
            product = self.products[line.stock_code] = Product(self.next_product_id, line.stock_code)
            self.next_product_id += 1
        tells_price = bool(line.price_thousandths) and not line.is_return
        if tells_price and line.moment >= product.priced_at:
            product.price, product.priced_at = line.price, line.moment
        if not product.is_described:
            product.description = line.description if tells_price else product.description or line.description
            product.is_described = tells_price
        return product

    def _remember_numbers(self, line: Line) -> None:
        """Note which spellings were found right, so that their like can be taken at once."""
        if len(self._prices) < REMEMBERED:
            self._prices[line.price] = line.price_thousandths
        quantities = self._returned if line.is_return else self._sold
        if len(quantities) < REMEMBERED:
            quantities[str(line.quantity)] = line.quantity
