"""Custom resources: a Lambda function is asked to create, update or delete, and answers with a PUT to a URL.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend

from localcloud.cloud import Cloud
from localcloud.functions.runner import Functions, Outcome
from localcloud.functions.runtimes import is_node
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LARGEST_ANSWER_BYTES = 4096
LONGEST_TIMEOUT_SECONDS = 3600
"""Also what holds without ServiceTimeout."""

PAGE = "/localcloud/custom-resource-response/"
NODE_HOST = "cloudformation-custom-resource-response.localcloud"
"""What functions/node_shim.js redirects: CDK's handlers answer over https, and to no port but its own."""

_log = logging.getLogger(__name__)


class CustomResource(Handler):
    """AWS::CloudFormation::CustomResource and every Custom::Name."""

    def create(self, request: Request) -> Provisioned:
        """Ask for a creation. After a failure the rollback asks for a deletion, as AWS does."""
        exchange = _Exchange(request, "Create", physical_id=None)
        try:
            return exchange.provisioned(exchange.run())
        except ResourceFailed as failure:
            failure.left = Provisioned(exchange.physical_id or request.generated_name(longest=255))
            raise

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Ask for an update. An answer with another physical id has the engine delete the old resource."""
        if request.properties["ServiceToken"] != previous["ServiceToken"]:
            raise ResourceFailed("Modifying service token is not allowed.")
        exchange = _Exchange(request, "Update", physical_id=current.physical_id, previous=previous)
        return exchange.provisioned(exchange.run())

    def delete(self, request: Request, current: Provisioned) -> None:
        """Ask for a deletion, of this physical id."""
        _Exchange(request, "Delete", physical_id=current.physical_id).run()


HANDLERS: dict[str, Handler] = {
    "AWS::CloudFormation::CustomResource": CustomResource(),
    "Custom::": CustomResource(),
}


class Answers:
    """Takes the answers of custom resources, one for each URL that it gave out. A part of the cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._expected: dict[str, Callable[[bytes], None]] = {}
        cloud.serve(PAGE, self._take)

    @contextmanager
    def expected(self, arrived: Callable[[bytes], None]) -> Iterator[str]:
        """Give out a path; `arrived` gets the first answer that comes on it in the meantime."""
        path = PAGE + uuid.uuid4().hex
        self._expected[path] = arrived
        try:
            yield path
        finally:
            self._expected.pop(path, None)

    def _take(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Accept one PUT for each path. What it says is judged by who waits, whose error people see."""
        status = "405 Method Not Allowed"
        if environ["REQUEST_METHOD"] == "PUT":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            arrived = self._expected.pop(environ["PATH_INFO"], None)
            status = "200 OK" if arrived else "403 Forbidden"
            if arrived:
                arrived(body)
        start_response(status, [("Content-Length", "0")])
        return [b""]


class _Exchange:
    """One request to the function behind a custom resource, and its answer."""

    def __init__(
        self, request: Request, kind: str, *, physical_id: str | None, previous: Properties | None = None
    ) -> None:
        self.physical_id = physical_id
        self._request = request
        self._kind = kind
        self._previous = previous
        self._request_id = str(uuid.uuid4())
        self._function = _function(request)
        self._timeout = _timeout_seconds(request.properties)

    def run(self) -> dict[str, Any]:
        """Return the answer of a function that succeeded; ResourceFailed in CloudFormation's words if not."""
        news: queue.SimpleQueue[bytes | Outcome] = queue.SimpleQueue()
        with self._request.cloud.part(Answers, Answers).expected(news.put) as path:
            self._invoke(self._event(path), news.put)
            answer = self._checked(self._awaited(news))
        self.physical_id = answer.get("PhysicalResourceId") or self.physical_id
        if answer["Status"] != "SUCCESS":
            raise ResourceFailed(
                "Received response status [FAILED] from custom resource. "
                f"Message returned: {answer.get('Reason')} (RequestId: {self._request_id})"
            )
        return answer

    def provisioned(self, answer: Mapping[str, Any]) -> Provisioned:
        """Return the resource that a successful answer describes."""
        physical_id = answer.get("PhysicalResourceId")
        if not isinstance(physical_id, str) or not 0 < len(physical_id.encode()) <= 1024:
            raise ResourceFailed("Invalid PhysicalResourceId")
        data = answer.get("Data") or {}
        if not isinstance(data, Mapping):
            raise ResourceFailed("Invalid response object: Value of property {Data} must be an object")
        return Provisioned(physical_id, attributes=dict(data))

    def _event(self, path: str) -> dict[str, Any]:
        cloud = self._request.cloud
        host = f"https://{NODE_HOST}" if is_node(self._function.run_time) else cloud.endpoint_url
        event = {
            "RequestType": self._kind,
            "ServiceToken": self._request.properties["ServiceToken"],
            "ResponseURL": host + path,
            "StackId": self._request.stack_id,
            "RequestId": self._request_id,
            "LogicalResourceId": self._request.logical_id,
            "ResourceType": self._request.resource_type,
            "ResourceProperties": as_strings(self._request.properties),
        }
        if self.physical_id is not None:
            event["PhysicalResourceId"] = self.physical_id
        if self._previous is not None:
            event["OldResourceProperties"] = as_strings(self._previous)
        return event

    def _invoke(self, event: dict[str, Any], ended: Callable[[Outcome], None]) -> None:
        """Start the function, as AWS does, without waiting for its end."""

        def invoke() -> None:
            try:
                ended(
                    self._request.cloud.part(Functions, Functions).invoke(self._function, event, waits=True)
                )
            except Exception as error:
                _log.exception("%s could not be invoked", self._function.function_name)
                ended(Outcome(self._request_id, json.dumps({"errorMessage": str(error)}), True, ""))

        threading.Thread(target=invoke, name="custom-resource", daemon=True).start()

    def _awaited(self, news: queue.SimpleQueue[bytes | Outcome]) -> bytes:
        """Return the answer when it is there; ResourceFailed when none can come any more.

        A function that returned without an answer may have left that to another one, so the timeout decides,
        as on AWS. One that failed is not waited for: AWS would try it twice more, minutes later.
        """
        until = time.monotonic() + self._timeout
        while True:
            try:
                message = news.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise ResourceFailed(
                    "CloudFormation did not receive a response from your Custom Resource. "
                    f"Please check your logs for requestId [{self._request_id}]."
                ) from None
            if isinstance(message, bytes):
                return message
            if message.failed:
                raise ResourceFailed(self._crash(message))

    def _crash(self, outcome: Outcome) -> str:
        error = json.loads(outcome.payload)
        kind = f"{error['errorType']}: " if "errorType" in error else ""
        return (
            f"The function {self._function.function_name} failed without a response: "
            f"{kind}{error['errorMessage']} "
            f"(RequestId: {self._request_id}, log group: {self._function.logs_group_name})"
        )

    def _checked(self, body: bytes) -> dict[str, Any]:
        """Return the answer as CloudFormation accepts it."""
        if len(body) > LARGEST_ANSWER_BYTES:
            raise ResourceFailed("Response object is too long.")
        try:
            answer = json.loads(body)
        except ValueError:
            raise ResourceFailed("Invalid Response object: it is not JSON") from None
        if not isinstance(answer, dict) or answer.get("Status") not in {"SUCCESS", "FAILED"}:
            raise ResourceFailed(
                "Invalid Response object: Value of property Status must be SUCCESS or FAILED"
            )
        request = {
            "StackId": self._request.stack_id,
            "RequestId": self._request_id,
            "LogicalResourceId": self._request.logical_id,
        }
        for name, value in request.items():
            if answer.get(name) != value:
                raise ResourceFailed(
                    f"Invalid Response object: Value of property {name} must be the request's"
                )
        return answer


def as_strings(value: Any) -> Any:
    """Return a property's value as a custom resource receives it: every scalar as a string."""
    if isinstance(value, Mapping):
        return {name: as_strings(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [as_strings(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _function(request: Request) -> Any:
    """Return the function that ServiceToken names."""
    token = request.properties.get("ServiceToken")
    if not isinstance(token, str):
        raise ResourceFailed("Property ServiceToken is required and must be a string")
    service = token.split(":")[2] if token.startswith("arn:") and token.count(":") >= 5 else ""
    if service == "sns":
        raise ResourceFailed(
            f"ServiceToken {token}: the local cloud asks Lambda functions only, not SNS topics"
        )
    if service != "lambda":
        raise ResourceFailed(
            f"Invalid service token. ServiceToken {token} is not the ARN of a Lambda function"
        )
    account, region = token.split(":")[4], token.split(":")[3]
    try:
        return get_backend(account, region).get_function(token)
    except UnknownFunctionException:
        raise ResourceFailed(f"ServiceToken {token}: there is no such function") from None


def _timeout_seconds(properties: Properties) -> int:
    given = properties.get("ServiceTimeout", LONGEST_TIMEOUT_SECONDS)
    try:
        seconds = int(given)
    except (TypeError, ValueError):
        seconds = 0
    if not 1 <= seconds <= LONGEST_TIMEOUT_SECONDS:
        raise ResourceFailed(f"ServiceTimeout={given!r}: must be a number of seconds from 1 to 3600")
    return seconds
