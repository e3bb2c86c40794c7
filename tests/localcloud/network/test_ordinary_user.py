"""An ordinary user's cloud knows whose a connection is, as root's does."""

from tests.deploy.clients import LocalCloud
from tests.deploy.test_ordinary_user import ordinary_user  # noqa: F401 - a fixture
from tests.localcloud.server.deploying import Deployed

from .conftest import PROBE, Cell, function, group, role, vpc


def test_a_function_of_an_ordinary_user_is_recognized(ordinary_user, dialect):  # noqa: F811
    cloud = LocalCloud.start(ordinary_user)
    try:
        stack = Deployed(cloud, "network")
        ids = stack.deploy(
            Role=role(),
            **vpc("", 9),
            Client=group(),
            Probe=function(PROBE, subnets=["Subnet1"], groups=["Client"]),
            Outside=function(PROBE, subnets=None, groups=[]),
        )
        cell = Cell(cloud, ids, {}, dialect)
        call = {"do": "call", "service": "kms", "operation": "list_keys"}
        assert cell.probe("Outside", **call) == "answered"
        assert f"[local cloud: kms: {ids['Vpc']} has no endpoint" in cell.probe(**call)
        stack.delete()
    finally:
        cloud.stop()
