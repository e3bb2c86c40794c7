"""Failover: customers order through the proxy of a deployed cluster while a reader becomes the writer.

The deployment is the project's own, on a local cloud of its own: the same templates, endpoints, tokens and
rights as everywhere. On AWS the same failover is `aws rds failover-db-cluster`.
"""

from __future__ import annotations

import io
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from acid.consistency import Kept, kept, last_order_id
from acid.load import WAREHOUSE_ID, Promises, customers
from aurora import connecting, credentials
from aurora.deadline import Deadline
from aurora.environment import DatabaseEnvironment
from aurora.session import Session
from localcloud.state import Home
from operate import local
from operate.deployment import Deployment
from operate.local_cloud import LocalCloud
from operate.report import stack_outputs
from orders import OrderClient

CLOUD = "acid"
CUSTOMERS = 8
CONNECT_SECONDS = 30.0
LONGEST_FAILOVER_SECONDS = 60.0
PRODUCTS = 24
SAID_LINES = 60
DELIVERY = 1_000_000  # pieces of each product: nobody is to run short

_PROCESS_ID_FILE = {
    "postgresql": ("SHOW data_directory", "postmaster.pid"),
    "mysql": ("SELECT @@datadir", "../mysql.pid"),
}


@dataclass(frozen=True)
class FailedOver:
    """What one failover under load did."""

    kind: str
    kept: Kept
    promises: Promises
    at_seconds: float
    """From the load's beginning to the failover's."""
    pause_seconds: float
    """The longest time in which nobody was acknowledged an order."""

    @property
    def whole(self) -> bool:
        """Whether nothing was lost and nothing placed twice."""
        return self.kept.whole


class Deployed:
    """The deployed shop: customers go through the proxy, by tokens of the application's."""

    def __init__(self, environment: DatabaseEnvironment, rds: Any, cluster: str) -> None:
        self.environment = environment
        self.cluster = cluster
        self._rds = rds
        self.products: Sequence[str] = self._delivered()

    def client(self, report: Callable[[Exception], None] = lambda error: None) -> OrderClient:
        """Return an order client, through the proxy to the writer."""
        return OrderClient(
            lambda deadline: connecting.connect_application(self.environment, deadline=deadline),
            report=report,
        )

    def observer(self) -> Session:
        """Return a session of the application's on the writer."""
        return connecting.connect_application(self.environment, deadline=Deadline.after(CONNECT_SECONDS))

    def writer(self) -> str:
        """Return the name of the instance that is the writer now."""
        (cluster,) = self._rds.describe_db_clusters(DBClusterIdentifier=self.cluster)["DBClusters"]
        return str(
            next(
                member["DBInstanceIdentifier"]
                for member in cluster["DBClusterMembers"]
                if member["IsClusterWriter"]
            )
        )

    def fail_over(self) -> None:
        """Ask for it, as an operator does."""
        self._rds.failover_db_cluster(DBClusterIdentifier=self.cluster)

    def kill_writer(self) -> None:
        """End the writer's process by SIGKILL."""
        statement, file = _PROCESS_ID_FILE[self.environment.engine]
        with closing(self._admin()) as session:
            directory = Path(str(session.rows(statement)[0][0]))
        os.kill(int((directory / file).read_text().split()[0]), signal.SIGKILL)

    def _delivered(self) -> list[str]:
        """Put goods for many orders into stock, with their movements; return some of the stock codes."""
        with closing(self._admin()) as session, session.transaction():
            session.rows(
                "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)"
                " SELECT product_id, warehouse_id, %s, 'adjustment' FROM shop.inventory"
                " WHERE warehouse_id = %s",
                (DELIVERY, WAREHOUSE_ID),
            )
            session.rows(
                "UPDATE shop.inventory SET stock = stock + %s WHERE warehouse_id = %s",
                (DELIVERY, WAREHOUSE_ID),
            )
            found = session.rows(
                "SELECT stock_code FROM shop.inventory JOIN shop.products USING (product_id)"
                " WHERE warehouse_id = %s ORDER BY stock_code LIMIT %s",
                (WAREHOUSE_ID, PRODUCTS),
            )
        return [code for (code,) in found]

    def _admin(self) -> Session:
        return connecting.connect_admin(self.environment, deadline=Deadline.after(CONNECT_SECONDS))


def findings(engine: str, *, orders: int, report: Callable[[str], None]) -> list[FailedOver]:
    """Deploy, fail over once as planned and once because the writer dies, and take it all away."""
    report("failover: deploying")
    with _deployed(engine) as shop:
        found = []
        for kind, begin in (("planned", shop.fail_over), ("the writer dies", shop.kill_writer)):
            found.append(_fail_over_under_load(shop, kind, begin, orders))
            report(f"failover, {kind}: {found[-1].pause_seconds * 1000:,.0f} ms without an order")
        return found


def _fail_over_under_load(shop: Deployed, kind: str, begin: Callable[[], None], orders: int) -> FailedOver:
    before_id, former = last_order_id(shop), shop.writer()
    began = time.monotonic()
    with customers(shop, CUSTOMERS) as promises:
        _until(lambda: len(promises.acknowledged) >= orders, "customers order")
        at_seconds = time.monotonic() - began
        begin()
        _until(lambda: shop.writer() != former, "another instance is the writer")
        acknowledged = len(promises.acknowledged)
        _until(lambda: len(promises.acknowledged) >= acknowledged + orders, "customers order again")
    pause_seconds = longest_pause(promises.acknowledged_at)
    return FailedOver(
        kind, kept(shop, promises, since_order_id=before_id), promises, at_seconds, pause_seconds
    )


def longest_pause(acknowledged_at: Sequence[float]) -> float:
    """Return the longest time between one acknowledgement and the next."""
    ordered = sorted(acknowledged_at)
    return max((later - earlier for earlier, later in itertools.pairwise(ordered)), default=0.0)


def _until(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + LONGEST_FAILOVER_SECONDS
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(f"not within {LONGEST_FAILOVER_SECONDS:.0f} s: {what}")
        time.sleep(0.05)


@contextmanager
def _deployed(engine: str) -> Iterator[Deployed]:
    """Bring the local deployment up on a cloud of its own, and take it away in the end."""
    cloud, text = LocalCloud(CLOUD), io.StringIO()
    said = Console(file=text)
    try:
        if local.up(said, cloud, engine=engine, seed_file=None) != 0:
            raise RuntimeError(text.getvalue())
        deployment = Deployment.on_engine("local", engine, cloud=CLOUD)
        session = cloud.session()
        outputs = stack_outputs(session, deployment)
        environment = DatabaseEnvironment(
            engine=outputs["DatabaseEngine"],
            database=outputs["DatabaseName"],
            port=int(outputs["DatabasePort"]),
            cluster_endpoint=outputs["ClusterEndpoint"],
            cluster_reader_endpoint=outputs["ClusterReaderEndpoint"],
            proxy_endpoint=outputs["ProxyEndpoint"],
            proxy_read_only_endpoint=outputs["ProxyReadOnlyEndpoint"],
            region=session.region_name,
            admin_secret_arn=outputs["AdminSecretArn"],
            ca_bundle=cloud.ca_bundle,
        )
        cluster = deployment.stack_names[0].removesuffix("-network")
        with cloud.entered():  # orders are placed by the functions' code, in this process
            credentials.forget_clients()  # they may be another cloud's
            yield Deployed(environment, session.client("rds"), cluster)
    except Exception as error:
        error.add_note(f"the local cloud says:\n{_last_lines(Home(CLOUD).log)}")
        raise
    finally:
        local.down(said, cloud)


def _last_lines(log: Path) -> str:
    if not log.exists():
        return "nothing: it is gone"
    return "\n".join(log.read_text(errors="replace").splitlines()[-SAID_LINES:])
