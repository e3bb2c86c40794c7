"""Two local clouds on one machine: the same app on both at the same time, and neither notices the other."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.deploy.clients import App, LocalCloud


@pytest.fixture
def other_cloud():
    cloud = LocalCloud.start()
    yield cloud
    cloud.stop()


def test_the_same_app_on_two_clouds(foreign_app, other_cloud, engine):
    foreign_app.synthesize("app", engine=engine)
    apps = [foreign_app, App(other_cloud, foreign_app.directory)]
    with ThreadPoolExecutor() as pool:
        databases = list(pool.map(deployed_database, apps))
    assert databases[0]["host"] != databases[1]["host"]
    ours, theirs = (app.cloud for app in apps)
    ours.query("INSERT INTO things (id) VALUES (1)", **databases[0])
    assert theirs.query("SELECT count(*) FROM things", **databases[1]) == [(0,)]

    foreign_app.destroy("app")
    assert ours.left_over() == []
    assert theirs.query("SELECT count(*) FROM things", **databases[1]) == [(0,)]


def deployed_database(app):
    app.bootstrap("app")
    app.deploy("app")
    outputs = app.outputs("ForeignTable")
    return {"host": outputs["Writer"], "secret": outputs["Secret"]}
