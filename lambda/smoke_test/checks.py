"""What a smoke test checks. A check returns what it saw, or raises; its function's name is its name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import orders
from aurora.connecting import APPLICATION, connect_with
from aurora.credentials import token_credential
from aurora.deadline import Deadline
from aurora.failures import Cause, CertificateRefused, DatabaseError
from aurora.session import Session
from orders import Order, WantedLine
from smoke_test.business_data import BusinessData
from smoke_test.scene import OTHER_PRODUCT, PRODUCT, SCARCE_PRODUCT, Scene

STRANGER = Path(__file__).with_name("stranger.pem")
MORE_THAN_IN_STOCK = 1_000_000  # of the scarce product, which opens with 3
POLL_SECONDS = 0.02

# What the application may write, and nobody else; rolled back wherever it succeeds.
INSERT = "INSERT INTO shop.customers (country) VALUES ('Nowhere (smoke test)')"
WRITES = (
    INSERT,
    "UPDATE shop.inventory SET stock = stock WHERE false",  # refused before a row is looked at
    "DELETE FROM shop.orders WHERE false",
)
ROUTINE = "shop.cancel_order"
NO_ERROR = "no error"


class CheckFailed(Exception):
    """Says what a check expected and what it saw instead."""

    def __init__(self, *, expected: object, seen: object) -> None:
        super().__init__(f"expected {expected}, saw {seen}")


def sessions_are_verified(scene: Scene) -> str:
    """Every session is encrypted, and its server's certificate verified in full."""
    for session in scene.sessions:
        _expect("TLS, verified in full", _encryption_of(session), of=f"the session to {session.host}")
    return f"TLS, verified in full, on {len(scene.sessions)} sessions"


def stranger_is_not_trusted(scene: Scene) -> str:
    """Who trusts another certificate authority than the database's gets no session."""
    trusting_a_stranger = replace(scene.environment, ca_bundle=str(STRANGER))
    for host in (scene.environment.proxy_endpoint, scene.environment.proxy_read_only_endpoint):
        credential = token_credential(scene.environment, user=APPLICATION, host=host)
        with _refused(CertificateRefused, of=f"a session to {host} that trusts a stranger"):
            connect_with(trusting_a_stranger, credential, host=host, deadline=scene.deadline)
    return "its certificates are refused"


def writer_takes_writes(scene: Scene) -> str:
    """The proxy's own endpoint leads to the writer."""
    _expect("the writer", _server_of(scene.application), of="the proxy's endpoint")
    _expect(NO_ERROR, _outcome_of(scene.application, INSERT)[0], of="an insert")
    return "an insert, rolled back"


def reader_refuses_writes(scene: Scene) -> str:
    """The proxy's read-only endpoint leads to a reader, which refuses even those who may write."""
    for session in (scene.application_on_reader, scene.read_only):
        _expect("a reader", _server_of(session), of="the proxy's read-only endpoint")
    seen, code = _outcome_of(scene.application_on_reader, INSERT)
    _expect(Cause.READ_ONLY.value, seen, of="an insert")
    return f"an insert is refused: {code}"


def order_commits_whole(scene: Scene) -> str:
    """Others see an order as it was asked for: all its lines, a product among them twice."""
    wanted = [WantedLine(PRODUCT, 2), WantedLine(OTHER_PRODUCT, 1), WantedLine(PRODUCT, 3)]
    placed = scene.place(*wanted)
    order = _order(scene.read_only_on_writer, placed.order_id)
    _expect("placed", order.status, of="its status")
    _expect(wanted, [WantedLine(line.stock_code, line.quantity) for line in order.lines], of="its lines")
    amounts = (line.quantity * line.unit_price for line in order.lines)
    _expect(sum(amounts, Decimal()), placed.total_amount, of="its total")
    _expect((3, -6), _movements_of(scene, placed.order_id), of="its stock movements (count, sum)")
    return f"{placed.line_count} lines, {placed.total_amount} in all"


def order_beyond_stock_leaves_nothing(scene: Scene) -> str:
    """An order whose last line exceeds the stock is refused with all its lines."""
    token = scene.new_token()
    with _refused(orders.OutOfStock, of=f"{MORE_THAN_IN_STOCK} of {SCARCE_PRODUCT}"):
        scene.place(
            WantedLine(PRODUCT, 1),
            WantedLine(OTHER_PRODUCT, 1),
            WantedLine(SCARCE_PRODUCT, MORE_THAN_IN_STOCK),
            token=token,
        )
    _expect(None, orders.read_by_token(scene.application, token), of="what is left of the order")
    return "refused, nothing left of it"


def unknown_product_is_refused(scene: Scene) -> str:
    """An order for a product that does not exist is refused whole, not placed without it."""
    token = scene.new_token()
    with _refused(orders.UnknownProduct, of="a product that does not exist"):
        scene.place(WantedLine(PRODUCT, 1), WantedLine("SMOKE-TEST-NO-SUCH-PRODUCT", 1), token=token)
    _expect(None, orders.read_by_token(scene.application, token), of="what is left of the order")
    return "refused, nothing left of it"


def repeated_request_is_one_order(scene: Scene) -> str:
    """A request that is sent twice, as after a lost answer, is one order."""
    token = scene.new_token()
    first, second = (scene.place(WantedLine(PRODUCT, 1), token=token) for _ in range(2))
    _expect(
        (first.order_id, False), (second.order_id, second.is_new), of="the repeated request (order, is new)"
    )
    _expect((1, -1), _movements_of(scene, first.order_id), of="its stock movements (count, sum)")
    return "the same order"


def order_appears_on_reader(scene: Scene) -> str:
    """A committed order is to be read on the reader before its patience ends, whole."""
    token = scene.new_token()
    placed = scene.place(WantedLine(PRODUCT, 1), WantedLine(OTHER_PRODUCT, 2), token=token)
    committed = time.perf_counter()
    patience_seconds = min(scene.reader_patience_seconds, scene.deadline.remaining_seconds())
    patience = Deadline.after(patience_seconds)
    while (seen := orders.read_by_token(scene.read_only, token)) is None:
        if patience.passed():
            raise CheckFailed(
                expected=f"order {placed.order_id} on the reader within {patience_seconds:.1f} s", seen="none"
            )
        time.sleep(POLL_SECONDS)
    _expect(_order(scene.application, placed.order_id), seen, of="the order on the reader")
    return f"within {(time.perf_counter() - committed) * 1000:.0f} ms"


def read_only_role_cannot_write(scene: Scene) -> str:
    """The read-only role writes nothing even on the writer, in a transaction that it made read-write."""
    session = scene.read_only_on_writer
    outcomes = {write: _outcome_of(session, write, begin="START TRANSACTION READ WRITE") for write in WRITES}
    outcomes[f"calling {ROUTINE}"] = _outcome_of_calling(session, ROUTINE)
    for write, (seen, _) in outcomes.items():
        _expect(Cause.NOT_PERMITTED.value, seen, of=write)
    codes = sorted({code for _, code in outcomes.values() if code})
    return f"{len(outcomes)} kinds of writes are refused: {', '.join(codes)}"


def cancellation_returns_stock(scene: Scene) -> str:
    """A cancelled order puts back what it took, once however often it is cancelled."""
    placed = scene.place(WantedLine(PRODUCT, 4), WantedLine(OTHER_PRODUCT, 1))
    cancelled = [orders.cancel(scene.application, placed.order_id) for _ in range(2)]
    _expect([True, False], cancelled, of="cancelling it twice")
    _expect("cancelled", _order(scene.application, placed.order_id).status, of="its status")
    _expect((4, 0), _movements_of(scene, placed.order_id), of="its stock movements (count, sum)")
    return "5 pieces are back"


def invariants_hold(scene: Scene) -> str:
    """Everything that the schema promises about its data is true of all data."""
    violations: dict[str, int] = dict(
        scene.application.rows("SELECT invariant, violations FROM shop.invariants")
    )
    _expect(True, len(violations) > 0, of="whether there are invariants")
    _expect({}, {name: count for name, count in violations.items() if count}, of="violations")
    return f"{len(violations)} invariants without a violation"


CHECKS: tuple[Callable[[Scene], str], ...] = (
    sessions_are_verified,
    stranger_is_not_trusted,
    writer_takes_writes,
    reader_refuses_writes,
    order_commits_whole,
    order_beyond_stock_leaves_nothing,
    unknown_product_is_refused,
    repeated_request_is_one_order,
    order_appears_on_reader,
    read_only_role_cannot_write,
    cancellation_returns_stock,
    invariants_hold,
)
"""Each stands by itself and may fail without the others; in the order of the report."""


def business_data_are_as_before(scene: Scene, deadline: Deadline) -> str:
    """Nothing is left of the test, and business data are what they were. The last check: it cleans up."""
    purged = scene.purge(deadline)
    left = [token for token in scene.tokens if orders.read_by_token(scene.application, token)]
    _expect([], left, of="request tokens of test orders left")
    after = BusinessData.settled(scene.application, scene.before.settled_before)
    _expect(scene.before, after, of="business data")
    return f"{after}; {purged} test orders taken away"


def _expect(expected: object, seen: object, *, of: str) -> None:
    if expected != seen:
        raise CheckFailed(expected=f"{of}: {expected}", seen=seen)


@contextmanager
def _refused(refusal: type[Exception], *, of: str) -> Iterator[None]:
    """Expect what runs inside to be refused so; all other errors pass through."""
    try:
        yield
    except refusal:
        return
    raise CheckFailed(expected=f"{of}: {refusal.__name__}", seen="no error")


def _encryption_of(session: Session) -> str:
    return "TLS, verified in full" if session.is_verified() else "less"


def _server_of(session: Session) -> str:
    return "a reader" if session.is_reader() else "the writer"


def _outcome_of(session: Session, statement: str, begin: str = "START TRANSACTION") -> tuple[str, str | None]:
    """Return why the statement was refused, and the server's code; what it did is rolled back."""
    session.rows(begin)
    try:
        session.rows(statement)
    except DatabaseError as error:
        return _answered(error)
    finally:
        if not session.closed:
            session.rows("ROLLBACK")
    return NO_ERROR, None


def _outcome_of_calling(session: Session, routine: str) -> tuple[str, str | None]:
    try:
        session.call(routine, (None,))
    except DatabaseError as error:
        return _answered(error)
    return NO_ERROR, None


def _answered(error: DatabaseError) -> tuple[str, str | None]:
    if not error.code:
        raise error  # not the server's answer: the session is gone
    return error.cause.value, error.code


def _order(session: Session, order_id: int) -> Order:
    order = orders.read(session, order_id)
    if order is None:
        raise CheckFailed(expected=f"order {order_id}", seen="none")
    return order


def _movements_of(scene: Scene, order_id: int) -> tuple[int, int]:
    ((count, total),) = scene.application.rows(
        "SELECT count(*), coalesce(sum(quantity), 0) FROM shop.stock_movements WHERE order_id = %s",
        (order_id,),
    )
    return int(count), int(total)
