"""Starts functions' processes: the deployed code, the role's credentials, an environment of their own."""

from __future__ import annotations

import socket
from pathlib import Path
from tempfile import mkdtemp

from moto.awslambda.utils import get_backend
from moto.logs.models import logs_backends

from localcloud.authorization import services_acting
from localcloud.cloud import Cloud
from localcloud.functions import credentials
from localcloud.functions.code_store import CodeStore
from localcloud.functions.configuration import FunctionConfiguration
from localcloud.functions.environment import ExecutionEnvironment, Launch
from localcloud.functions.live import LiveEnvironments
from localcloud.functions.log_stream import LogStream
from localcloud.functions.runtimes import Runtimes
from localcloud.functions.tracing import Tracing
from localcloud.functions.trust_store import TrustStore
from localcloud.functions.variables import process_variables


class Launcher:
    """Makes execution environments of deployed functions. Its files are in the cloud's directory."""

    def __init__(self, cloud: Cloud) -> None:
        directory = cloud.directory / "functions"
        self._cloud = cloud
        self._live = cloud.part(LiveEnvironments, LiveEnvironments)
        self._scratch = directory / "scratch"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._code = CodeStore(directory / "code")
        self._runtimes = Runtimes.laid_out(directory / "runtimes", code_directory=directory / "code")
        self.trust_store = TrustStore(directory / "trust.pem", own_authority=cloud.ca_bundle)

    def start(self, configuration: FunctionConfiguration) -> ExecutionEnvironment:
        """Return a new environment whose process loads the function right now."""
        task_root = self._code.unpacked(configuration.archive, configuration.code_digest)
        layers = self._layers(configuration)
        backend = logs_backends[configuration.account][configuration.region]
        may_log = services_acting.log_rights(
            self._cloud, configuration.role_arn, configuration.region, configuration.log_group
        )
        log = LogStream(backend, configuration.log_group, configuration.version, may_log)
        environment = ExecutionEnvironment(configuration, log, Path(mkdtemp(dir=self._scratch)))
        control, theirs = socket.socketpair()
        command = self._runtimes.command(
            configuration.runtime,
            task_root=task_root,
            layers=layers,
            control=theirs.fileno(),
            answers_at=f"127.0.0.1:{self._cloud.port}",
        )
        variables = process_variables(
            configuration,
            credentials=credentials.mint(
                configuration.role_arn,
                session_name=configuration.name,
                region=configuration.region,
                function_arn=configuration.function_arn,
            ),
            endpoint_url=self._cloud.endpoint_url,
            trust_store=self.trust_store.path,
            task_root=task_root,
            layers=layers,
            scratch=environment.scratch,
            log_stream=log.name,
            xray_daemon=Tracing.of(self._cloud).address if configuration.is_traced else None,
        )
        self.trust_store.refresh()
        environment.start(control, theirs, Launch(command, variables, task_root))
        self._live.add(environment)
        return environment

    def _layers(self, configuration: FunctionConfiguration) -> tuple[Path, ...]:
        backend = get_backend(configuration.account, configuration.region)
        layers = [backend.layers_versions_by_arn(arn) for arn in configuration.layer_arns]
        return tuple(self._code.unpacked(layer.code_bytes, layer.code_digest) for layer in layers)
