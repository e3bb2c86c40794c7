"""Clusters and instances as templates make them: real servers, and records that tell the truth about them."""

import json
import socket
import time

import psycopg2
import pytest
from moto.secretsmanager.models import secretsmanager_backends

from localcloud.aurora.managed import AuroraService
from localcloud.resources.base import ResourceFailed

from .conftest import ACCOUNT, REGION
from .shop import PASSWORD, connect, create_cluster, create_instance, query, records


@pytest.fixture
def cluster(stack):
    return create_cluster(stack)


def test_writer_and_reader_serve_at_the_endpoints_that_the_records_show(stack, cluster):
    writer = create_instance(stack, cluster, "Writer", PromotionTier=0, AvailabilityZone=f"{REGION}a")
    reader = create_instance(stack, cluster, "Reader", AvailabilityZone=f"{REGION}b")
    record = records().clusters[cluster.physical_id]
    port = int(cluster.attributes["Endpoint.Port"])

    assert port == 5432
    assert record.endpoint == cluster.attributes["Endpoint.Address"]
    assert record.reader_endpoint == cluster.attributes["ReadEndpoint.Address"]
    assert query(connect(stack, record.endpoint, port), "SELECT pg_is_in_recovery()") is False
    assert query(connect(stack, record.reader_endpoint, port), "SELECT pg_is_in_recovery()") is True
    for instance, is_reader in ((writer, False), (reader, True)):
        address = records().databases[instance.physical_id].address
        assert address == instance.attributes["Endpoint.Address"]
        assert query(connect(stack, address, port), "SELECT pg_is_in_recovery()") is is_reader
    assert {
        member["DBInstanceIdentifier"]: member["IsClusterWriter"] for member in record.db_cluster_members
    } == {writer.physical_id: True, reader.physical_id: False}
    assert cluster.attributes["DBClusterResourceId"] == record.db_cluster_resource_id
    assert set(stack.cloud.endpoints) == {
        f"cluster {cluster.physical_id}, writer",
        f"cluster {cluster.physical_id}, readers",
        f"instance {writer.physical_id}",
        f"instance {reader.physical_id}",
    }


def test_without_a_reader_the_reader_endpoint_leads_to_the_writer(stack, cluster):
    create_instance(stack, cluster)
    address, port = cluster.attributes["ReadEndpoint.Address"], cluster.attributes["Endpoint.Port"]
    assert query(connect(stack, address, port), "SELECT pg_is_in_recovery()") is False


def test_a_cluster_without_an_instance_takes_nobody(stack, cluster):
    with pytest.raises(psycopg2.OperationalError, match="not accepting connections"):
        connect(stack, cluster.attributes["Endpoint.Address"], 5432)


def test_the_data_outlive_the_instances(stack, cluster):
    create_instance(stack, cluster)
    query(connect(stack, cluster.attributes["Endpoint.Address"], 5432), "CREATE TABLE kept AS SELECT 42 AS n")
    stack.delete("Writer")
    create_instance(stack, cluster, "Another")
    assert query(connect(stack, cluster.attributes["Endpoint.Address"], 5432), "SELECT n FROM kept") == 42


def test_a_reader_takes_over_when_the_writer_is_removed(stack, cluster):
    create_instance(stack, cluster, "Writer")
    reader = create_instance(stack, cluster, "Reader")
    other = create_instance(stack, cluster, "Other", PromotionTier=15)
    address = cluster.attributes["Endpoint.Address"]
    query(connect(stack, address, 5432), "CREATE TABLE before AS SELECT 1 AS n")
    stack.delete("Writer")
    query(connect(stack, address, 5432), "CREATE TABLE after AS SELECT n FROM before")
    assert records().databases[reader.physical_id].is_cluster_writer
    assert not records().databases[other.physical_id].is_cluster_writer
    read_from = cluster.attributes["ReadEndpoint.Address"]

    def visible():
        return query(connect(stack, read_from, 5432), "SELECT to_regclass('after') IS NOT NULL")

    assert eventually(visible)
    assert query(connect(stack, read_from, 5432), "SELECT pg_is_in_recovery()") is True


def eventually(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_a_new_password_and_a_new_port_are_in_force_after_an_update(stack, cluster):
    create_instance(stack, cluster)
    updated = stack.update("Cluster", MasterUserPassword="another password", Port=15432)
    address = cluster.attributes["Endpoint.Address"]
    assert updated.attributes["Endpoint.Port"] == "15432"
    assert query(connect(stack, address, 15432, "another password"), "SELECT 1") == 1
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(stack, address, 15432, PASSWORD)
    with pytest.raises(psycopg2.OperationalError, match="Connection refused"):
        connect(stack, address, 5432, "another password")


def test_a_managed_password_is_in_a_secret_and_opens_the_database(stack):
    cluster = create_cluster(stack, ManageMasterUserPassword=True, MasterUserPassword=None)
    create_instance(stack, cluster)
    arn = cluster.attributes["MasterUserSecret.SecretArn"]
    secrets = secretsmanager_backends[ACCOUNT][REGION]
    value = json.loads(secrets.get_secret_value(arn, None, "AWSCURRENT")["SecretString"])
    assert value["username"] == "shop_admin"
    connection = connect(stack, cluster.attributes["Endpoint.Address"], 5432, value["password"])
    assert query(connection, "SELECT 1") == 1
    stack.update("Cluster", ManageMasterUserPassword=False, MasterUserPassword=PASSWORD)
    assert query(connect(stack, cluster.attributes["Endpoint.Address"], 5432), "SELECT 1") == 1
    assert arn not in secrets.secrets


def test_a_protected_cluster_is_not_deleted(stack):
    create_cluster(stack, DeletionProtection=True)
    with pytest.raises(Exception, match="Cannot delete protected Cluster"):
        stack.delete("Cluster")
    with pytest.raises(ResourceFailed, match="Cannot delete protected Cluster"):
        stack.snapshot("Cluster")
    assert AuroraService.of(stack.cloud).clusters


def test_a_deleted_cluster_leaves_no_record_no_server_no_file_and_no_address(stack, cluster):
    create_instance(stack, cluster)
    writer = AuroraService.of(stack.cloud).clusters[cluster.physical_id].cluster.writer.server
    stack.delete("Writer")
    stack.delete("Cluster")
    assert not writer.is_running
    assert not writer.directory.exists()
    assert stack.cloud.endpoints == {}
    assert cluster.physical_id not in records().clusters


def test_a_cluster_whose_port_is_taken_leaves_nothing(stack):
    with socket.create_server(("0.0.0.0", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(Exception, match=f"cannot listen at .*:{port}"):
            create_cluster(stack, Port=port, DBClusterIdentifier="portless")
    assert "portless" not in records().clusters
    assert stack.cloud.endpoints == {}
    assert not list(stack.cloud.directory.glob("db*"))


def test_a_namesake_can_follow_at_once(stack):
    for _ in range(2):
        create_cluster(stack, DBClusterIdentifier="namesake")
        stack.delete("Cluster")


def test_a_snapshot_is_on_record(stack, cluster):
    name = stack.snapshot("Cluster")
    assert records().cluster_snapshots[name].db_cluster_identifier == cluster.physical_id


def test_a_cluster_that_cannot_start_leaves_nothing(stack):
    before = dict(records().clusters)
    stack.create(
        "AWS::RDS::DBClusterParameterGroup",
        "Parameters",
        Description="d",
        Family="aurora-postgresql16",
        Parameters={"work_mem": "a lot"},
        DBClusterParameterGroupName="broken",
    )
    with pytest.raises(ResourceFailed, match="work_mem"):
        create_cluster(stack, DBClusterParameterGroupName="broken")
    assert dict(records().clusters) == before
    assert stack.cloud.endpoints == {}
    assert not list(stack.cloud.directory.glob("db*"))


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Engine": "aurora-mysql"}, "Engine aurora-mysql: no real engine stands behind it"),
        ({"EngineVersion": "17.4"}, "PostgreSQL 17 is not installed here"),
        ({"EngineVersion": "sixteen"}, "Cannot find version sixteen"),
        ({"DBClusterParameterGroupName": "missing"}, "cluster parameter group missing does not exist"),
        ({"MasterUserPassword": "short"}, "shorter than 8 characters"),
        ({"MasterUsername": ""}, "MasterUsername must be provided"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(stack, properties, reason):
    with pytest.raises(Exception, match=reason):
        create_cluster(stack, DBClusterIdentifier="refused", **properties)
    assert "refused" not in records().clusters


def test_an_instance_needs_a_cluster(stack):
    with pytest.raises(ResourceFailed, match="DBInstance without DBClusterIdentifier"):
        stack.create("AWS::RDS::DBInstance", "Lonely", Engine="postgres", DBInstanceClass="db.t3.micro")
