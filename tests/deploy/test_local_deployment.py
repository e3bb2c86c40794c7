"""Our own stacks on the local cloud: deployed, left alone, migrated, a bad migration survived, destroyed."""

import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from stacks.settings import STACKS, kind_on
from tests.deploy.clients import ROOT, App

SOURCES = ("app.py", "cdk.json", "requirements.txt", "requirements-lambda.txt", "stacks", "lambda", "schema")
HALF_DONE = """CREATE TABLE shop.half_done (half_done_id int PRIMARY KEY);

SELECT {column} FROM shop.orders;
"""
NO_SUCH_COLUMN = {
    "postgresql": 'column "no_such_column" does not exist',
    "mysql": "Unknown column 'no_such_column'",
}
LEFT_OF_HALF_DONE = {"postgresql": 0, "mysql": 1}
"""Tables that a file leaves that fails after its first statement: on MySQL, DDL commits by itself."""


@pytest.fixture
def app(cloud, engine, tmp_path):
    """Synthesize the deployment as it is, with one more migration, with a broken one after it, and mended."""
    variants = ("first", "second", "broken", "mended")
    apps = {name: App(cloud, copy_of_the_project(tmp_path / name)) for name in variants}
    for name in variants[1:]:
        add_migration(apps[name], engine, "notes", "CREATE TABLE shop.notes (note_id int PRIMARY KEY);\n")
    add_migration(apps["broken"], engine, "half_done", HALF_DONE.format(column="no_such_column"))
    add_migration(apps["mended"], engine, "half_done", HALF_DONE.format(column="order_id"))
    here = apps["first"]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda app: app.synthesize("local", deployment="local", engine=engine), apps.values()))
    for name, app in apps.items():
        shutil.move(app.directory / "cdk.out.local", here.directory / f"cdk.out.{name}")
    here.bootstrap("first")
    return here


def test_it_is_deployed_migrated_and_destroyed(app, cloud, engine):
    name = kind_on("local", engine)
    last, schema_stack = highest_version(app.directory, engine), f"shop-{name}-schema"
    app.deploy("first")
    database, schema = app.outputs(f"shop-{name}-database"), app.outputs(schema_stack)
    assert schema["SmokeTestResult"] == "passed"
    assert schema["SchemaVersion"] == f"{last:04}"
    parameters = parameters_of(cloud)
    assert parameters[f"/shop/{name}/schema/schema-version"] == schema["SchemaVersion"]
    assert parameters[f"/shop/{name}/database/cluster-endpoint"] == database["ClusterEndpoint"]
    orders = count_of(cloud, database, "shop.orders")
    assert orders > 0

    app.assert_nothing_differs("first")
    assert app.deploy("first").stdout.count("(no changes)") == len(STACKS)

    app.deploy("second")
    schema = app.outputs(schema_stack)
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
        for resource, status, reason in app.events(schema_stack)
        if (resource, status) == MIGRATION_FAILED
    ]
    assert len(reasons) == 1, "\n\n".join(map(str, app.events(schema_stack)[-60:]))
    assert where in reasons[0]
    assert NO_SUCH_COLUMN[engine] in reasons[0]
    assert app.status_of(schema_stack) == "UPDATE_ROLLBACK_COMPLETE"
    assert app.outputs(schema_stack) == schema
    left = count_of(cloud, database, "information_schema.tables WHERE table_name = 'half_done'")
    assert left == LEFT_OF_HALF_DONE[engine]
    assert count_of(cloud, database, "shop.orders") == orders

    app.deploy("mended")  # what stands of the file already is not done again
    assert app.outputs(schema_stack)["SchemaVersion"] == f"{last + 2:04}"
    assert count_of(cloud, database, "shop.half_done") == 0
    assert count_of(cloud, database, "shop.orders") == orders

    app.destroy("mended")
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


def add_migration(app, engine, name, text):
    version = highest_version(app.directory, engine) + 1
    (app.directory / "schema" / engine / f"V{version:04}__{name}.sql").write_text(text)


def highest_version(directory, engine):
    names = os.listdir(directory / "schema" / engine)
    return max(int(found[1]) for name in names if (found := re.match(r"V(\d+)__", name)))


def parameters_of(cloud):
    found = cloud.items("ssm", "get_parameters_by_path", "Parameters", Path="/shop", Recursive=True)
    return {parameter["Name"]: parameter["Value"] for parameter in found}


def count_of(cloud, database, what):
    ((count,),) = cloud.query(
        f"SELECT count(*) FROM {what}",
        host=database["ClusterEndpoint"],
        secret=database["AdminSecretArn"],
    )
    return count
