"""The local cloud's command line: prepare, start, env, status, stop."""

# ruff: noqa: T201 - it prints what it is asked for

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from localcloud import operator_key, processes
from localcloud.aurora import preparation
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.enforcements import EVERY, Enforcement, listed, named
from localcloud.server import STATUS_PATH, run
from localcloud.state import DEFAULT_NAME, Home, NotOurs, State, Taken

_READY_WITHIN_SECONDS = 60.0
_GONE_WITHIN_SECONDS = 30.0
_UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE")  # they would lead to another account
_OK, _FAILED, _NOT_RUNNING = 0, 1, 3


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return its exit status: 0 done, 1 failed, 3 no cloud of that name runs."""
    given = _parser().parse_args(arguments)
    try:
        status: int = given.verb(given)
        return status
    except (Taken, NotOurs, ValueError) as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return _FAILED


def prepare(given: argparse.Namespace) -> int:
    """Have what a first cluster of an engine needs on this machine, with a line for what takes long."""
    begun = time.monotonic()
    try:
        ready = preparation.prepare(given.engine, lambda text: print(f"localcloud: {text}", flush=True))
    except ProgramFailed as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return _FAILED
    print(f"local cloud: {ready} is ready ({time.monotonic() - begun:.1f} s)")
    return _OK


def start(given: argparse.Namespace) -> int:
    """Start a cloud, in the background or here, and say how to use it."""
    home, without = Home(given.name), named(given.without)
    if (state := home.running()) is not None and state.port:
        return _runs_already(home, state, without)
    if given.foreground:
        return run(home, port=given.port, region=given.region, enforcements=EVERY - without)
    begun = time.monotonic()
    if not _start_in_background(home, given.port, given.region, without):
        return _FAILED
    state = home.read()
    port = state.port if state else 0
    print(f"local cloud {home.name} is ready at http://localhost:{port} ({time.monotonic() - begun:.1f} s)")
    if state:
        _print_what_is_not_enforced(_status(state))
    for name, engine in preparation.available().items():
        print(f"  {name}: {engine}")
    print(f'  use it:  eval "$(python -m localcloud env{_option(home)})"')
    print(f"  end it:  python -m localcloud stop{_option(home)}")
    return _OK


def env(given: argparse.Namespace) -> int:
    """Print what a shell has to export for the CDK CLI, the AWS CLI, boto3 and psql."""
    home = Home(given.name)
    state = home.running()
    if state is None or not state.port:
        return _not_running(home)
    print(f"unset {' '.join(_UNSET)}")
    for name, value in environment(home, state).items():
        print(f"export {name}={shlex.quote(value)}")
    return _OK


def environment(home: Home, state: State) -> dict[str, str]:
    """Return the variables with which a client meets this cloud, and no account of AWS."""
    return {
        "AWS_ENDPOINT_URL": f"http://localhost:{state.port}",
        "AWS_ACCESS_KEY_ID": operator_key.ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": operator_key.SECRET_ACCESS_KEY,
        "AWS_REGION": state.region,
        "AWS_DEFAULT_REGION": state.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "LOCALCLOUD_CA_BUNDLE": str(home.directory / "ca.pem"),
        "PGSSLROOTCERT": str(home.directory / "ca.pem"),
    }


def status(given: argparse.Namespace) -> int:
    """Print a cloud's stacks, endpoints and processes."""
    home = Home(given.name)
    state = home.running()
    if state is None or not state.port:
        return _not_running(home)
    page = _status(state)
    below = sorted(processes.descendants(state.pid))
    if given.json:
        print(json.dumps({**page, "processes": [state.pid, *below], "port": state.port}))
        return _OK
    print(f"local cloud {home.name}: http://localhost:{state.port}, files in {home.directory}")
    _print_table(
        "stacks", [(one["name"], f"{one['status']}, {one['resources']} resources") for one in page["stacks"]]
    )
    _print_table("databases", sorted(page["databases"].items()))
    _print_table("endpoints", sorted(page["endpoints"].items()))
    print(f"enforced: {', '.join(page['enforced']) or 'nothing'}")
    _print_what_is_not_enforced(page)
    _print_table(
        "refused",
        [(f"{one['at']} {one['enforcement']}", f"{one['who']}: {one['reason']}") for one in page["refusals"]],
    )
    _print_table("processes", [(str(pid), processes.command(pid)) for pid in [state.pid, *below]])
    return _OK


def stop(given: argparse.Namespace) -> int:
    """End a cloud and all that belongs to it, and report what is left."""
    home = Home(given.name)
    state = home.running()
    if state is None and not home.directory.exists():
        print(f"local cloud {home.name} is not running: nothing is left")
        return _OK
    below = processes.descendants(state.pid) if state else set()
    if state is not None:
        _end(state)
    left = [pid for pid in below if processes.process_start(pid)]
    # what a cloud left that was killed together with its supervisor, or that did not end in time
    left += processes.end_strays(home.directory)
    home.remove()
    return _report(home, left)


def _runs_already(home: Home, state: State, without: frozenset[Enforcement]) -> int:
    """What is enforced is decided at the start: asked for something else, say so and fail."""
    print(f"local cloud {home.name} is running at http://localhost:{state.port}")
    page = _status(state)
    _print_what_is_not_enforced(page)
    if not without or listed(without) == page["switched_off"]:
        return _OK
    asked = ", ".join(listed(without))
    print(
        f"localcloud: --without {asked}: what is enforced is decided at the start; stop it first",
        file=sys.stderr,
    )
    return _FAILED


def _print_what_is_not_enforced(page: dict[str, Any]) -> None:
    if page["switched_off"]:
        print(f"  not enforced, as asked: {', '.join(page['switched_off'])}")
    for name, reason in page["not_enforceable"].items():
        print(f"  not enforced here: {name} ({reason})")


def _start_in_background(home: Home, port: int, region: str, without: frozenset[Enforcement]) -> bool:
    """Start a server that outlives this process; until it is ready, it ends with this process."""
    ours, theirs = socket.socketpair()
    off = ",".join(listed(without))
    arguments = [home.name, str(port), region, off, str(theirs.fileno())]
    command = [sys.executable, "-m", "localcloud.server", *arguments]
    with tempfile.TemporaryFile() as said, ours:
        server = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": _import_path()},
        )
        theirs.close()
        try:
            ready = _follow(ours)
        except (KeyboardInterrupt, TimeoutError):
            ready = False
        if ready:
            ours.sendall(b".")
            return _published(home)
        ours.close()
        server.wait(_GONE_WITHIN_SECONDS)
        said.seek(0)
        sys.stderr.write(said.read().decode(errors="replace"))
        return False


def _follow(line: socket.socket) -> bool:
    """Print the server's progress; return whether it became ready."""
    line.settimeout(_READY_WITHIN_SECONDS)
    for text in line.makefile():
        if text.strip() == "ready":
            return True
        print(f"localcloud: {text.strip()}", file=sys.stderr, flush=True)
    return False


def _published(home: Home) -> bool:
    """Wait until the server has written where it listens."""
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        state = home.running()
        if state is None:
            return False
        if state.port:
            return True
        time.sleep(0.01)
    return False


def _import_path() -> str:
    """Let the server find this package wherever the starter found it."""
    ours = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join([ours, *filter(None, [os.environ.get("PYTHONPATH")])])


def _end(state: State) -> None:
    processes.send(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    while state.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    if state.alive:
        for pid in [state.pid, *processes.descendants(state.pid)]:
            processes.send(pid, signal.SIGKILL)


def _report(home: Home, ended_by_force: list[int]) -> int:
    if ended_by_force:
        print(f"killed {len(ended_by_force)} processes that had not ended: {ended_by_force}")
    if home.directory.exists():
        print(f"localcloud: {home.directory} could not be removed", file=sys.stderr)
        return _FAILED
    print(f"local cloud {home.name} has ended: no process and no file is left")
    return _OK


def _status(state: State) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://localhost:{state.port}{STATUS_PATH}", timeout=10) as answer:
        page: dict[str, Any] = json.load(answer)
        return page


def _print_table(title: str, rows: list[tuple[str, str]]) -> None:
    print(f"{title}:" if rows else f"{title}: none")
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        print(f"  {name:<{width}}  {text}")


def _not_running(home: Home) -> int:
    print(
        f"localcloud: no cloud named {home.name} is running; start one: python -m localcloud start",
        file=sys.stderr,
    )
    return _NOT_RUNNING


def _option(home: Home) -> str:
    return "" if home.name == DEFAULT_NAME else f" --name {home.name}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localcloud",
        description="An embedded AWS: the unmodified CDK CLI deploys onto this machine.",
    )
    verbs = parser.add_subparsers(required=True, metavar="prepare|start|env|status|stop")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default=DEFAULT_NAME, help="which cloud; several can run side by side")
    preparing = verbs.add_parser("prepare", help="fetch an engine's server, if it is not here")
    preparing.add_argument("--engine", choices=preparation.ENGINES, required=True)
    preparing.set_defaults(verb=prepare)
    starting = verbs.add_parser("start", parents=[named], help="start a cloud and wait until it is ready")
    starting.add_argument("--port", type=int, default=0, help="port of the AWS APIs (default: a free one)")
    starting.add_argument("--region", default="us-east-1", help="region of its clients (default: us-east-1)")
    starting.add_argument(
        "--without",
        metavar="NAME",
        action="append",
        default=[],
        help="let through what AWS would refuse; may be given several times. "
        + " ".join(f"{one}: {one.what}." for one in Enforcement),
    )
    starting.add_argument("--foreground", action="store_true", help="stay, and end with Ctrl-C")
    starting.set_defaults(verb=start)
    printing = verbs.add_parser(
        "env", parents=[named], help='print exports: eval "$(python -m localcloud env)"'
    )
    printing.set_defaults(verb=env)
    showing = verbs.add_parser("status", parents=[named], help="print stacks, endpoints and processes")
    showing.add_argument("--json", action="store_true", help="for programs")
    showing.set_defaults(verb=status)
    ending = verbs.add_parser("stop", parents=[named], help="end a cloud; nothing of it is left")
    ending.set_defaults(verb=stop)
    return parser


if __name__ == "__main__":
    sys.exit(main())
