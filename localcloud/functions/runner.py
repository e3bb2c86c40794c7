"""Invokes deployed functions: finds or starts a process, enforces the timeout, shapes the errors."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from localcloud.cloud import Cloud
from localcloud.functions.concurrency import Concurrency, Throttled
from localcloud.functions.configuration import FunctionConfiguration
from localcloud.functions.environment import Ended, ExecutionEnvironment, TimedOut
from localcloud.functions.launcher import Launcher
from localcloud.functions.tracing import Trace, Tracing
from localcloud.functions.warm_pool import WarmPool
from localcloud.metrics.of_functions import FunctionMetrics

LARGEST_RESPONSE_BYTES = 6_291_556
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 6 MB, in Lambda's words."""

INITIALIZATION_SECONDS = 10.0
"""What loading may take beside the timeout:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a caller gets: the handler's result as JSON, or the error's description when `failed`."""

    request_id: str
    payload: str
    failed: bool
    log_tail: str
    milliseconds: float = 0.0
    """How long the handler ran."""


class Functions:
    """Every function of a cloud, as processes. A part of the cloud: its processes end with it."""

    def __init__(self, cloud: Cloud) -> None:
        self._launcher = Launcher(cloud)
        self._pool = WarmPool()
        self._concurrency = Concurrency()
        self._metrics = FunctionMetrics(cloud)
        self._cloud = cloud
        self._busy: set[ExecutionEnvironment] = set()
        self._lock = threading.Lock()
        self._preparing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="lambda-prepare")
        cloud.on_shutdown(self.close)

    def invoke(self, function: Any, event: Any, *, waits: bool = False) -> Outcome:
        """Run the function, moto's LambdaFunction, on the event and return what came of it.

        Throttled when its reserved concurrency is used up, unless the caller waits, as asynchronous ones do.
        """
        try:
            with self._concurrency.one(function, waits=waits) as at_once:
                outcome = self._run(FunctionConfiguration.of(function), event)
        except Throttled:
            self._metrics.throttled(function)
            raise
        self._metrics.invoked(
            function, milliseconds=outcome.milliseconds, failed=outcome.failed, at_once=at_once
        )
        return outcome

    def prepare(self, function: Any) -> None:
        """Have the function loaded in the background, so that its first invocation need not wait.

        Lambda does the same ("proactive initialization"). Processes of an earlier configuration end.
        """
        configuration = FunctionConfiguration.of(function)
        self._pool.want(configuration.function_arn, configuration)
        self._preparing.submit(self._prepare, configuration)

    def forget(self, function_arn: str) -> None:
        """End the processes of a deleted function; one that is working may finish."""
        self._pool.want(function_arn, None)

    def close(self) -> None:
        """End every process, working ones too."""
        self._concurrency.close()
        self._preparing.shutdown(wait=True, cancel_futures=True)
        self._pool.close()
        with self._lock:
            busy = list(self._busy)
        for environment in busy:
            environment.close()

    def _run(self, configuration: FunctionConfiguration, event: Any) -> Outcome:
        self._launcher.trust_store.refresh()
        warm = self._pool.take(configuration)
        environment = warm or self._launcher.start(configuration)
        with self._lock:
            self._busy.add(environment)
        trace = Tracing.of(self._cloud).begin(configuration) if configuration.is_traced else None
        invocation = _Invocation(environment, cold=warm is None, trace=trace)
        outcome: Outcome | None = None
        try:
            outcome = invocation.run(event)
            return outcome
        finally:
            if trace is not None:
                Tracing.of(self._cloud).end(trace, configuration, failed=outcome is None or outcome.failed)
            with self._lock:
                self._busy.discard(environment)
            if invocation.answered and environment.alive:
                self._pool.give(environment)
            else:
                environment.close()

    def _prepare(self, configuration: FunctionConfiguration) -> None:
        try:
            self._pool.give(self._launcher.start(configuration))
        except Exception:
            _log.exception("%s could not be prepared", configuration.name)


class _Invocation:
    """One run of a handler, with the lines that Lambda writes around it."""

    def __init__(self, environment: ExecutionEnvironment, *, cold: bool, trace: Trace | None = None) -> None:
        self.answered = False
        """Whether the process can serve another invocation."""
        self._environment = environment
        self._configuration = environment.configuration
        self._log = environment.log
        self._request_id = str(uuid.uuid4())
        self._cold = cold
        self._trace = trace
        self._began = time.monotonic()

    def run(self, event: Any) -> Outcome:
        """Return the outcome; the log is complete by then."""
        self._log.open()
        self._log.write(f"START RequestId: {self._request_id} Version: {self._configuration.version}")
        payload, failed = self._payload(event)
        self._environment.await_output()
        self._log.write(f"END RequestId: {self._request_id}")
        milliseconds = (time.monotonic() - self._began) * 1000
        self._log.write(self._report(milliseconds))
        return Outcome(self._request_id, payload, failed, self._log.tail(), milliseconds)

    def _payload(self, event: Any) -> tuple[str, bool]:
        """Return the result or the error's description, and whether it is an error."""
        try:
            self._await_initialization()
            seconds = self._configuration.timeout_seconds
            self._began = time.monotonic()
            trace = self._trace.header if self._trace else None
            self._environment.send(self._request_id, event, deadline=time.time() + seconds, trace=trace)
            answer = self._environment.receive(self._began + seconds)
        except InitializationFailed as failure:
            return self._failure(**failure.error)
        except TimedOut:
            self._environment.close()
            return self._timed_out()
        except Ended as end:
            return self._failure("Runtime.ExitError", f"RequestId: {self._request_id} Error: {end.reason}")
        self.answered = True
        if answer["type"] == "error":
            return json.dumps(answer["error"]), True
        return self._result(answer["payload"])

    def _await_initialization(self) -> None:
        """Return when the handler is loaded, which does not count as the invocation's time."""
        environment = self._environment
        if environment.initialized:
            return
        message = environment.receive(
            time.monotonic() + INITIALIZATION_SECONDS + self._configuration.timeout_seconds
        )
        if message["type"] == "init_error":
            raise InitializationFailed(message["error"])
        environment.initialized = True

    def _result(self, payload: str) -> tuple[str, bool]:
        if len(payload.encode()) <= LARGEST_RESPONSE_BYTES:
            return payload, False
        return self._failure(
            "Function.ResponseSizeTooLarge",
            f"Response payload size exceeded maximum allowed payload size ({LARGEST_RESPONSE_BYTES} bytes).",
        )

    def _timed_out(self) -> tuple[str, bool]:
        seconds = self._configuration.timeout_seconds
        message = f"RequestId: {self._request_id} Error: Task timed out after {seconds:.2f} seconds"
        if reasons := self._environment.unanswered:
            message += f" [local cloud: {'; '.join(reasons)}]"  # AWS's words end before the bracket
        return self._failure("Sandbox.Timedout", message)

    def _failure(self, errorType: str, errorMessage: str, **more: Any) -> tuple[str, bool]:  # noqa: N803
        self._environment.await_output()
        self._log.write(f"[ERROR] {errorType}: {errorMessage}")
        return json.dumps({"errorType": errorType, "errorMessage": errorMessage, **more}), True

    def _report(self, milliseconds: float) -> str:
        parts = [
            f"REPORT RequestId: {self._request_id}",
            f"Duration: {milliseconds:.2f} ms",
            f"Billed Duration: {math.ceil(milliseconds)} ms",
            f"Memory Size: {self._configuration.memory_mb} MB",
            f"Max Memory Used: {self._environment.peak_memory_mb()} MB",
        ]
        if self._cold:
            initialization = (self._began - self._environment.started_at) * 1000
            parts.append(f"Init Duration: {initialization:.2f} ms")
        if self._trace:
            parts.append(f"XRAY TraceId: {self._trace.trace_id}\tSegmentId: {self._trace.segment_id}")
            parts.append("Sampled: true")
        return "\t".join(parts)


class InitializationFailed(Exception):
    """The handler could not be loaded; `error` is its description as Invoke returns it."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["errorMessage"])
        self.error = error
