"""An Aurora cluster: one writer, readers that follow it, and data that outlive every instance."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from localcloud.aurora.continuous_backup import ContinuousBackup, Moments
from localcloud.aurora.database_server import DatabaseServer
from localcloud.aurora.engines import Engine
from localcloud.aurora.local_parameters import LocalParameters
from localcloud.aurora.postgresql_programs import ProgramFailed

_CATCH_UP_SECONDS = 5.0

Origin = Callable[[Path, Mapping[str, str]], DatabaseServer]
"""Makes a cluster's first server, with its data, in a new directory and with these settings."""


@dataclass
class Instance:
    """A name under which one server runs, and what is asked of it beside serving."""

    name: str
    server: DatabaseServer
    parameters: dict[str, str]
    promotion_tier: int


@dataclass(frozen=True)
class Recovery:
    """What was put back."""

    restarted: Sequence[str]
    """The instances that had died."""
    new_writer: str | None = None
    """The instance that took a dead writer's place."""


class Cluster:
    """The data exist from the cluster's creation; the first instance serves them, further ones are readers.

    Safe to use from several threads.
    """

    def __init__(
        self,
        directory: Path,
        *,
        engine: Engine,
        release: str,
        master_user: str,
        master_password: str,
        database: str | None,
        parameters: Mapping[str, str],
        tell: Callable[[str], None] = lambda _: None,
        origin: Origin | None = None,
    ) -> None:
        """A new cluster with no more than its first database, or one that has its data from `origin`."""
        self.directory = directory
        self.engine = engine
        self.release = release
        self.running_version = engine.running_version(release, tell)
        self.parameters = dict(parameters)
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._instances: dict[str, Instance] = {}
        self._rounds = itertools.count()
        self._leaving: DatabaseServer | None = None
        settings = self._local_parameters({}).settings
        self._backup = ContinuousBackup(directory, engine.log)
        if origin is not None:
            self._primary = origin(self._next_directory(), settings)
            try:
                self._backup.begin_anew(self._primary)
            except BaseException:
                self._primary.remove()
                raise
        else:
            self._primary = engine.create(
                self._next_directory(),
                release=release,
                master_user=master_user,
                master_password=master_password,
                database=database,
                parameters=settings,
                tell=tell,
            )
            self._backup.begin()

    def __str__(self) -> str:
        """The engine, and what runs in its place."""
        return f"{self.engine} {self.release}, served by {self.engine.product} {self.running_version}"

    @property
    def requires_tls(self) -> bool:
        """Whether plaintext is refused, by a parameter."""
        return self.engine.forces_tls(self.parameters, self.release)

    @property
    def writer(self) -> Instance | None:
        """The instance that takes writes; None while there is no instance."""
        return next((one for one in self.instances if one.server is self._primary), None)

    @property
    def readers(self) -> Sequence[Instance]:
        """All other instances."""
        return [one for one in self.instances if one.server is not self._primary]

    @property
    def instances(self) -> Sequence[Instance]:
        """All instances."""
        return list(self._instances.values())

    def next_reader(self) -> Instance | None:
        """One reader that runs, by turns; None where there is none."""
        running = [one for one in self.readers if one.server.is_running]
        return running[next(self._rounds) % len(running)] if running else None

    def instance(self, name: str) -> Instance | None:
        """The instance of this name."""
        return self._instances.get(name)

    def admits_clients(self, instance: Instance) -> bool:
        """Whether it serves: a writer that is handing over would only end new clients again."""
        return instance.server.is_running and instance.server is not self._leaving

    def add_instance(
        self, name: str, parameters: Mapping[str, str] | None = None, *, promotion_tier: int = 1
    ) -> Instance:
        """A new instance that serves: the writer if there is none yet, else a reader."""
        own = dict(parameters or {})
        settings = self._local_parameters(own).settings
        with self._lock:
            if self.writer is None:
                self._primary.start()
                self._primary.configure(settings)
                return self._register(Instance(name, self._primary, own, promotion_tier))
            primary, directory = self._primary, self._next_directory()
        reader = self.engine.clone(primary, directory, settings)
        with self._lock:
            return self._register(Instance(name, reader, own, promotion_tier))

    def remove_instance(self, name: str) -> None:
        """The instance serves no more. A reader takes over from a writer; the data stay with the cluster."""
        with self._lock:
            instance = self._instances.pop(name, None)
            if instance is None:
                return
            if instance.server is self._primary and (successor := self.successor()) is not None:
                self._hand_over(successor)
            elif instance.server is not self._primary:
                instance.server.remove()

    def successor(self, name: str | None = None) -> Instance | None:
        """The reader of this name, or the running one that Aurora would prefer: the lowest promotion tier."""
        running = [one for one in self.readers if one.server.is_running and name in (None, one.name)]
        return min(running, key=lambda one: one.promotion_tier, default=None)

    def fail_over(self, name: str | None = None) -> None:
        """A reader is the writer now, with everything that was committed; the former writer is a reader.

        A writer that died is started once more: as on Aurora, what it committed outlives it. Raises
        ProgramFailed, with the roles as they were, where no reader can take over, and with the new roles
        where the former writer cannot be a reader: `recover` tries that again.
        """
        with self._lock:
            successor, former = self.successor(name), self.writer
            if successor is None or former is None:
                raise ProgramFailed(f"no reader {name or ''} can take over".replace("  ", " "))
            self._hand_over(successor)
            self._make_anew(former)

    def recover(self) -> Recovery:
        """Everything runs again; a dead writer's place is taken by a reader where there is one.

        Raises ProgramFailed for what does not; to try again does no harm.
        """
        with self._lock:
            dead = [one.name for one in self.instances if not one.server.is_running]
            former = self.writer
            if former is not None and not self._primary.is_running and self.successor() is not None:
                self.fail_over()
            self._start_primary()
            for reader in self.readers:
                if not reader.server.is_running:
                    self._make_anew(reader)
            writer = self.writer
            taken_over = writer is not None and former is not None and writer.name != former.name
            return Recovery(dead, writer.name if taken_over and writer else None)

    @property
    def is_whole(self) -> bool:
        """Whether every instance's server runs."""
        return all(one.server.is_running for one in self.instances)

    def change_parameters(self, parameters: Mapping[str, str]) -> None:
        """The cluster's parameters are these, in force on every instance; restarts where that is needed."""
        with self._lock:
            former = self.parameters
            self.parameters = dict(parameters)
            try:
                self._configure_all()
            except Exception:
                self.parameters = former
                self._configure_all()
                raise

    def change_instance_parameters(self, name: str, parameters: Mapping[str, str]) -> None:
        """The instance's own parameters are these; they go before the cluster's."""
        with self._lock:
            instance = self._instances[name]
            instance.server.configure(self._local_parameters(parameters).settings)
            instance.parameters = dict(parameters)

    def upgrade(
        self,
        release: str,
        parameters: Mapping[str, str],
        instance_parameters: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Another release serves the same data, users and rights, with these parameters.

        From the moment when the writer stops nobody is served, as on Aurora; readers are made anew. Raises
        ProgramFailed, with everything as it was before.
        """
        with self._lock:
            running_version = self.engine.running_version(release, lambda _: None)
            former, writer, readers = self._primary, self.writer, self.readers
            own = instance_parameters.get(writer.name, {}) if writer else {}
            settings = self.engine.localize({**parameters, **own}, release).settings

            def take_down() -> None:
                self._leaving = former
                for reader in readers:
                    reader.server.stop()

            self._start_primary()
            try:
                successor = self.engine.upgrade(
                    former,
                    self._next_directory(),
                    release=release,
                    settings=settings,
                    take_down=take_down,
                )
            except Exception:
                self._put_back(readers)
                raise
            finally:
                self._leaving = None
            self.release, self.running_version = release, running_version
            self.parameters = dict(parameters)
            for one in self.instances:
                one.parameters = dict(instance_parameters.get(one.name, {}))
            self._primary = successor
            if writer is not None:
                writer.server = successor
            if successor is not former:
                former.remove()
                with contextlib.suppress(ProgramFailed):  # `limit_log` tries again
                    self._backup.begin_anew(successor)
            for reader in readers:
                with contextlib.suppress(ProgramFailed):  # `recover` tries again
                    self._make_anew(reader)

    def restart(self, *names: str) -> None:
        """These instances have been stopped and started, one after the other; readers first, and alone."""
        with self._lock:
            wanted = [one for one in (*self.readers, self.writer) if one is not None and one.name in names]
            for one in wanted:
                one.server.stop()
                if one.server is self._primary:
                    self._start_primary()
                else:
                    one.server.start()

    def without_effect(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Which of these do nothing here, and why; ParameterRefused for those nobody may change."""
        found = self._local_parameters(parameters).without_effect
        return {name: reason for name, reason in found.items() if name in parameters}

    def change_password(self, user: str, password: str) -> None:
        """The role logs in with this password from now on."""
        with self._lock:
            self._primary.start()
            self._primary.change_password(user, password)

    def back_up(self, data: Path) -> None:
        """The data of this moment are in a new directory too; no reader takes over meanwhile."""
        with self._lock:
            self._start_primary()
            self._primary.back_up(data)

    @property
    def earliest_restorable_time(self) -> datetime:
        """From here on up to now the cluster can be restored to any moment."""
        return self._backup.earliest

    def moments(self) -> Moments:
        """What it takes to restore them; the cluster itself goes on. Raises ProgramFailed."""
        with self._lock:
            self._start_primary()
            return self._backup.link(self._primary)

    def limit_log(self) -> None:
        """Where the log has become too long, it begins anew, and so does the time that can be restored."""
        with self._lock:
            if self._backup.is_due(self._primary):
                self._start_primary()
                readers = [one.server for one in self.readers if one.server.is_running]
                self._backup.begin_anew(self._primary, readers)

    def close(self) -> None:
        """No server runs, and no data are left."""
        with self._lock:
            for instance in self.readers:
                instance.server.remove()
            self._instances.clear()
            self._primary.remove()
            shutil.rmtree(self.directory, ignore_errors=True)

    def _hand_over(self, successor: Instance) -> None:
        """This reader becomes the writer with all that was committed; the other readers follow it.

        A dead writer runs once more for it: the reader may not have received everything.
        """
        former = self._leaving = self._primary
        try:
            self._start_primary()
            former.retire(successor.server)
            successor.server.promote()
            self._primary = successor.server
        finally:
            self._leaving = None
        self._backup.keep_log_of(former)
        former.remove()
        for reader in self.readers:
            if reader.server is not former:
                reader.server.start()
                reader.server.follow(self._primary)

    def _start_primary(self) -> None:
        """The writer runs, and its readers follow it, though it may have come back at another port."""
        former_port = self._primary.port
        self._primary.start()
        if self._primary.port != former_port:
            for reader in self.readers:
                if reader.server.is_running:
                    reader.server.follow(self._primary)

    def _put_back(self, readers: Sequence[Instance]) -> None:
        """The writer runs, and these readers follow it as before."""
        self._start_primary()
        for reader in readers:
            reader.server.start()

    def _make_anew(self, reader: Instance) -> None:
        """This instance is a reader with the writer's data; a reader has none of its own to save."""
        reader.server.remove()
        settings = self._local_parameters(reader.parameters).settings
        reader.server = self.engine.clone(self._primary, self._next_directory(), settings)

    def _configure_all(self) -> None:
        self._primary.configure(self._settings_of(self._primary))
        for reader in self.readers:
            # A reader must not come up with smaller limits than its log speaks of.
            _wait_for(reader.server, self._primary)
            reader.server.configure(self._settings_of(reader.server))

    def _settings_of(self, server: DatabaseServer) -> dict[str, str]:
        own = next((one.parameters for one in self.instances if one.server is server), {})
        return self._local_parameters(own).settings

    def _local_parameters(self, own: Mapping[str, str]) -> LocalParameters:
        return self.engine.localize({**self.parameters, **own}, self.release)

    def _register(self, instance: Instance) -> Instance:
        self._instances[instance.name] = instance
        return instance

    def _next_directory(self) -> Path:
        return self.directory / f"server-{next(self._numbers)}"


def _wait_for(reader: DatabaseServer, writer: DatabaseServer) -> None:
    """The reader has what the writer has committed, or cannot go on without a restart, or time is up."""
    if reader.is_running and writer.is_running:
        reader.catch_up(writer, timeout_seconds=_CATCH_UP_SECONDS)
