"""Runs one figure: fills the shop anew, has it ordered from, and looks at what is there afterwards."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from pathlib import Path

from bench.orders import customers, endpoint, pgbench, pgbouncer, relay, sysbench
from bench.orders.cells import (
    DELAY_MILLISECONDS,
    DELAYED,
    FLOOR,
    NAIVE,
    POOLED,
    PROXY,
    RECONNECTING,
    WATCHED,
    Cell,
)
from bench.orders.customers import Task
from bench.orders.debian_programs import LoadPrograms
from bench.orders.measured import Run
from bench.orders.outcome import Outcome
from bench.orders.shop import Shop
from bench.orders.ways_in import Socket, WayIn
from localcloud.aurora.mysql_packages import NotAvailable


class Runner:
    """A shop, and everything that stands between it and its customers, opened once."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._cleanup = ExitStack()
        self._programs: LoadPrograms | None = None
        self._pool: Socket | None = None
        self.missing = ""

    def __enter__(self) -> Runner:
        shop, enter = self._shop, self._cleanup.enter_context
        self._ways: dict[str, WayIn] = {
            DELAYED: enter(relay.delayed(shop.writer, round_trip_milliseconds=DELAY_MILLISECONDS)),
            PROXY: enter(endpoint.in_front_of(shop.stage.writer, shop.engine)),
        }
        try:
            self._programs = LoadPrograms.reachable_in(Path(shop.stage.writer.directory).parent)
        except NotAvailable as error:
            self.missing = str(error)
        else:
            if shop.engine == "postgresql":
                self._pool = enter(pgbouncer.pooled(self._programs, shop.writer))
        return self

    def can(self, cell: Cell) -> bool:
        """Whether the program that this takes is here; `missing` says why not."""
        needs_fetched = cell.client == FLOOR and (self._shop.engine == "mysql" or cell.way == POOLED)
        return self._programs is not None or not needs_fetched

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def run(self, cell: Cell, seconds: float) -> Run:
        """Run it in a shop without orders, and look at what it left."""
        with self._shop.watched() if cell.way == WATCHED else nullcontext() as reader:
            self._shop.start_over()
            if cell.client == FLOOR:
                outcome = self._by_tool(cell, seconds)
            else:
                outcome = self._by_python(cell, seconds, reader)
            return Run(outcome, self._shop.check())

    def _by_tool(self, cell: Cell, seconds: float) -> Outcome:
        shop, reconnect = self._shop, cell.way in (RECONNECTING, POOLED)
        if shop.engine == "postgresql":
            socket = self._pool if cell.way == POOLED and self._pool else shop.writer
            return pgbench.order(
                shop.stage.writer.programs, socket, cell.mix,
                clients=cell.clients, seconds=seconds, reconnect=reconnect,
            )  # fmt: skip
        if self._programs is None:
            raise NotAvailable(self.missing)
        return sysbench.order(
            self._programs, shop.writer, cell.mix,
            clients=cell.clients, seconds=seconds, reconnect=reconnect,
        )  # fmt: skip

    def _by_python(self, cell: Cell, seconds: float, reader: Socket | None) -> Outcome:
        task = Task(
            cell.client, cell.clients, seconds, cell.mix,
            way_in=self._ways.get(cell.way, self._shop.writer),
            reader=reader,
        )  # fmt: skip
        if cell.client != NAIVE:
            return customers.order(task)
        with self._shop.without_totals_trigger():
            return customers.order(task)
