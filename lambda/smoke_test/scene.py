"""The stage of one smoke test: sessions, what it may order, and a way to leave no trace."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from aurora.connecting import APPLICATION, READ_ONLY, connect_with
from aurora.credentials import token_credential
from aurora.deadline import Deadline
from aurora.environment import DatabaseEnvironment
from aurora.metrics import NoMetrics
from aurora.session import Session
from orders import OrderRefused, PlacedOrder, WantedLine, place
from orders.order_metrics import OrderMetrics
from smoke_test.business_data import BusinessData

# Migration V0003 makes a warehouse whose orders are no business, and products that only it has.
WAREHOUSE_ID = 2
PRODUCT = "SMOKE-TEST-A"
OTHER_PRODUCT = "SMOKE-TEST-B"
SCARCE_PRODUCT = "SMOKE-TEST-C"
COUNTRY = "Nowhere (smoke test)"

READER_PATIENCE_SECONDS = 30.0  # Aurora's readers lag by well under a second


@dataclass
class Scene:
    """What the checks share. Tests may run side by side."""

    environment: DatabaseEnvironment
    deadline: Deadline
    application: Session
    """The application on the writer: what takes orders."""
    application_on_reader: Session
    """The application where nothing but the server keeps it from writing."""
    read_only: Session
    """The read-only role on a reader: what reports use."""
    read_only_on_writer: Session
    """The read-only role where nothing but its grants keeps it from writing."""
    writer_version: str
    reader_version: str
    before: BusinessData
    reader_patience_seconds: float = READER_PATIENCE_SECONDS
    metrics: OrderMetrics = field(default_factory=lambda: OrderMetrics(NoMetrics()))
    """What becomes of the test's orders, told apart from customers'."""
    tokens: list[UUID] = field(default_factory=list)
    """Of every order that the test has asked for: known here before the database hears of it."""

    @classmethod
    def open(cls, environment: DatabaseEnvironment, *, deadline: Deadline) -> Scene:
        """Connect as both roles through both endpoints of the proxy, and remember the business data."""
        writer, reader = environment.proxy_endpoint, environment.proxy_read_only_endpoint
        application = _session(environment, APPLICATION, writer, deadline)
        read_only = _session(environment, READ_ONLY, reader, deadline)
        return cls(
            environment=environment,
            deadline=deadline,
            application=application,
            application_on_reader=_session(environment, APPLICATION, reader, deadline),
            read_only=read_only,
            read_only_on_writer=_session(environment, READ_ONLY, writer, deadline),
            writer_version=application.server_version(),
            reader_version=read_only.server_version(),
            before=BusinessData.settled(application),
        )

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All four sessions."""
        return self.application, self.application_on_reader, self.read_only, self.read_only_on_writer

    def limit_statements(self) -> None:
        """Let no statement from here on outlast the deadline; they pin four proxied sessions for seconds."""
        for session in self.sessions:
            if not session.closed:
                session.limit_statements(seconds=self.deadline.remaining_seconds())

    def new_token(self) -> UUID:
        """Return a token whose order is purged in the end, whatever happens."""
        self.tokens.append(uuid4())
        return self.tokens[-1]

    def place(self, *lines: WantedLine, token: UUID | None = None) -> PlacedOrder:
        """Place an order in the test's own warehouse."""
        started = time.perf_counter()
        try:
            placed = place(
                self.application,
                request_token=token or self.new_token(),
                warehouse_id=WAREHOUSE_ID,
                country=COUNTRY,
                lines=lines,
            )
        except OrderRefused as refusal:
            self.metrics.refused(refusal)
            raise
        self.metrics.placed(placed, seconds=time.perf_counter() - started)
        return placed

    def purge(self, deadline: Deadline) -> int:
        """Take the test's orders away, and what a broken test left an hour ago; return how many went."""
        self.application.close()  # it may be lost, which nothing tells before its next use
        self.application = _session(self.environment, APPLICATION, self.environment.proxy_endpoint, deadline)
        tokens = json.dumps([str(token) for token in self.tokens])
        return int(self.application.call("shop.purge_test_orders", (tokens,))[0][0])

    def close(self) -> None:
        """End all sessions."""
        for session in self.sessions:
            session.close()


def _session(environment: DatabaseEnvironment, user: str, host: str, deadline: Deadline) -> Session:
    credential = token_credential(environment, user=user, host=host)
    session = connect_with(environment, credential, host=host, deadline=deadline)
    session.limit_statements(seconds=deadline.remaining_seconds())
    return session
