"""Our own stacks on the local cloud: deployed, left alone, migrated, a bad migration undone, destroyed."""

import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.deploy.clients import ROOT, App

SOURCES = ("app.py", "cdk.json", "requirements.txt", "requirements-lambda.txt", "stacks", "lambda", "schema")
SCHEMA_STACK = "shop-local-schema"
BROKEN = """CREATE TABLE shop.half_done (half_done_id int PRIMARY KEY);

SELECT no_such_column FROM shop.orders;
"""


@pytest.fixture
def app(cloud, tmp_path):
    """Synthesize the deployment as it is, with one more migration, and with a broken one after that."""
    apps = {name: App(cloud, copy_of_the_project(tmp_path / name)) for name in ("first", "second", "broken")}
    for name in ("second", "broken"):
        add_migration(apps[name], "notes", "CREATE TABLE shop.notes (note_id int PRIMARY KEY);\n")
    add_migration(apps["broken"], "half_done", BROKEN)
    here = apps["first"]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda app: app.synthesize("local", deployment="local"), apps.values()))
    for name, app in apps.items():
        shutil.move(app.directory / "cdk.out.local", here.directory / f"cdk.out.{name}")
    here.bootstrap("first")
    return here


def test_it_is_deployed_migrated_and_destroyed(app, cloud):
    last = highest_version(app.directory)
    app.deploy("first")
    database, schema = app.outputs("shop-local-database"), app.outputs(SCHEMA_STACK)
    assert schema["SmokeTestResult"] == "passed"
    assert schema["SchemaVersion"] == f"{last:04}"
    parameters = parameters_of(cloud)
    assert parameters["/shop/local/schema/schema-version"] == schema["SchemaVersion"]
    assert parameters["/shop/local/database/cluster-endpoint"] == database["ClusterEndpoint"]
    orders = count_of(cloud, database, "shop.orders")
    assert orders > 0

    app.assert_nothing_differs("first")
    assert app.deploy("first").stdout.count("(no changes)") == 3

    app.deploy("second")
    schema = app.outputs(SCHEMA_STACK)
    assert schema["SchemaVersion"] == f"{last + 1:04}"
    assert schema["SmokeTestResult"] == "passed"
    assert count_of(cloud, database, "shop.orders") == orders
    assert count_of(cloud, database, "shop.notes") == 0

    said = app.deploy("broken", check=False)
    assert said.returncode == 1
    where = f"V{last + 2:04}__half_done.sql:3"
    assert where in said.stdout
    reasons = [
        reason
        for resource, status, reason in app.events(SCHEMA_STACK)
        if (resource, status) == MIGRATION_FAILED
    ]
    assert len(reasons) == 1, "\n\n".join(map(str, app.events(SCHEMA_STACK)[-60:]))
    assert where in reasons[0]
    assert 'column "no_such_column" does not exist' in reasons[0]
    assert app.status_of(SCHEMA_STACK) == "UPDATE_ROLLBACK_COMPLETE"
    assert app.outputs(SCHEMA_STACK) == schema
    assert count_of(cloud, database, "pg_tables WHERE tablename = 'half_done'") == 0
    assert count_of(cloud, database, f"migrations.history WHERE version::int > {last + 1}") == 0
    assert count_of(cloud, database, "shop.orders") == orders

    app.destroy("second")
    assert cloud.left_over() == []


MIGRATION_FAILED = ("MigrationsResource", "UPDATE_FAILED")


def copy_of_the_project(target):
    """Copy what a deployment is made of; Python's packages and Lambda's wheels are shared."""
    target.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    (ROOT / "build").mkdir(exist_ok=True)
    (target / "build").symlink_to(ROOT / "build")
    (target / ".venv").symlink_to(sys.prefix)
    return target


def add_migration(app, name, text):
    version = highest_version(app.directory) + 1
    (app.directory / "schema" / "postgresql" / f"V{version:04}__{name}.sql").write_text(text)


def highest_version(directory):
    names = os.listdir(directory / "schema" / "postgresql")
    return max(int(found[1]) for name in names if (found := re.match(r"V(\d+)__", name)))


def parameters_of(cloud):
    found = cloud.items("ssm", "get_parameters_by_path", "Parameters", Path="/shop", Recursive=True)
    return {parameter["Name"]: parameter["Value"] for parameter in found}


def count_of(cloud, database, what):
    ((count,),) = cloud.query(
        f"SELECT count(*) FROM {what}",
        host=database["ClusterEndpoint"],
        port=database["DatabasePort"],
        secret=database["AdminSecretArn"],
    )
    return count
