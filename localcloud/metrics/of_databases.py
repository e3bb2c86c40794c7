"""AWS/RDS: what the real servers of clusters are about, under Aurora's names and dimensions.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html. Everything
that belongs to AWS's machines (CPU, memory, capacity, storage, the proxy's pool) has no figure here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from localcloud.aurora.cluster import Instance
from localcloud.aurora.database_server import Measured
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.metrics.samples import Metrics, Sample, SeriesName

if TYPE_CHECKING:
    from localcloud.aurora.managed import ManagedCluster
    from localcloud.cloud import Cloud

NAMESPACE = "AWS/RDS"
EVERY_SECONDS = 15.0
"""Aurora sends most metrics once a minute."""

_log = logging.getLogger(__name__)


class DatabaseMetrics:
    """Asks every server of every cluster in turn, until the cloud ends. Some ten milliseconds a server."""

    def __init__(self, cloud: Cloud, clusters: Mapping[str, ManagedCluster]) -> None:
        self._metrics = Metrics.of(cloud)
        self._clusters = clusters
        self._deadlocks: dict[tuple[str, str], tuple[float, int]] = {}
        self._ended = threading.Event()
        cloud.on_shutdown(self._ended.set)
        threading.Thread(target=self._watch, name="database-metrics", daemon=True).start()

    def sample(self) -> None:
        """Ask every server now. One that does not answer has no datapoint, as on AWS."""
        for cluster in list(self._clusters.values()):
            for instance in cluster.cluster.instances:
                try:
                    measured = instance.server.measure()
                except (ProgramFailed, OSError, ValueError) as error:
                    _log.info("%s is not measured: %s", instance.name, error)
                else:
                    self._put(cluster, instance, measured)

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            try:
                self.sample()
            except Exception:
                _log.exception("databases could not be measured")

    def _put(self, cluster: ManagedCluster, instance: Instance, measured: Measured) -> None:
        now = time.time()
        if cluster.is_writer(instance.name):
            volume = SeriesName.of(NAMESPACE, "VolumeBytesUsed", {"DBClusterIdentifier": cluster.identifier})
            sample = Sample(now, (float(measured.volume_bytes),), unit="Bytes")
            self._metrics.put(cluster.identity.region, volume, sample)
        role = "WRITER" if cluster.is_writer(instance.name) else "READER"
        sets = (
            {"DBInstanceIdentifier": instance.name},
            {"DBClusterIdentifier": cluster.identifier},
            {"DBClusterIdentifier": cluster.identifier, "Role": role},
        )
        for metric, value, unit in self._figures(cluster, instance, measured, now):
            for dimensions in sets:
                name = SeriesName.of(NAMESPACE, metric, dimensions)
                self._metrics.put(cluster.identity.region, name, Sample(now, (value,), unit=unit))

    def _figures(
        self, cluster: ManagedCluster, instance: Instance, measured: Measured, now: float
    ) -> Iterator[tuple[str, float, str]]:
        yield "DatabaseConnections", float(measured.connections), "Count"
        rate = self._deadlocks_per_second((cluster.identifier, instance.name), measured.deadlocks, now)
        if rate is not None:
            yield "Deadlocks", rate, "Count/Second"
        if measured.transaction_ids is not None:
            yield "MaximumUsedTransactionIDs", float(measured.transaction_ids), "Count"
        if measured.history_length is not None:
            yield "RollbackSegmentHistoryListLength", float(measured.history_length), "Count"
        if measured.replica_lag_ms is not None:
            yield "AuroraReplicaLag", measured.replica_lag_ms, "Milliseconds"

    def _deadlocks_per_second(self, of: tuple[str, str], total: int, now: float) -> float | None:
        """Return the rate since the last look; None for a first look, and for a server that started anew."""
        former = self._deadlocks.get(of)
        self._deadlocks[of] = now, total
        if former is None or total < former[1] or now <= former[0]:
            return None
        return (total - former[1]) / (now - former[0])
