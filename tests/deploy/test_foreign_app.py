"""An app that knows nothing of the local cloud lives on it as on AWS, by the CLI's own commands alone."""

import pytest

DUPLICATE = {"postgresql": "duplicate key value", "mysql": "Duplicate entry"}


@pytest.fixture
def app(foreign_app, engine):
    revisions = {
        "first": {"revision": "1"},
        "second": {"revision": "2"},
        "third": {"revision": "3"},
        "broken": {"revision": "3", "broken": "true"},
    }
    foreign_app.synthesize_all(**{name: given | {"engine": engine} for name, given in revisions.items()})
    foreign_app.bootstrap("first")
    return foreign_app


@pytest.mark.long
def test_its_whole_life(app, cloud, engine):
    """Create, no-op, update in place, replacement, failed update, deletion; data survive all but the last."""
    said = app.deploy("first").stdout
    assert said.count("✅") == 4, said
    database = {
        "host": app.outputs("ForeignTable")["Writer"],
        "secret": app.outputs("ForeignTable")["Secret"],
    }
    cloud.query("INSERT INTO things (id, name) VALUES (1, 'kept')", **database)

    app.assert_nothing_differs("first")
    assert app.deploy("first").stdout.count("(no changes)") == 4

    app.deploy("second")
    assert app.outputs("ForeignTable")["Columns"] == "name text, price numeric"
    assert cloud.query("SELECT name, price FROM things", **database) == [("kept", None)]
    assert app.physical_id("ForeignNotice", "Notice") == "first"

    app.deploy("third")
    assert app.physical_id("ForeignNotice", "Notice") == "second"
    assert parameters(cloud) == {"/foreign/other-notice": "revision 3"}
    assert "Delete first first" in app.log_of("ForeignNotice", "Function"), (
        "the replaced notice was not deleted"
    )
    assert ("ForeignNotice", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "") in app.events("ForeignNotice")

    for stack, reason in {"ForeignNotice": "told to fail", "ForeignTable": DUPLICATE[engine]}.items():
        before = app.outputs(stack)
        said = app.deploy("broken", stack, check=False)
        assert said.returncode == 1
        assert reason in said.stdout, said.stdout
        assert app.status_of(stack) == "UPDATE_ROLLBACK_COMPLETE"
        assert app.outputs(stack) == before
    kept = cloud.query("SELECT id, name, price, stock FROM things", **database)
    assert kept == [(1, "kept", None, None)]
    app.assert_nothing_differs("third")

    app.destroy("third")
    assert cloud.left_over() == []


def parameters(cloud):
    found = cloud.items("ssm", "get_parameters_by_path", "Parameters", Path="/foreign", Recursive=True)
    return {parameter["Name"]: parameter["Value"] for parameter in found}
