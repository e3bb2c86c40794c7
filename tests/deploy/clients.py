"""A local cloud and the unmodified CDK CLI on it, as their users run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pymysql

ROOT = Path(__file__).resolve().parents[2]
CDK = ROOT / "node_modules" / ".bin" / "cdk"
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Person:
    """Who runs the commands, with which project and Python: this process's user, or another one."""

    project: Path = ROOT
    python: str = sys.executable
    prefix: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    def run(
        self, command: list[str], *, cwd: Path, env: dict[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its whole output is in the failure when it fails unexpectedly."""
        done = subprocess.run(
            [*self.prefix, *command],
            cwd=cwd,
            env={**os.environ, **(env or {}), **self.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{shlex.join(command)}: exit {done.returncode}\n{done.stdout}"
        )
        return done


@dataclass(frozen=True)
class LocalCloud:
    """A running cloud: `python -m localcloud` and the variables that it prints."""

    name: str
    person: Person
    variables: dict[str, str]

    @classmethod
    def start(cls, person: Person | None = None) -> LocalCloud:
        """Start a cloud of a name that no other run on this machine has, and wait until it answers."""
        person = person or Person()
        name = f"test-{uuid.uuid4().hex[:8]}"
        _localcloud(person, "start", name)
        exports = re.findall(r"^export (.*)$", _localcloud(person, "env", name), re.MULTILINE)
        return cls(name, person, dict(shlex.split(export)[0].split("=", 1) for export in exports))

    def stop(self) -> None:
        """End the cloud, and hold it to leaving nothing and needing no force."""
        said = _localcloud(self.person, "stop", self.name)
        assert "no process and no file is left" in said, said
        assert "killed" not in said, said

    @property
    def env(self) -> dict[str, str]:
        """What a client's environment has beyond the usual: the printed variables, and some peace."""
        path = os.pathsep.join([str(Path(self.person.python).parent), os.environ["PATH"]])
        quiet = {"CI": "true", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"}
        return {**quiet, **self.variables, "PATH": path}

    def client(self, service: str) -> Any:
        """Return a boto3 client of the cloud."""
        return boto3.client(
            service,
            endpoint_url=self.variables["AWS_ENDPOINT_URL"],
            region_name=self.variables["AWS_REGION"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
        )

    def items(self, service: str, operation: str, key: str, **arguments: Any) -> list[Any]:
        """Return everything that a paginated operation lists under a key."""
        pages = self.client(service).get_paginator(operation).paginate(**arguments)
        return [item for page in pages for item in page[key]]

    def status(self) -> dict[str, Any]:
        """Return what `status --json` says."""
        status: dict[str, Any] = json.loads(_localcloud(self.person, "status", self.name, "--json"))
        return status

    def query(self, statement: str, *, host: str, secret: str) -> list[tuple[Any, ...]]:
        """Return the rows that a statement gives the database's admin, over verified TLS; then commit."""
        found = self.client("secretsmanager").get_secret_value(SecretId=secret)
        login = json.loads(found["SecretString"])
        open_connection = _CONNECT[login["engine"]]
        with closing(open_connection(host, login, self.variables["LOCALCLOUD_CA_BUNDLE"])) as connection:
            with closing(connection.cursor()) as cursor:
                cursor.execute(statement)
                rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            connection.commit()
        return rows

    def left_over(self) -> list[str]:
        """Return what exists beyond moto's defaults, the CLI's bootstrap, and logs (as on AWS)."""
        names = {
            "stacks": self._names("cloudformation", "describe_stacks", "Stacks", "StackName"),
            "functions": self._names("lambda", "list_functions", "Functions", "FunctionName"),
            "roles": self._names("iam", "list_roles", "Roles", "RoleName"),
            "parameters": self._names("ssm", "describe_parameters", "Parameters", "Name"),
            "secrets": self._names(
                "secretsmanager", "list_secrets", "SecretList", "Name", IncludePlannedDeletion=True
            ),
            "clusters": self._names("rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
            "instances": self._names("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
            "proxies": self._names("rds", "describe_db_proxies", "DBProxies", "DBProxyName"),
            "groups": self._names("ec2", "describe_security_groups", "SecurityGroups", "GroupName"),
            "topics": self._names("sns", "list_topics", "Topics", "TopicArn"),
            "alarms": self._names("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
            "vpcs": [
                one["VpcId"] for one in self.items("ec2", "describe_vpcs", "Vpcs") if not one["IsDefault"]
            ],
            "addresses": self.client("ec2").describe_addresses()["Addresses"],
            "endpoints": list(self.status()["endpoints"]),
            "processes": self.status()["processes"][2:],  # the supervisor and the server stay
        }
        return [
            f"{kind}: {name}"
            for kind, found in names.items()
            for name in found
            if not str(name).startswith(("cdk-", "CDKToolkit", "/cdk-bootstrap/")) and name != "default"
        ]

    def _names(self, service: str, operation: str, key: str, name: str, **arguments: Any) -> list[Any]:
        return [item[name] for item in self.items(service, operation, key, **arguments)]


def _postgresql(host: str, login: dict[str, Any], ca_file: str) -> Any:
    return psycopg2.connect(
        host=host,
        port=login["port"],
        user=login["username"],
        password=login["password"],
        dbname=login["dbname"],
        sslmode="verify-full",
        sslrootcert=ca_file,
        connect_timeout=10,
    )


def _mysql(host: str, login: dict[str, Any], ca_file: str) -> Any:
    return pymysql.connect(
        host=host,
        port=int(login["port"]),
        user=login["username"],
        password=login["password"],
        database=login["dbname"],
        ssl=ssl.create_default_context(cafile=ca_file),
        connect_timeout=10,
    )


_CONNECT = {"postgres": _postgresql, "mysql": _mysql}
"""By what a secret calls the engine."""


def _localcloud(person: Person, verb: str, name: str, *options: str) -> str:
    command = [person.python, "-m", "localcloud", verb, "--name", name, *options]
    return person.run(command, cwd=person.project, env={"PYTHONPATH": str(person.project)}).stdout


@dataclass(frozen=True)
class App:
    """A CDK application, and the CLI with it on a cloud.

    Synthesizing takes several times as long as most commands: each variant is synthesized once, and the
    commands then take the assembly by its name.
    """

    cloud: LocalCloud
    directory: Path

    def synthesize_all(self, **assemblies: dict[str, str]) -> None:
        """Synthesize one assembly for each name, with its context values."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda item: self.synthesize(item[0], **item[1]), assemblies.items()))

    def synthesize(self, assembly: str, **context: str) -> None:
        """Synthesize one assembly, with context values."""
        settings = [word for key, value in context.items() for word in ("--context", f"{key}={value}")]
        self.cdk("synth", "--quiet", "--output", f"cdk.out.{assembly}", *settings)

    def cdk(
        self, *arguments: str, assembly: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the CLI in the app's directory, on an assembly, or on what cdk.json says."""
        app = ["--app", f"cdk.out.{assembly}"] if assembly else []
        command = [str(CDK), "--no-notices", *app, *arguments]
        return self.cloud.person.run(command, cwd=self.directory, env=self.cloud.env, check=check)

    def bootstrap(self, assembly: str) -> None:
        """Bootstrap the environment of an assembly's stacks."""
        self.cdk("bootstrap", assembly=assembly)

    def deploy(self, assembly: str, *stacks: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Deploy the stacks of an assembly, all without names, and ask nobody."""
        chosen = list(stacks) or ["--all"]
        return self.cdk("deploy", "--require-approval", "never", *chosen, assembly=assembly, check=check)

    def destroy(self, assembly: str) -> None:
        """Destroy every stack of an assembly."""
        self.cdk("destroy", "--all", "--force", assembly=assembly)

    def assert_nothing_differs(self, assembly: str) -> None:
        """Hold `cdk diff` to finding no difference."""
        said = self.cdk("diff", assembly=assembly).stdout
        assert "Number of stacks with differences: 0" in said, said

    def outputs(self, stack: str) -> dict[str, str]:
        """Return a deployed stack's outputs."""
        return {one["OutputKey"]: one["OutputValue"] for one in self._described(stack).get("Outputs", [])}

    def status_of(self, stack: str) -> str:
        """Return a stack's status."""
        status: str = self._described(stack)["StackStatus"]
        return status

    def events(self, stack: str) -> list[tuple[str, str, str]]:
        """Return a stack's events, oldest first: logical id, status, reason."""
        events = self.cloud.items("cloudformation", "describe_stack_events", "StackEvents", StackName=stack)
        return [
            (event["LogicalResourceId"], event["ResourceStatus"], event.get("ResourceStatusReason", ""))
            for event in reversed(events)
        ]

    def physical_id(self, stack: str, logical_id: str) -> str:
        """Return the physical id of a resource by its logical id, without CDK's hash if it has one."""
        resources = self.cloud.items(
            "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack
        )
        found = {one["LogicalResourceId"]: str(one["PhysicalResourceId"]) for one in resources}
        return next(found[name] for name in found if re.fullmatch(f"{logical_id}([0-9A-F]{{8}})?", name))

    def log_of(self, stack: str, logical_id: str) -> list[str]:
        """Return the lines of a function's log."""
        group = f"/aws/lambda/{self.physical_id(stack, logical_id)}"
        events = self.cloud.items("logs", "filter_log_events", "events", logGroupName=group)
        return [event["message"] for event in events]

    def _described(self, stack: str) -> dict[str, Any]:
        described: dict[str, Any] = self.cloud.client("cloudformation").describe_stacks(StackName=stack)
        return dict(described["Stacks"][0])
