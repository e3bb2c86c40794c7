"""An app that knows nothing of the local cloud lives on it as on AWS, by the CLI's own commands alone."""

from pathlib import Path

import pytest

FOREIGN_APP = Path(__file__).parent / "foreign_app"


@pytest.fixture(scope="module")
def app(cloud, copy_of):
    app = App(cloud, copy_of(FOREIGN_APP))
    app.cdk("bootstrap")
    return app


def test_notice():
    """Deploy, diff, no-op, update in place, replacement, failed update, destroy: without a database."""
