"""One execution environment: the process that holds a loaded function and answers its invocations in turn."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from localcloud.functions.configuration import FunctionConfiguration
from localcloud.functions.log_stream import LogStream

LONGEST_LINE_BYTES = 256 * 1024
"""The largest event of CloudWatch Logs: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"""

_POLL_SECONDS = 0.25
_ENDS_WITHIN_SECONDS = 1.0
_SILENCE_SECONDS = 2.0
"""After which no more output is waited for: a program that a function left behind may hold it open."""
_LONGEST_OUTPUT_SECONDS = 60.0
"""Or write to it for ever."""


class TimedOut(Exception):
    """No answer came in time."""


class Ended(Exception):
    """The process ended without an answer; `reason` is Lambda's wording for how."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Launch:
    """How a process is started."""

    command: Sequence[str]
    variables: Mapping[str, str]
    directory: Path


class ExecutionEnvironment:
    """A process with its control socket, its log, and its files in `scratch`, which end with it.

    It takes one invocation at a time; `close` ends it.
    The process also ends by itself as soon as the server is gone, however that came about.
    """

    def __init__(self, configuration: FunctionConfiguration, log: LogStream, scratch: Path) -> None:
        self.configuration = configuration
        self.log = log
        self.scratch = scratch
        self.started_at = time.monotonic()
        self.initialized = False
        self.idle_since = 0.0
        self._unanswered: list[str] = []
        self._received = bytearray()
        self._output_complete = threading.Event()
        self._marker = ""
        self._lines_read = 0
        self._closing = threading.Lock()
        self._closed = False

    def start(self, control: socket.socket, theirs: socket.socket, launch: Launch) -> None:
        """Start the process in a group of its own; of the server's open files it gets `theirs` alone."""
        self._control = control
        with theirs:
            self._process = subprocess.Popen(
                launch.command,
                cwd=launch.directory,
                env=dict(launch.variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        threading.Thread(target=self._read_output, args=(self._process.stdout,), daemon=True).start()

    @property
    def process_id(self) -> int:
        """The process's id, which is also its group's."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def peak_memory_mb(self) -> int:
        """Return the most memory that the process has held; 0 where the system does not say."""
        try:
            status = Path(f"/proc/{self.process_id}/status").read_text()
        except OSError:
            return 0
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(peak[1]) // 1024 if peak else 0

    def receive(self, until: float) -> dict[str, Any]:
        """Return the process's next message; TimedOut at the monotonic time `until`, Ended if it is gone."""
        while True:
            line, newline, rest = self._received.partition(b"\n")
            if newline:
                self._received = rest
                message: dict[str, Any] = json.loads(line)
                return message
            self._receive_more(until)

    def send(self, request_id: str, event: Any, *, deadline: float, trace: str | None = None) -> None:
        """Hand over an invocation that has to end at `deadline`, in seconds since the epoch.

        `trace` is what the function finds in _X_AMZN_TRACE_ID.
        """
        self._marker = request_id
        self._unanswered.clear()
        self._output_complete.clear()
        message = {
            "request_id": request_id,
            "function_arn": self.configuration.arn,
            "deadline_ms": int(deadline * 1000),
            "event": event,
            "trace": trace,
        }
        self._control.settimeout(max(1.0, deadline - time.time()))
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except TimeoutError:
            raise TimedOut from None
        except OSError:
            raise Ended(self._how_it_ended()) from None

    def leave_unanswered(self, reason: str) -> None:
        """Note why the function gets no answer; if it waits for one until its timeout, that will say so."""
        self._unanswered.append(reason)
        self.log.write(f"[local cloud] no answer: {reason}")

    @property
    def unanswered(self) -> list[str]:
        """Why the function got no answer since its invocation began, each reason once."""
        return list(dict.fromkeys(self._unanswered))

    def await_output(self) -> None:
        """Return when the log has every line of the answered invocation, or of the process that ended."""
        give_up = time.monotonic() + _LONGEST_OUTPUT_SECONDS
        while time.monotonic() < give_up:
            lines_read = self._lines_read
            if self._output_complete.wait(_SILENCE_SECONDS) or lines_read == self._lines_read:
                return

    def close(self) -> None:
        """Kill the process and all that it started, and remove its files."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._control.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _receive_more(self, until: float) -> None:
        remaining = until - time.monotonic()
        if remaining <= 0:
            raise TimedOut
        self._control.settimeout(min(_POLL_SECONDS, remaining))
        try:
            data = self._control.recv(1 << 16)
        except TimeoutError:
            if self.alive:
                return
            data = b""  # a program that the function left behind may hold the connection open
        except OSError:
            data = b""
        if not data:
            raise Ended(self._how_it_ended())
        self._received += data

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            return "Runtime closed its connection"
        if code < 0:
            name = {signal.SIGKILL: "killed", signal.SIGTERM: "terminated"}.get(signal.Signals(-code))
            return f"Runtime exited with error: signal: {name or signal.strsignal(-code)}"
        return (
            f"Runtime exited with error: exit status {code}"
            if code
            else "Runtime exited without providing a reason"
        )

    def _read_output(self, output: IO[bytes]) -> None:
        """Copy the process's output to the log, line by line, until its end."""
        with output:
            while line := output.readline(LONGEST_LINE_BYTES):
                self._lines_read += 1
                text, marker, request_id = line.decode(errors="replace").rstrip("\n").rpartition("\0")
                if marker and request_id == self._marker:
                    if text:
                        self.log.write(text)
                    self._output_complete.set()
                else:
                    self.log.write(text + marker + request_id)
        self._output_complete.set()
