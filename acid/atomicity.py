"""Atomicity: an order is there whole, once, or not at all, whatever interrupts it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from uuid import UUID, uuid4

from acid.consistency import violations
from acid.load import WAREHOUSE_ID
from acid.network import Network
from acid.stage import APPLICATION, SUPERUSER, Stage
from aurora.deadline import Deadline
from aurora.failures import DatabaseError
from aurora.session import Session
from orders import OrderClient, OrderRefused, WantedLine

PATIENCE_SECONDS = 30.0

_OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
_TERMINATE = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
_SHORT_LOCK_TIMEOUT = {
    "postgresql": "SET lock_timeout = '200ms'",
    "mysql": "SET innodb_lock_wait_timeout = 1",
}
_DEMOTE = {
    "postgresql": f"ALTER ROLE {APPLICATION} SET default_transaction_read_only = on",
    "mysql": "SET GLOBAL super_read_only = ON",
}
_PROMOTE = {
    "postgresql": f"ALTER ROLE {APPLICATION} RESET default_transaction_read_only",
    "mysql": "SET GLOBAL read_only = OFF",
}
_ONE_CONNECTION = {
    "postgresql": f"ALTER ROLE {APPLICATION} CONNECTION LIMIT 1",
    "mysql": f"ALTER USER {APPLICATION} WITH MAX_USER_CONNECTIONS 1",
}
_ANY_CONNECTIONS = {
    "postgresql": f"ALTER ROLE {APPLICATION} CONNECTION LIMIT -1",
    "mysql": f"ALTER USER {APPLICATION} WITH MAX_USER_CONNECTIONS 0",
}


@dataclass(frozen=True)
class Finding:
    """What became of the orders that one fault interrupted."""

    fault: str
    expected: str
    """`once` or `nothing`."""
    orders: int
    once: int
    nothing: int
    broken: int
    """There in part, twice, or with an invariant violated."""
    tried_again: int

    @property
    def as_expected(self) -> bool:
        """Whether every order ended as it should."""
        return not self.broken and self.orders == (self.once if self.expected == "once" else self.nothing)


@dataclass
class Customer:
    """Someone behind a network who wants one order at a time."""

    stage: Stage
    network: Network
    client: OrderClient
    sessions: list[Session]
    tried_again: list[Exception]

    def place(self, token: UUID, lines: list[WantedLine] | None = None) -> None:
        """Order, unless it is refused."""
        self.client.place(
            request_token=token,
            warehouse_id=WAREHOUSE_ID,
            country="France",
            lines=lines or [WantedLine(code, 1) for code in self.stage.products[:3]],
            deadline=Deadline.after(PATIENCE_SECONDS),
        )

    def is_there(self, token: UUID) -> bool:
        """Whether the order is in the database, for whoever looks."""
        return bool(self.stage.rows("SELECT order_id FROM shop.orders WHERE request_token = %s", (token,)))


Interruption = Callable[[Customer, UUID], None]


def findings(stage: Stage, *, times: int, report: Callable[[str], None] = lambda line: None) -> list[Finding]:
    """Interrupt so many orders by every fault; return what became of them."""
    found = []
    for fault in FAULTS:
        found.append(_finding(stage, fault, times))
        report(f"{found[-1].fault}: {found[-1].orders} orders")
    return found


def _finding(stage: Stage, fault: Interruption, times: int) -> Finding:
    expected = "nothing" if fault in _REFUSED else "once"
    once, nothing = 0, 0
    with _customer(stage) as customer:
        tokens = [uuid4() for _ in range(times)]
        for token in tokens:
            fault(customer, token)
        for token in tokens:
            count = len(stage.rows("SELECT order_id FROM shop.orders WHERE request_token = %s", (token,)))
            once, nothing = once + (count == 1), nothing + (count == 0)
        broken = times - once - nothing + sum(count for _, count in violations(stage))
        again = len(customer.tried_again)
    name = fault.__name__.replace("_", " ")
    return Finding(name, expected, times, once, nothing, broken, again)


@contextmanager
def _customer(stage: Stage) -> Iterator[Customer]:
    tried_again: list[Exception] = []
    sessions: list[Session] = []
    with stage.network() as (network, directory):

        def connect(_deadline: Deadline) -> Session:
            sessions.append(stage.connect(by=directory))
            sessions[-1].rows(_SHORT_LOCK_TIMEOUT[stage.engine])
            return sessions[-1]

        client = OrderClient(connect, attempt_seconds=1.5, report=tried_again.append)
        with closing(client):
            client.read(1, deadline=Deadline.after(PATIENCE_SECONDS))
            yield Customer(stage, network, client, sessions, tried_again)


@contextmanager
def _meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Run the work on another thread while the block runs; raise what it raises."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        yield
        running.result()


@contextmanager
def _stock_held(stage: Stage) -> Iterator[Session]:
    """Hold the stock of the third product, for which an order of the three waits."""
    with closing(stage.session(SUPERUSER)) as holder:
        holder.rows("START TRANSACTION")
        _touch(holder, stage.products[2])
        yield holder


def _touch(holder: Session, stock_code: str) -> None:
    holder.rows(
        "UPDATE shop.inventory SET stock = stock WHERE warehouse_id = %s AND product_id ="
        " (SELECT product_id FROM shop.products WHERE stock_code = %s)",
        (WAREHOUSE_ID, stock_code),
    )


# --- faults of which the caller hears nothing: the order is there once


def backend_terminated(customer: Customer, token: UUID) -> None:
    """The server ends the session in the middle of the order."""
    stage = customer.stage
    customer.client.read(1, deadline=Deadline.after(PATIENCE_SECONDS))
    ((own_id,),) = customer.sessions[-1].rows(_OWN_ID[stage.engine])
    with _stock_held(stage) as holder:

        def terminate() -> None:
            time.sleep(0.05)
            stage.rows(_TERMINATE[stage.engine].format(own_id))
            holder.rows("ROLLBACK")

        with _meanwhile(terminate):
            customer.place(token)


def network_cut_before_the_request_arrives(customer: Customer, token: UUID) -> None:
    """The request is lost, and then the connection."""
    customer.network.swallow()

    def cut() -> None:
        time.sleep(0.05)
        customer.network.restore()
        customer.network.cut()

    with _meanwhile(cut):
        customer.place(token)


def network_cut_after_the_commit(customer: Customer, token: UUID) -> None:
    """The order is committed, its answer is lost, and then the connection."""
    customer.network.swallow_answers()
    with _meanwhile(lambda: cut_when(lambda: customer.is_there(token), customer.network)):
        customer.place(token)


def cut_when(committed: Callable[[], bool], network: Network) -> None:
    """Cut the network once the order is there, and let through what comes after."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not committed():
        if time.monotonic() > give_up:
            raise TimeoutError("the request was never carried out")
        time.sleep(0.005)
    network.restore()
    network.cut()


def network_swallows_everything(customer: Customer, token: UUID) -> None:
    """Nothing comes through, and nobody says so: the client gives the attempt up by itself."""
    customer.network.swallow()
    opened = threading.Timer(0.2, customer.network.restore)
    opened.start()
    customer.place(token)
    opened.join()


def lock_timeout(customer: Customer, token: UUID) -> None:
    """Somebody holds a row for longer than the session waits."""
    longer_seconds = {"postgresql": 0.4, "mysql": 1.3}[customer.stage.engine]
    with _stock_held(customer.stage) as holder:

        def release() -> None:
            time.sleep(longer_seconds)
            holder.rows("ROLLBACK")

        with _meanwhile(release):
            customer.place(token)


def deadlock(customer: Customer, token: UUID) -> None:
    """Somebody takes the same rows the other way round; the server picks a victim, one or the other."""
    stage = customer.stage
    with _stock_held(stage) as holder:

        def take_the_first() -> None:
            time.sleep(0.05)
            with suppress(DatabaseError):  # the victim may be the holder
                _touch(holder, stage.products[0])
            holder.rows("ROLLBACK")

        with _meanwhile(take_the_first):
            customer.place(token)


def writer_demoted(customer: Customer, token: UUID) -> None:
    """The server takes no writes any more, until another one, or the same, is the writer again."""
    stage = customer.stage
    customer.client.close()
    stage.rows(_DEMOTE[stage.engine])

    def promote() -> None:
        time.sleep(0.1)
        stage.rows(_PROMOTE[stage.engine])

    with _meanwhile(promote):
        customer.place(token)
    customer.client.close()


def connections_exhausted(customer: Customer, token: UUID) -> None:
    """The user has no connection left, for a while."""
    stage = customer.stage
    customer.client.close()
    stage.rows(_ONE_CONNECTION[stage.engine])
    try:
        occupant = stage.session()

        def leave() -> None:
            time.sleep(0.1)
            occupant.close()

        with _meanwhile(leave):
            customer.place(token)
    finally:
        stage.rows(_ANY_CONNECTIONS[stage.engine])


# --- what is refused: nothing is there


def last_line_short_of_stock(customer: Customer, token: UUID) -> None:
    """The lines before it could be had."""
    _refused(customer, token, WantedLine(customer.stage.products[2], 2_000_000_000))


def last_product_unknown(customer: Customer, token: UUID) -> None:
    """The lines before it are known."""
    _refused(customer, token, WantedLine("ACID-no-such-product", 1))


def last_quantity_not_positive(customer: Customer, token: UUID) -> None:
    """The lines before it are right."""
    _refused(customer, token, WantedLine(customer.stage.products[2], 0))


def no_line(customer: Customer, token: UUID) -> None:
    """Nothing is wanted."""
    try:
        customer.client.place(
            request_token=token,
            warehouse_id=WAREHOUSE_ID,
            country="France",
            lines=[],
            deadline=Deadline.after(PATIENCE_SECONDS),
        )
    except OrderRefused:
        return
    raise AssertionError("an order without lines was placed")


def _refused(customer: Customer, token: UUID, last: WantedLine) -> None:
    try:
        customer.place(token, [*(WantedLine(code, 1) for code in customer.stage.products[:2]), last])
    except OrderRefused:
        return
    raise AssertionError(f"an order with {last} was placed")


_REFUSED = (last_line_short_of_stock, last_product_unknown, last_quantity_not_positive, no_line)
FAULTS: tuple[Interruption, ...] = (
    backend_terminated,
    network_cut_before_the_request_arrives,
    network_cut_after_the_commit,
    network_swallows_everything,
    lock_timeout,
    deadlock,
    writer_demoted,
    connections_exhausted,
    *_REFUSED,
)
"""What orders are interrupted by, each in a function of its own."""
