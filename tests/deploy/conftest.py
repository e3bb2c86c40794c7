"""A local cloud of each module's own, which has to leave nothing when it ends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacks.engines import ENGINES
from tests.deploy.clients import App, LocalCloud

FOREIGN_APP = Path(__file__).parent / "foreign_app"


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Return each engine in turn, by the settings' name for it."""
    return str(request.param)


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    """Return a cloud of the module's own."""
    cloud = LocalCloud.start()
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def foreign_app(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> App:
    """Return the foreign app, in a directory of the module's own."""
    directory = tmp_path_factory.mktemp("foreign") / "app"
    shutil.copytree(FOREIGN_APP, directory)
    return App(cloud, directory)
