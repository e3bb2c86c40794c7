"""A function reaches a cluster only where AWS would let it: security groups on both sides, and one VPC."""

import re

from .conftest import PORT, TIMEOUT_SECONDS

ADDRESS = r"10\.9\.[12]\.\d+"


def timeout(reason):
    """Lambda's own words, and the reason that only this cloud knows."""
    return (
        rf"RequestId: [0-9a-f-]+ Error: Task timed out after {TIMEOUT_SECONDS}\.00 seconds"
        rf" \[local cloud: {reason}\]"
    )


def test_a_function_whose_groups_allow_it_reaches_the_cluster(cell):
    assert cell.reach("Cluster") == "S"


def test_a_missing_ingress_rule_is_silence_and_then_the_timeout(cell):
    client, database = cell.ids["Client"], cell.ids["Database"]
    with cell.without("Database", "ingress", PORT):
        said = cell.reach("Cluster")
    assert re.fullmatch(
        timeout(
            f"cluster {cell.ids['Cluster']}, writer: no ingress rule of {database} allows tcp/{PORT}"
            rf" from {ADDRESS} \({client}\)"
        ),
        said,
    )
    assert cell.reach("Cluster") == "S"
