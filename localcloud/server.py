"""A cloud's server: moto's HTTP server with the parts of this package installed."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.enforcements import EVERY, Enforcement, listed, named
from localcloud.refusals import Refusals
from localcloud.state import Home, NotOurs, Taken
from localcloud.supervisor import Starter, supervise

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from localcloud.cloud import Cloud

STATUS_PATH = "/localcloud/status"


def run(
    home: Home,
    *,
    port: int = 0,
    region: str,
    enforcements: frozenset[Enforcement] = EVERY,
    line: socket.socket | None = None,
) -> int:
    """Serve until told to end; return the exit status. `port` 0 takes a free one.

    Taken when a cloud of the name runs already. Nothing is left afterwards, neither process nor file.
    """
    starter = Starter(line)
    try:
        home.claim()
    except (Taken, NotOurs, ValueError) as error:
        starter.tell(f"failed: {error}")
        raise
    if line is not None:
        _write_to(home.log)
    return supervise(home, region, lambda: serve(home, port, region, enforcements, starter))


def serve(home: Home, port: int, region: str, enforcements: frozenset[Enforcement], starter: Starter) -> None:
    """Serve until SIGTERM or SIGINT, then shut every part down."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        listener = _listen(port)
    except OSError as error:
        starter.tell(f"failed: port {port}: {error.strerror}")
        raise
    port = listener.getsockname()[1]
    os.environ["MOTO_PORT"] = str(port)
    # a policy's document is what AWS says it is only with AWS's managed policies there
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    os.chdir(home.directory)  # a process that is left over is recognised by where it works

    starter.tell("loading the AWS APIs")
    from localcloud.cloud import Cloud  # noqa: PLC0415 - moto takes a second to load: say so first

    cloud = Cloud(port=port, directory=home.directory, region=region, enforcements=enforcements)
    try:
        application = _application(cloud)
        from moto.server import MotoRequestHandler  # noqa: PLC0415
        from werkzeug.serving import make_server  # noqa: PLC0415 - part of what is loaded

        server = make_server(
            "localhost",
            port,
            application,
            threaded=True,
            request_handler=MotoRequestHandler,
            fd=listener.fileno(),
        )
        state = home.read()
        if state is None:
            return
        starter.tell("ready")
        if starter.released():
            home.write(replace(state, port=port))
            logging.getLogger(__name__).info("listening at %s", cloud.endpoint_url)
            _prepare_in_background()
            server.serve_forever()
    finally:
        cloud.shut_down()


def _write_to(log: Path) -> None:
    """Let this process and all below it say what they have to say in a file."""
    with log.open("ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)


def _listen(port: int) -> socket.socket:
    """Return the listening socket. Only this machine reaches it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def _application(cloud: Cloud) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    from moto.server import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415 - see serve

    from localcloud import moto_seams  # noqa: PLC0415
    from localcloud.network.api_door import ApiDoor  # noqa: PLC0415

    cloudformation = moto_seams.install(cloud)
    cloud.serve(STATUS_PATH, _status_page(cloud, cloudformation))
    apis = DomainDispatcherApplication(create_backend_app)
    door = ApiDoor(cloud)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        door.admit(environ)
        page = cloud.page(environ.get("PATH_INFO", ""))
        answer: Iterable[bytes] = (page or apis)(environ, start_response)
        return answer

    return application


def _prepare_in_background() -> None:
    """Do what the first requests would wait for while nobody asks yet: the CLI is still synthesizing."""
    from localcloud import moto_seams  # noqa: PLC0415 - see serve

    threading.Thread(target=moto_seams.load_service_models, name="prepare", daemon=True).start()


def _status_page(cloud: Cloud, cloudformation: Any) -> Any:
    from localcloud.network.callers import unenforceable  # noqa: PLC0415 - see serve

    why_no_network = unenforceable() if cloud.enforces(Enforcement.NETWORK) else None
    cannot = {Enforcement.NETWORK: why_no_network} if why_no_network else {}

    def page(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        stacks = [
            {"name": stack.name, "status": stack.status, "resources": len(stack.resources)}
            for operations in cloudformation.all()
            for stack in list(operations.region.stacks.values())
            if stack.exists
        ]
        shown = {
            "stacks": stacks,
            "endpoints": cloud.endpoints,
            "databases": cloud.databases,
            "enforced": listed(cloud.enforcements - cannot.keys()),
            "switched_off": listed(EVERY - cloud.enforcements),
            "not_enforceable": {str(one): reason for one, reason in cannot.items()},
            "refusals": [refusal.as_json() for refusal in Refusals.of(cloud).latest],
        }
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(shown).encode()]

    return page


def main() -> int:
    """Entry of the process that `start` makes: name, port, region, what is off, and the line's descriptor."""
    name, port, region, without, descriptor = sys.argv[1:]
    line = socket.socket(fileno=int(descriptor))
    enforcements = EVERY - named([without])
    try:
        return run(Home(name), port=int(port), region=region, enforcements=enforcements, line=line)
    except (Taken, NotOurs, ValueError):
        return 1  # the starter has been told


if __name__ == "__main__":
    sys.exit(main())
