"""Orders for callers who want an answer by a deadline, whatever happens to the connection meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from aurora.connecting import connect_application
from aurora.deadline import Deadline
from aurora.environment import DatabaseEnvironment
from aurora.failures import Cause, DatabaseError, Remedy, Unavailable, remedy_for
from aurora.session import Session
from aurora.watchdog import cut_off_after
from orders import transactions
from orders.order import Order, PlacedOrder, WantedLine
from orders.refusals import OrderRefused

if TYPE_CHECKING:
    from orders.order_metrics import OrderMetrics

_Answer = TypeVar("_Answer")

ATTEMPT_SECONDS = 5.0
"""After which an unanswered statement counts as lost: far more than any of them takes, locks included."""
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.5


class OutcomeUnknown(Exception):
    """The deadline came before an answer to what was sent: it happened or not.

    The same call again, with the same request token, finds out, and makes it happen once.
    """


class OrderClient:
    """Places, cancels and reads orders for one caller at a time, over a session that it keeps and replaces.

    What passes by itself is tried again with jitter until the deadline: deadlocks, serialisation failures,
    lock timeouts, a writer that was demoted, connections that are lost or not answered. An order placed so
    exists once, by its request token, also where the answer to its commit was lost.
    """

    def __init__(
        self,
        connect: Callable[[Deadline], Session],
        *,
        attempt_seconds: float = ATTEMPT_SECONDS,
        report: Callable[[Exception], None] = lambda error: None,
        metrics: OrderMetrics | None = None,
    ) -> None:
        """Take what opens a session to the writer.

        `report` is told of every error that is tried again, `metrics` of what becomes of every order.
        """
        self._connect = connect
        self._attempt_seconds = attempt_seconds
        self._report = report
        self._metrics = metrics
        self._session: Session | None = None

    @classmethod
    def of(cls, environment: DatabaseEnvironment, *, metrics: OrderMetrics | None = None) -> OrderClient:
        """Return the application's client, through the proxy to the writer."""
        return cls(lambda deadline: connect_application(environment, deadline=deadline), metrics=metrics)

    def place(
        self,
        *,
        request_token: UUID,
        warehouse_id: int,
        country: str,
        lines: Sequence[WantedLine],
        deadline: Deadline,
        customer_id: int | None = None,
    ) -> PlacedOrder:
        """Place an order: committed once when this returns, whole or not at all.

        Where an attempt's answer was lost, `is_new` may be False for this call's own order. Raises a type of
        refusals.py, OutcomeUnknown, or where it is certain that nothing happened, DatabaseError or a type of
        failures.py.
        """

        def work(session: Session) -> PlacedOrder:
            return transactions.place(
                session,
                request_token=request_token,
                warehouse_id=warehouse_id,
                country=country,
                lines=lines,
                customer_id=customer_id,
            )

        if self._metrics is None:
            return self._persistently(work, deadline)
        return self._counted(work, deadline, self._metrics)

    def cancel(self, order_id: int, *, deadline: Deadline) -> bool:
        """Cancel a placed order; False if it is already, be it by an unanswered attempt of this call."""
        return self._persistently(lambda session: transactions.cancel(session, order_id), deadline)

    def read(self, order_id: int, *, deadline: Deadline) -> Order | None:
        """Return the order with its lines, or None if there is none."""
        return self._persistently(lambda session: transactions.read(session, order_id), deadline)

    def read_by_token(self, request_token: UUID, *, deadline: Deadline) -> Order | None:
        """Return the order that was placed with this token, or None if there is none."""
        return self._persistently(
            lambda session: transactions.read_by_token(session, request_token), deadline
        )

    def close(self) -> None:
        """End the session, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _counted(
        self, work: Callable[[Session], PlacedOrder], deadline: Deadline, metrics: OrderMetrics
    ) -> PlacedOrder:
        """Place persistently, and say what became of it."""
        started = time.perf_counter()
        try:
            placed = self._persistently(work, deadline)
        except OrderRefused as refusal:
            metrics.refused(refusal)
            raise
        except Exception:
            metrics.failed()
            raise
        metrics.placed(placed, seconds=time.perf_counter() - started)
        return placed

    def _persistently(self, work: Callable[[Session], _Answer], deadline: Deadline) -> _Answer:
        """Do the work until it is answered for good."""
        pause_seconds = FIRST_PAUSE_SECONDS
        unanswered: Exception | None = None
        while True:
            try:
                return self._attempt(work, deadline)
            except (DatabaseError, Unavailable) as error:
                remedy = remedy_for(error)
                if remedy is Remedy.NONE:
                    raise
                if remedy is Remedy.RECONNECT:
                    self.close()
                    if isinstance(error, DatabaseError) and error.cause is not Cause.READ_ONLY:
                        unanswered = error  # the session was lost behind what was sent
                self._report(error)
                if self._metrics is not None:
                    self._metrics.retried()
                pause_seconds = min(LONGEST_PAUSE_SECONDS, 2 * pause_seconds)
                pause = random.uniform(0, pause_seconds)  # noqa: S311 - spreads load, guards nothing
                if deadline.remaining_seconds() <= pause:
                    if unanswered is not None:
                        raise OutcomeUnknown(f"no answer before the deadline: {unanswered}") from error
                    raise
                time.sleep(pause)

    def _attempt(self, work: Callable[[Session], _Answer], deadline: Deadline) -> _Answer:
        if self._session is None or self._session.closed:
            self._session = self._connect(deadline)
        with cut_off_after(self._session, min(self._attempt_seconds, deadline.remaining_seconds())):
            return work(self._session)
