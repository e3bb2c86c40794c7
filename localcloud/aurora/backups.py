"""Backups of clusters: data as they were at a moment, from which new clusters begin."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.aurora.cluster import Cluster
from localcloud.aurora.database_server import DatabaseServer
from localcloud.aurora.engines import Engine
from localcloud.aurora.server_place import copy_data, create_directory

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


@dataclass(frozen=True)
class Backup:
    """A data directory that no server ever runs in, and what its servers have to be."""

    directory: Path
    engine: Engine
    release: str

    @classmethod
    def take(cls, cluster: Cluster, directory: Path) -> Backup:
        """The cluster's data of this moment, whatever is written meanwhile; raises ProgramFailed."""
        backup = cls(directory, cluster.engine, cluster.release)
        create_directory(directory, longest_socket_name="")
        try:
            cluster.back_up(backup.data)
        except BaseException:
            backup.remove()
            raise
        return backup

    @property
    def data(self) -> Path:
        """The data directory itself."""
        return self.directory / "data"

    def begin(self, directory: Path, settings: Mapping[str, str]) -> DatabaseServer:
        """A new cluster's first server, with these data; raises ProgramFailed."""
        return self.engine.restore(self.data, directory, release=self.release, parameters=settings)

    def link(self, directory: Path) -> Backup:
        """The same backup once more; it stays when this one is removed."""
        other = Backup(directory, self.engine, self.release)
        create_directory(directory, longest_socket_name="")
        copy_data(self.data, other.data, copy=os.link)
        return other

    def remove(self) -> None:
        """Nothing is left of it."""
        shutil.rmtree(self.directory, ignore_errors=True)


class Snapshots:
    """The data of the snapshots of one cloud, by ARN. They outlive their clusters, and go with the cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._numbers = itertools.count(1)
        self._backups: dict[str, Backup] = {}
        self._lock = threading.Lock()
        cloud.on_shutdown(self._close)

    @classmethod
    def of(cls, cloud: Cloud) -> Snapshots:
        """The snapshots of a cloud."""
        return cloud.part(cls, cls)

    def take(self, arn: str, cluster: Cluster) -> None:
        """The snapshot has the cluster's data of this moment; raises ProgramFailed."""
        self._keep(arn, Backup.take(cluster, self._next_directory()))

    def copy(self, arn: str, target_arn: str) -> None:
        """The target has the same data; a snapshot without data has none to copy."""
        found = self.find(arn)
        if found is not None:
            self._keep(target_arn, found.link(self._next_directory()))

    def find(self, arn: str) -> Backup | None:
        """The data of a snapshot; None for one that is on record only."""
        return self._backups.get(arn)

    def forget(self, arn: str) -> None:
        """The snapshot's data are gone; clusters that were restored from it keep theirs."""
        with self._lock:
            backup = self._backups.pop(arn, None)
        if backup is not None:
            backup.remove()

    def _keep(self, arn: str, backup: Backup) -> None:
        with self._lock:
            self._backups[arn] = backup

    def _next_directory(self) -> Path:
        return self._cloud.directory / f"snapshot{next(self._numbers)}"

    def _close(self) -> None:
        for arn in list(self._backups):
            self.forget(arn)
