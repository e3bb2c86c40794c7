"""Shows how far a deployment is: which stack, how many of its resources, what it waits for, rows loaded."""

import json
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import boto3

POLL_SECONDS = 0.4
PLAIN_LINE_EVERY_SECONDS = 2.0


@dataclass
class StackProgress:
    """What the events of one stack have told so far."""

    name: str
    resource_count: int | None = None
    finished: set[str] = field(default_factory=set)
    running: dict[str, datetime] = field(default_factory=dict)
    failure: str = ""
    status: str = "waiting"
    note: str = ""

    def observe(self, event: dict[str, Any]) -> None:
        """Take in one CloudFormation event, oldest first."""
        logical_id, status = event["LogicalResourceId"], event["ResourceStatus"]
        if logical_id == self.name:
            self.status = status.lower().replace("_", " ")
            return
        if status.endswith("_IN_PROGRESS"):
            self.running.setdefault(logical_id, event["Timestamp"])
            self.finished.discard(logical_id)
            return
        self.running.pop(logical_id, None)
        self.finished.add(logical_id)
        if status.endswith("_FAILED") and not self.failure:
            self.failure = f"{logical_id}: {_without_stack_trace(event.get('ResourceStatusReason'))}"

    def summary(self) -> str:
        """For example `12 of 31 resources, on Cluster, ReaderInstance`."""
        if not self.finished and not self.running:
            return ""
        total = f" of {self.resource_count}" if self.resource_count else ""
        waiting = ", ".join(sorted(self.running, key=self.running.__getitem__)[:3])
        return f"{len(self.finished)}{total} resources" + (f", on {waiting}" if waiting else "")


def _without_stack_trace(reason: str | None) -> str:
    """The reason as a person reads it: CDK's provider framework appends where it was itself in its code."""
    return re.split(r"\n+ *(?:at |Logs:)", reason or "no reason given")[0].strip()


class Follower:
    """Reads the events of some stacks, and the seed's progress records, as they happen."""

    def __init__(self, session: "boto3.Session", stacks: Iterable[StackProgress]) -> None:
        self.stacks = list(stacks)
        self._cloudformation = session.client("cloudformation")
        self._logs = session.client("logs")
        self._seed_log_group: str | None = None
        self._seen: set[str] = set()
        self._since = time.time()

    def poll(self) -> None:
        """Take in what happened since the last call; a stack that is not there yet is no error."""
        for stack in self.stacks:
            for event in self._new_events(stack.name):
                stack.observe(event)
            if any(logical_id.startswith("SeedData") for logical_id in stack.running):
                stack.note = self._seed_progress(stack.name) or stack.note

    def failures(self) -> str:
        """What failed first in each stack, a line each; empty when nothing did."""
        return "\n".join(f"{stack.name}, {stack.failure}" for stack in self.stacks if stack.failure)

    def _new_events(self, stack_name: str) -> list[dict[str, Any]]:
        fresh: list[dict[str, Any]] = []
        try:
            for page in self._cloudformation.get_paginator("describe_stack_events").paginate(
                StackName=stack_name
            ):
                for event in page["StackEvents"]:
                    if event["EventId"] in self._seen or event["Timestamp"].timestamp() < self._since - 1:
                        return fresh[::-1]
                    self._seen.add(event["EventId"])
                    fresh.append(dict(event))
        except (ClientError, BotoCoreError):
            return fresh[::-1]
        return fresh[::-1]

    def _seed_progress(self, stack_name: str) -> str | None:
        try:
            group = self._seed_log_group = self._seed_log_group or self._find_seed_log_group(stack_name)
            events = self._logs.filter_log_events(
                logGroupName=group, startTime=int(self._since * 1000), filterPattern='"seed progress"'
            )["events"]
        except (ClientError, BotoCoreError, StopIteration):
            return None
        records = [record for event in events if (record := _as_record(event["message"]))]
        if not records:
            return None
        return (
            f"{int(records[-1]['lines']):,} lines loaded, {int(records[-1]['lines_per_second']):,} a second"
        )

    def _find_seed_log_group(self, stack_name: str) -> str:
        resources = self._cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
        group: str = next(
            resource["PhysicalResourceId"]
            for resource in resources
            if resource["ResourceType"] == "AWS::Logs::LogGroup"
            and resource["LogicalResourceId"].startswith("SeedDataLog")
        )
        return group


def _as_record(message: str) -> dict[str, Any] | None:
    try:
        record = json.loads(message)
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.get("message") == "seed progress" else None


@contextmanager
def shown(console: Console, title: str, follower: Follower | None = None) -> Iterator[None]:
    """Show progress while the block runs: a live table on a terminal, a line every two seconds elsewhere."""
    started = time.monotonic()
    stop = threading.Event()
    draw = _live if console.is_terminal else _plain
    thread = threading.Thread(target=draw, args=(console, title, follower, started, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        console.print(f"{title}: {time.monotonic() - started:.1f} s")


def _live(
    console: Console, title: str, follower: Follower | None, started: float, stop: threading.Event
) -> None:
    with Live(console=console, transient=True, refresh_per_second=8) as live:
        while not stop.is_set():
            if follower:
                follower.poll()
            live.update(_table(title, follower, time.monotonic() - started))
            stop.wait(POLL_SECONDS)


def _table(title: str, follower: Follower | None, seconds: float) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(Text(f"{title} …", style="bold"), f"{seconds:.0f} s")
    for stack in follower.stacks if follower else []:
        style = "red" if stack.failure else "green" if stack.status.endswith("complete") else ""
        table.add_row(Text(f"  {stack.name}", style=style), stack.status, stack.summary(), stack.note)
    return table


def _plain(
    console: Console, title: str, follower: Follower | None, started: float, stop: threading.Event
) -> None:
    said: str | None = None
    while not stop.wait(PLAIN_LINE_EVERY_SECONDS):
        if follower:
            follower.poll()
        line = _current_line(follower)
        seconds = time.monotonic() - started
        if line != said or not follower:
            console.print(f"{title}, {seconds:.0f} s{': ' + line if line else ''}", soft_wrap=True)
            said = line


def _current_line(follower: Follower | None) -> str:
    if not follower:
        return ""
    active = [s for s in follower.stacks if s.running] or [
        s for s in follower.stacks if s.status != "waiting"
    ]
    return "; ".join(filter(None, (active[-1].name, active[-1].summary(), active[-1].note))) if active else ""
