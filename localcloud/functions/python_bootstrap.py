"""Runs inside a Python function's process: loads the handler once, then answers invocations in turn.

It is started by path, without site-packages, and imports nothing of the local cloud. Each message on the
control socket is one line of JSON. Lines of output reach the log through the process's own standard output.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]
Handler = Callable[[Any, "LambdaContext"], Any]


class LambdaContext:
    """The context object: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    def __init__(self, invocation: Message) -> None:
        self.aws_request_id: str = invocation["request_id"]
        self.invoked_function_arn: str = invocation["function_arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.client_context = None
        self.identity = None
        self._deadline_ms: int = invocation["deadline_ms"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation; never below 0."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


class LambdaLogFormat(logging.Formatter):
    """The format that Lambda's runtime gives to the root logger."""

    request_id = ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as Lambda writes it."""
        record.request_id = self.request_id
        return super().format(record)


def main() -> None:
    """Serve invocations until the server closes the control socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)  # a program that the function starts must not keep the connection open
    sys.path[:0] = sys.argv[2:]
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    log_format = _configure_logging()
    try:
        handler = _load(os.environ["_HANDLER"])
    except SystemExit as exit_:
        _leave(exit_)
    except BaseException as error:
        _send(control, {"type": "init_error", "error": _description(error)})
        os._exit(1)
    _send(control, {"type": "ready"})
    invocations = _invocations(control)
    while True:
        invocation = invocations.get()
        log_format.request_id = invocation["request_id"]
        if invocation.get("trace"):
            os.environ["_X_AMZN_TRACE_ID"] = invocation["trace"]
        _send(control, _answer(handler, invocation))


def _configure_logging() -> LambdaLogFormat:
    log_format = LambdaLogFormat("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(request_id)s\t%(message)s")
    log_format.datefmt = "%Y-%m-%dT%H:%M:%S"
    log_format.converter = time.gmtime
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(log_format)
    logging.getLogger().addHandler(output)
    return log_format


class InitializationFailed(Exception):
    """The handler cannot be loaded; AWS has a type of its own for each reason."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _load(name: str) -> Handler:
    module_name, _, function_name = name.rpartition(".")
    if not module_name:
        raise InitializationFailed(
            "Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack"
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        reason = f"Unable to import module '{module_name}': {error}"
        raise InitializationFailed("Runtime.ImportModuleError", reason) from error
    except SyntaxError as error:
        reason = f"Syntax error in module '{module_name}': {error}"
        raise InitializationFailed("Runtime.UserCodeSyntaxError", reason) from error
    if not hasattr(module, function_name):
        reason = f"Handler '{function_name}' missing on module '{module_name}'"
        raise InitializationFailed("Runtime.HandlerNotFound", reason)
    handler: Handler = getattr(module, function_name)
    return handler


def _invocations(control: socket.socket) -> queue.SimpleQueue[Message]:
    """Return the queue that invocations arrive in. The process ends at once when the server is gone."""
    arrived: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def receive() -> None:
        with control.makefile("rb") as messages:
            for line in messages:
                arrived.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=receive, name="invocations", daemon=True).start()
    return arrived


def _answer(handler: Handler, invocation: Message) -> Message:
    """Return the message that ends an invocation, after its last line of output has left this process."""
    answer: Message = {"request_id": invocation["request_id"], "type": "result"}
    try:
        answer["payload"] = _marshalled(handler(invocation["event"], LambdaContext(invocation)))
    except SystemExit as exit_:
        _leave(exit_)
    except BaseException as error:
        answer |= {"type": "error", "error": _description(error) | {"requestId": invocation["request_id"]}}
        _report(answer["error"])
    _mark_end_of_output(invocation["request_id"])
    return answer


class MarshalError(Exception):
    """What the handler returned is not JSON."""

    kind = "Runtime.MarshalError"


def _marshalled(result: Any) -> str:
    try:
        return json.dumps(result)
    except (TypeError, ValueError) as error:
        raise MarshalError(f"Unable to marshal response: {error}") from None


def _description(error: BaseException) -> Message:
    """Return the error as Invoke returns it; the trace begins with the function's own code."""
    own = os.path.dirname(__file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not _is_of_runtime(frame.filename, own)
    ]
    return {
        "errorMessage": str(error),
        "errorType": getattr(error, "kind", None) or type(error).__name__,
        "stackTrace": traceback.format_list(frames),
    }


def _is_of_runtime(filename: str, own: str) -> bool:
    return filename.startswith((own, "<frozen importlib")) or filename == importlib.__file__


def _report(error: Message) -> None:
    print(f"[ERROR] {error['errorType']}: {error['errorMessage']}\nTraceback (most recent call last):")  # noqa: T201
    print("".join(error["stackTrace"]), end="")  # noqa: T201


def _mark_end_of_output(request_id: str) -> None:
    """Tell the output's reader that this invocation's is complete: the socket may be faster than the pipe."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(1, f"\0{request_id}\n".encode())


def _leave(exit_: SystemExit) -> None:
    """End the process with the handler's exit status; Lambda reports that as Runtime.ExitError."""
    sys.stdout.flush()
    sys.stderr.flush()
    code = exit_.code
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _send(control: socket.socket, message: Message) -> None:
    control.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
