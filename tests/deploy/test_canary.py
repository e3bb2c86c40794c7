"""A known password goes through a whole deployment, and through its failures: it turns up nowhere."""

from __future__ import annotations

import json
import re
import time
from base64 import b64decode
from contextlib import contextmanager
from pathlib import Path

import pytest

from stacks.settings import kind_on
from tests.deploy.clients import App
from tests.deploy.test_local_deployment import add_migration, copy_of_the_project

CANARY = "CanaryInTheCoalMine0123456789"
SIGNED = re.compile(r"X-Amz-Signature=[0-9a-f]{8}|X-Amz-Security-Token=[A-Za-z0-9%]{8}")
"""What proves a token, or the credentials that signed it."""
IN_MIGRATION = "WhoPutThisIntoAMigration42"
"""What nobody should: its file tells it already, and PostgreSQL's log has the statements that fail."""
BROKEN = """CREATE TABLE shop.with_a_password (x int);

ALTER {account} shop_admin {password} '{literal}' WITH nonsense;
"""
BROKEN_BY = {"postgresql": ("ROLE", "PASSWORD"), "mysql": ("USER", "IDENTIFIED BY")}
TOLD_BY_THE_SERVER = {"postgresql": "postgresql.log", "mysql": None}
SET_PASSWORD = {
    "postgresql": f"ALTER ROLE shop_admin PASSWORD '{CANARY}'",
    "mysql": f"ALTER USER shop_admin IDENTIFIED BY '{CANARY}'",
}


@pytest.fixture
def app(cloud, engine, tmp_path):
    """The deployment as it is, and with a migration that names a password and fails."""
    apps = {name: App(cloud, copy_of_the_project(tmp_path / name)) for name in ("good", "broken")}
    account, password = BROKEN_BY[engine]
    text = BROKEN.format(account=account, password=password, literal=IN_MIGRATION)
    add_migration(apps["broken"], engine, "with_a_password", text)
    for name, one in apps.items():
        one.synthesize(name, deployment="local", engine=engine)
    (apps["broken"].directory / "cdk.out.broken").rename(apps["good"].directory / "cdk.out.broken")
    apps["good"].bootstrap("good")
    return apps["good"]


class Watched:
    """A deployment whose passwords are all known, and what its functions have answered."""

    def __init__(self, cloud, database, schema):
        self.answers = []
        self.passwords = set()
        self.secret = database["AdminSecretArn"]
        self._cloud, self._schema = cloud, schema
        self._manager = cloud.client("secretsmanager")
        self.content = self._read()

    def invoke(self, function, event):
        """Invoke a function; its answer, and the log that comes with it, are among what must not tell."""
        answer = self._cloud.client("lambda").invoke(
            FunctionName=self._schema[function], Payload=json.dumps(event), LogType="Tail"
        )
        log = b64decode(answer.get("LogResult", "")).decode()
        self.answers.append(answer["Payload"].read().decode() + log)
        return self.answers[-1]

    def store(self, content):
        """Make this the secret's current version."""
        text = content if isinstance(content, str) else json.dumps(content)
        self._manager.put_secret_value(SecretId=self.secret, SecretString=text)

    def rotate(self):
        """Ask for a rotation; it is over, well or not, when this returns."""
        self._manager.rotate_secret(SecretId=self.secret)

    def rotated(self):
        """Rotate, and see that the migrator gets in by a password that was none before."""
        before = set(self.passwords)
        self.rotate()
        self.content = self._read()
        assert self.content["password"] not in before
        assert '"exit_code": 0' in self.invoke("MigrationsFunction", {"verb": "status"})

    def _read(self):
        content = json.loads(self._manager.get_secret_value(SecretId=self.secret)["SecretString"])
        self.passwords.add(content["password"])
        return content


NO_SECRETS = ({"password": CANARY}, {"username": CANARY}, CANARY, [CANARY])


def test_no_password_turns_up_anywhere(app, cloud, engine):
    name = kind_on("local", engine)
    app.deploy("good")
    database, schema = (app.outputs(f"shop-{name}-{stack}") for stack in ("database", "schema"))
    watched = Watched(cloud, database, schema)

    # the canary becomes the admin's password, and migrations run by it, one of which fails
    cloud.query(SET_PASSWORD[engine], host=database["ClusterEndpoint"], secret=watched.secret)
    watched.store(watched.content | {"password": CANARY})
    watched.passwords.add(CANARY)
    assert '"exit_code": 0' in watched.invoke("MigrationsFunction", {"verb": "status"})
    assert app.deploy("broken", check=False).returncode == 1
    assert app.status_of(f"shop-{name}-schema") == "UPDATE_ROLLBACK_COMPLETE"

    # rotated away; wrong then, and found again by the previous version
    watched.rotated()
    watched.store(watched.content | {"password": CANARY})
    assert '"exit_code": 1' in watched.invoke("MigrationsFunction", {"verb": "status"})
    watched.rotated()

    # what is no secret at all, for the migrator and for the rotation
    for nonsense in NO_SECRETS:
        watched.store(nonsense)
        assert '"exit_code": 1' in watched.invoke("MigrationsFunction", {"verb": "status"})
        watched.rotate()
    watched.store(watched.content)
    watched.rotated()
    watched.invoke("SmokeTestFunction", {"RequestType": "Create"})

    found = places(app, cloud, watched.answers)
    assert len(found) > 40, sorted(found)
    assert hits(found, watched.passwords) == []
    told = {place.rpartition("/")[2] for place in hits(found, {IN_MIGRATION})}
    assert told <= {TOLD_BY_THE_SERVER[engine]}

    # the search itself: what is planted, it finds where it was put
    with planted(cloud, watched.content["password"]):
        assert len(hits(places(app, cloud, watched.answers), watched.passwords)) == 2
    app.destroy("good")


@contextmanager
def planted(cloud, password):
    """Put a password into a parameter and a log, for a while."""
    group, logs, parameters = log_groups(cloud)[0], cloud.client("logs"), cloud.client("ssm")
    parameters.put_parameter(Name="/planted", Value=f"it is {password}, by the way", Type="String")
    logs.create_log_stream(logGroupName=group, logStreamName="planted")
    event = {"timestamp": int(time.time() * 1000), "message": f"by {CANARY}"}
    logs.put_log_events(logGroupName=group, logStreamName="planted", logEvents=[event])
    yield
    parameters.delete_parameter(Name="/planted")
    logs.delete_log_stream(logGroupName=group, logStreamName="planted")


def hits(found, passwords):
    """Return the places that hold a password, or what proves a token."""
    return [
        place
        for place, text in found.items()
        if SIGNED.search(text) or any(password in text for password in passwords)
    ]


def log_groups(cloud):
    return [one["logGroupName"] for one in cloud.items("logs", "describe_log_groups", "logGroups")]


def places(app, cloud, answers):
    """Return all that anybody but the secret's readers may see, by where it was seen."""
    found = {f"answer {number}": text for number, text in enumerate(answers)}
    for group in log_groups(cloud):
        lines = cloud.items("logs", "filter_log_events", "events", logGroupName=group)
        found[f"log {group}"] = "\n".join(line["message"] for line in lines)
    cloudformation = cloud.client("cloudformation")
    for stack in cloudformation.describe_stacks()["Stacks"]:
        name = stack["StackName"]
        found[f"stack {name}"] = str(stack)
        found[f"events {name}"] = str(app.events(name))
        found[f"template {name}"] = str(cloudformation.get_template(StackName=name)["TemplateBody"])
        found[f"resources {name}"] = str(cloudformation.describe_stack_resources(StackName=name))
    for parameter in cloud.items("ssm", "describe_parameters", "Parameters"):
        value = cloud.client("ssm").get_parameter(Name=parameter["Name"])["Parameter"]["Value"]
        found[f"parameter {parameter['Name']}"] = f"{parameter} {value}"
    for function in cloud.items("lambda", "list_functions", "Functions"):
        found[f"function {function['FunctionName']}"] = str(function)
    found["secrets"] = str(cloud.items("secretsmanager", "list_secrets", "SecretList"))
    found["clusters"] = str(cloud.items("rds", "describe_db_clusters", "DBClusters"))
    found["metrics"] = str(cloud.items("cloudwatch", "list_metrics", "Metrics"))
    found["alarms"] = str(cloud.items("cloudwatch", "describe_alarms", "MetricAlarms"))
    here = Path(cloud.variables["LOCALCLOUD_CA_BUNDLE"]).parent
    return (
        found | files(app.directory / "cdk.out.good", "*.json") | files(here, "*.log") | files(here, "*.err")
    )


def files(directory, pattern):
    """Read the assembly's files, or the logs of the cloud and of its database servers."""
    return {
        f"file {path.relative_to(directory)}": path.read_text(errors="replace")
        for path in directory.rglob(pattern)
        if path.is_file()
    }
