"""A cloud without its server: functions are created in moto's backends and invoked directly."""

from __future__ import annotations

import base64
import io
import textwrap
import threading
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from moto.awslambda.models import lambda_backends
from moto.logs.models import logs_backends

from localcloud.cloud import Cloud
from localcloud.functions.runner import Functions, Outcome
from tests.localcloud.roles import allow, role_with

REGION = "us-east-1"


class DeployedFunctions:
    """Creates functions and invokes them, in a cloud that has nothing else."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.runner = cloud.part(Functions, Functions)
        self.backend = lambda_backends[cloud.account][REGION]
        self.logs = logs_backends[cloud.account][REGION]
        self.role_arn = role_with(cloud.account, allow("logs:*"), allow("xray:*"))

    def python(self, source: str, **properties: Any) -> Any:
        """Create a Python function of one module, handler.py, with a function `handler`."""
        return self.create({"handler.py": source}, Runtime="python3.13", **properties)

    def node(self, source: str, **properties: Any) -> Any:
        """Create a Node.js function of one module, handler.js, with an export `handler`."""
        return self.create({"handler.js": source}, Runtime="nodejs22.x", **properties)

    def create(self, files: dict[str, str], **properties: Any) -> Any:
        """Create a function of these files; properties as Lambda's CreateFunction takes them."""
        specification = {
            "FunctionName": f"function-{uuid.uuid4().hex[:12]}",
            "Handler": "handler.handler",
            "Role": self.role_arn,
            "Code": {"ZipFile": zip_of(files)},
            "Timeout": 20,
        }
        return self.backend.create_function(specification | properties)

    def invoke(self, function: Any, event: Any = None) -> Outcome:
        """Run the function to its end."""
        return self.runner.invoke(function, event)

    def log_of(self, function: Any) -> list[str]:
        """Return every line in the function's log group."""
        group = self.logs.groups.get(function.logs_group_name)
        return (
            [event.message for stream in group.streams.values() for event in stream.events] if group else []
        )


def zip_of(files: dict[str, str]) -> bytes:
    """Return the files as a zip archive in base64."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, textwrap.dedent(text))
    return base64.b64encode(buffer.getvalue())


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def lambda_cloud(tmp_path: Path) -> Iterator[Cloud]:
    """Return a cloud that answers its own pages (not AWS's APIs) on its port."""
    server = make_server("127.0.0.1", 0, lambda *request: None, handler_class=_QuietHandler)  # type: ignore[arg-type,return-value]
    cloud = Cloud(port=server.server_port, directory=tmp_path / "cloud")

    def application(environ: Any, start_response: Any) -> Any:
        page = cloud.page(environ["PATH_INFO"])
        assert page, environ["PATH_INFO"]
        return page(environ, start_response)

    server.set_app(application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield cloud
    cloud.shut_down()
    server.shutdown()
    server.server_close()


@pytest.fixture
def functions(lambda_cloud: Cloud) -> DeployedFunctions:
    """Return a place to deploy functions to."""
    return DeployedFunctions(lambda_cloud)
