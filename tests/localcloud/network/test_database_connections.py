"""A function reaches a cluster only where AWS would let it: security groups on both sides, and one VPC."""

import re

import pytest

from tests.localcloud.aurora.dialects import DIALECTS, answer

from .conftest import MASTER, PASSWORD, PORT, TIMEOUT_SECONDS

ADDRESS = r"10\.9\.[12]\.\d+"


def timed_out(reason):
    """Return a pattern of Lambda's own words, with the reason that only this cloud knows."""
    return (
        rf"RequestId: [0-9a-f-]+ Error: Task timed out after {TIMEOUT_SECONDS}\.00 seconds"
        rf" \[local cloud: {reason}\]"
    )


@pytest.fixture(scope="module", params=DIALECTS)
def dialect(request):
    return DIALECTS[request.param]


def connect(cell, target):
    """Connect as a developer does, and return the database's answer."""
    bundle = next(cell.server.directory.glob("localcloud-*/default/ca.pem"))
    connection = cell.dialect.connect(cell.outputs[target], PORT, MASTER, PASSWORD, bundle=bundle)
    return answer(connection, "SELECT 1")


@pytest.mark.parametrize("target", ["Cluster", "Proxy"])
def test_a_function_whose_groups_allow_it_gets_there(cell, target):
    assert cell.reach(target) == "answered"


def test_a_missing_ingress_rule_is_silence_and_then_the_timeout(cell):
    client, database = cell.ids["Client"], cell.ids["Database"]
    with cell.without("Database", "ingress", PORT):
        said = cell.reach("Cluster")
    place = f"cluster {cell.ids['Cluster']}, writer"
    rule = rf"no ingress rule of {database} allows tcp/{PORT} from {ADDRESS} \({client}\)"
    assert re.fullmatch(timed_out(f"{place}: {rule}"), said)
    assert cell.reach("Cluster") == "answered", "it is back"


def test_a_missing_egress_rule_as_well(cell):
    client, database = cell.ids["Client"], cell.ids["Database"]
    with cell.without("Client", "egress", PORT):
        said = cell.reach("Cluster")
    rule = rf"no egress rule of {client} allows tcp/{PORT} to {ADDRESS} \({database}\)"
    assert re.fullmatch(timed_out(f".*: {rule}"), said)


def test_a_proxy_has_groups_of_its_own(cell):
    with cell.without("ProxyGroup", "ingress", PORT):
        assert re.fullmatch(
            timed_out(rf"proxy shop-proxy, default, .*no ingress rule of {cell.ids['ProxyGroup']} .*"),
            cell.reach("Proxy"),
        )
        assert cell.reach("Cluster") == "answered"


def test_a_function_outside_of_any_vpc_has_no_route(cell):
    reason = (
        rf".*: the function has no VpcConfig, so it has no route to private addresses of {cell.ids['Vpc']}"
    )
    assert re.fullmatch(timed_out(reason), cell.reach("Cluster", "Outside"))


def test_a_function_of_another_vpc_has_no_route(cell):
    reason = rf".*: it is in {cell.ids['Vpc']}, and the caller in {cell.ids['OtherVpc']}"
    assert re.fullmatch(timed_out(reason), cell.reach("Cluster", "Elsewhere"))


def test_what_the_function_starts_is_the_function(cell):
    assert cell.reach("Cluster", do="connect_by_child") == "answered"
    with cell.without("Database", "ingress", PORT):
        assert "[local cloud: " in cell.reach("Cluster", do="connect_by_child")


def test_an_ipv6_socket_with_an_ipv4_address_is_the_function_too(cell):
    assert cell.reach("Cluster", do="connect_mapped") == "answered"
    with cell.without("Database", "ingress", PORT):
        assert "[local cloud: " in cell.reach("Cluster", do="connect_mapped")


def test_a_function_that_gives_up_by_itself_works_on(cell):
    with cell.without("Database", "ingress", PORT):
        assert cell.reach("Cluster", patience=0.2) == "handled"
    assert cell.reach("Cluster") == "answered"
    assert cell.probe(do="sleep", seconds=TIMEOUT_SECONDS + 5).endswith("seconds"), "that was another one"


def test_the_reason_is_in_the_functions_log_and_in_the_servers_at_once(cell):
    with cell.without("Database", "ingress", PORT):
        assert cell.reach("Cluster", patience=0.2) == "handled"
    logs = cell.server.client("logs")
    group = f"/aws/lambda/{cell.ids['Probe']}"
    lines = [event["message"] for event in logs.filter_log_events(logGroupName=group, limit=10_000)["events"]]
    assert any(line.startswith("[local cloud] no answer: cluster ") for line in lines)
    assert f"network refused function {cell.ids['Probe']}: cluster " in cell.server_log()


def test_a_developers_own_client_always_gets_through(cell):
    with cell.without("Database", "ingress", PORT):
        assert connect(cell, "Cluster") == 1


def test_a_proxy_that_does_not_reach_its_cluster_says_so(cell):
    assert connect(cell, "Proxy") == 1
    with (
        cell.without("ProxyGroup", "egress", PORT),
        pytest.raises(cell.dialect.error) as refused,
    ):
        connect(cell, "Proxy")
    assert re.search(
        r"Timed-out waiting to acquire database connection \(local cloud: the target of proxy shop-proxy:"
        rf" no egress rule of {cell.ids['ProxyGroup']} allows tcp/{PORT} to {ADDRESS}"
        rf" \({cell.ids['Database']}\)\)",
        str(refused.value),
    )
    with cell.without("Database", "ingress", PORT), pytest.raises(cell.dialect.error, match="ingress"):
        connect(cell, "Proxy")
