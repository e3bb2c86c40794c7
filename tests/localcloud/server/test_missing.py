"""What the local cloud does not know, it says at once, in the service's own form of an error."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.server.machine import Machine


@pytest.mark.parametrize(
    ("service", "operation"),
    [("rds", "describe_db_cluster_automated_backups"), ("logs", "list_anomalies")],
)
def test_an_operation_that_is_not_implemented_is_an_error_of_the_caller_s(
    server: Machine, service: str, operation: str
):
    with pytest.raises(ClientError) as refused:
        getattr(server.client(service), operation)()
    assert refused.value.response["Error"]["Code"] == "UnsupportedOperation"
    assert operation in refused.value.response["Error"]["Message"]
    answered = refused.value.response["ResponseMetadata"]
    assert (answered["HTTPStatusCode"], answered["RetryAttempts"]) == (400, 0)


def test_a_cluster_that_is_not_there_is_not_modified(server: Machine):
    with pytest.raises(ClientError) as refused:
        server.client("rds").modify_db_cluster(DBClusterIdentifier="nowhere", DeletionProtection=False)
    assert refused.value.response["Error"]["Code"] == "DBClusterNotFoundFault"
