"""Clusters and instances as templates make them: real servers, and records that tell the truth about them."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from moto.secretsmanager.models import secretsmanager_backends

from localcloud.aurora.engines import ENGINES
from localcloud.aurora.managed import AuroraService
from localcloud.aurora.mysql_programs import MysqlPrograms
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.resources.base import ResourceFailed

from .conftest import ACCOUNT, REGION
from .shop import PASSWORD, connect, create_cluster, create_instance, eventually, query, records


@pytest.fixture
def cluster(stack):
    return create_cluster(stack)


def test_writer_and_reader_serve_at_the_endpoints_that_the_records_show(stack, cluster):
    writer = create_instance(stack, cluster, "Writer", PromotionTier=0, AvailabilityZone=f"{REGION}a")
    reader = create_instance(stack, cluster, "Reader", AvailabilityZone=f"{REGION}b")
    record = records().clusters[cluster.physical_id]
    port = int(cluster.attributes["Endpoint.Port"])

    assert port == stack.dialect.port
    assert record.endpoint == cluster.attributes["Endpoint.Address"]
    assert record.reader_endpoint == cluster.attributes["ReadEndpoint.Address"]
    assert query(connect(stack, record.endpoint, port), stack.dialect.is_reader) == 0
    assert query(connect(stack, record.reader_endpoint, port), stack.dialect.is_reader) == 1
    for instance, is_reader in ((writer, False), (reader, True)):
        address = records().databases[instance.physical_id].address
        assert address == instance.attributes["Endpoint.Address"]
        assert query(connect(stack, address, port), stack.dialect.is_reader) == is_reader
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
    assert query(connect(stack, address, port), stack.dialect.is_reader) == 0


def test_readers_can_be_created_at_once(stack, cluster):
    create_instance(stack, cluster)
    names = ("First", "Second", "Third")
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(create_instance, stack, cluster, name) for name in names]
    addresses = {one.result().attributes["Endpoint.Address"] for one in made}
    assert len(addresses) == 3
    for address in addresses:
        assert query(connect(stack, address), stack.dialect.is_reader) == 1


def test_a_cluster_without_an_instance_takes_nobody(stack, cluster):
    with stack.dialect.refuses("nothing runs"):
        connect(stack, cluster.attributes["Endpoint.Address"])


def test_the_data_outlive_the_instances(stack, cluster):
    create_instance(stack, cluster)
    address = cluster.attributes["Endpoint.Address"]
    query(connect(stack, address), stack.dialect.create_table.format(table="kept", value=42))
    stack.delete("Writer")
    create_instance(stack, cluster, "Another")
    assert query(connect(stack, address), "SELECT n FROM kept") == 42


def test_a_reader_takes_over_when_the_writer_is_removed(stack, cluster):
    create_instance(stack, cluster, "Writer")
    reader = create_instance(stack, cluster, "Reader")
    other = create_instance(stack, cluster, "Other", PromotionTier=15)
    address = cluster.attributes["Endpoint.Address"]
    query(connect(stack, address), stack.dialect.create_table.format(table="kept", value=1))
    stack.delete("Writer")
    assert query(connect(stack, address), "SELECT n FROM kept") == 1
    query(connect(stack, address), stack.dialect.create_table.format(table="later", value=2))
    assert records().databases[reader.physical_id].is_cluster_writer
    assert not records().databases[other.physical_id].is_cluster_writer
    read_from = cluster.attributes["ReadEndpoint.Address"]

    def visible():
        return query(connect(stack, read_from), stack.dialect.table_exists.format(table="later"))

    assert eventually(visible)
    assert query(connect(stack, read_from), stack.dialect.is_reader) == 1


def test_a_new_password_and_a_new_port_are_in_force_after_an_update(stack, cluster):
    create_instance(stack, cluster)
    updated = stack.update("Cluster", MasterUserPassword="another password", Port=15432)
    address = cluster.attributes["Endpoint.Address"]
    assert updated.attributes["Endpoint.Port"] == "15432"
    assert query(connect(stack, address, 15432, "another password"), "SELECT 1") == 1
    with stack.dialect.refuses("password", "shop_admin"):
        connect(stack, address, 15432, PASSWORD)
    with stack.dialect.refuses("closed"):
        connect(stack, address, password="another password")


def test_a_managed_password_is_in_a_secret_and_opens_the_database(stack):
    cluster = create_cluster(stack, ManageMasterUserPassword=True, MasterUserPassword=None)
    create_instance(stack, cluster)
    arn = cluster.attributes["MasterUserSecret.SecretArn"]
    secrets = secretsmanager_backends[ACCOUNT][REGION]
    value = json.loads(secrets.get_secret_value(arn, None, "AWSCURRENT")["SecretString"])
    assert value["username"] == "shop_admin"
    connection = connect(stack, cluster.attributes["Endpoint.Address"], password=value["password"])
    assert query(connection, "SELECT 1") == 1
    stack.update("Cluster", ManageMasterUserPassword=False, MasterUserPassword=PASSWORD)
    assert query(connect(stack, cluster.attributes["Endpoint.Address"]), "SELECT 1") == 1
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
        Family=stack.dialect.family,
        Parameters=stack.dialect.bad_parameter,
        DBClusterParameterGroupName="broken",
    )
    with pytest.raises(ResourceFailed, match=next(iter(stack.dialect.bad_parameter.values()))):
        create_cluster(stack, DBClusterParameterGroupName="broken")
    assert dict(records().clusters) == before
    assert stack.cloud.endpoints == {}
    assert not list(stack.cloud.directory.glob("db*"))


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Engine": "aurora-oracle"}, "Engine aurora-oracle: no real engine stands behind it"),
        ({"EngineVersion": "sixteen"}, "Cannot find version sixteen"),
        ({"EngineMode": "serverless"}, "The engine mode serverless you requested is currently unavailable"),
        ({"DBClusterParameterGroupName": "missing"}, "cluster parameter group missing does not exist"),
        ({"DBClusterParameterGroupName": "default.aurora-mysql5.7"}, "cannot be used for this instance"),
        ({"EnableCloudwatchLogsExports": ["trace"]}, "You cannot use the log types 'trace'"),
        ({"MasterUserPassword": "short"}, "shorter than 8 characters"),
        ({"MasterUserPassword": "x" * 100}, "because it is longer than"),
        ({"MasterUsername": ""}, "MasterUsername must be provided"),
        ({"MasterUsername": "rdsadmin"}, "rdsadmin cannot be used as it is a reserved word"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(stack, properties, reason):
    with pytest.raises(Exception, match=reason):
        create_cluster(stack, DBClusterIdentifier="refused", **properties)
    assert "refused" not in records().clusters


@pytest.mark.parametrize(
    ("engine", "version", "reason"),
    [
        ("aurora-postgresql", "17.4", "PostgreSQL 17 is not installed here"),
        ("aurora-postgresql", "8.0.mysql_aurora.3.12.0", "log types|Cannot find|is not installed here"),
        ("aurora-mysql", "16.13", "Cannot find version 16.13 for aurora-mysql"),
        ("aurora-mysql", "5.7.mysql_aurora.2.12.0", "Cannot find version 5.7.mysql_aurora.2.12.0"),
        ("aurora-mysql", "8.0.mysql_aurora.8.4.7", "Cannot find version 8.0.mysql_aurora.8.4.7"),
    ],
)
@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_version_of_another_engine_is_refused(stack, engine, version, reason):
    with pytest.raises(ResourceFailed, match=reason):
        create_cluster(stack, DBClusterIdentifier="refused", Engine=engine, EngineVersion=version)
    assert "refused" not in records().clusters


def test_every_log_of_the_engine_can_be_exported(stack):
    create_cluster(stack, EnableCloudwatchLogsExports=sorted(stack.dialect.engine.logs))


def test_an_instance_is_of_its_clusters_engine(stack, cluster):
    other = next(name for name in ENGINES if name != str(stack.dialect.engine))
    with pytest.raises(ResourceFailed, match=rf"DB instance \({other}\) doesn't match the engine name"):
        create_instance(stack, cluster, Engine=other)


def test_only_aurora_mysql_can_be_taken_back_in_time(stack):
    if stack.dialect.engine.has_backtrack:
        create_cluster(stack, BacktrackWindow=86_400)
        stack.update("Cluster", BacktrackWindow=3600)
        (record,) = [one for one in records().clusters.values() if one.engine == "aurora-mysql"]
        assert record.backtrack_window == 3600
    else:
        with pytest.raises(ResourceFailed, match="Backtrack is not enabled for the aurora-postgresql engine"):
            create_cluster(stack, BacktrackWindow=86_400)


def test_going_back_in_time_is_decided_when_a_cluster_is_created(stack, cluster):
    with pytest.raises(ResourceFailed, match="Backtrack is not enabled for"):
        stack.update("Cluster", BacktrackWindow=3600)


def test_status_says_what_runs_as_the_cluster(stack, cluster):
    said = stack.cloud.databases[cluster.physical_id]
    assert said.startswith(f"{stack.dialect.engine} {stack.dialect.release}, served by ")
    stack.delete("Cluster")
    assert stack.cloud.databases == {}


@pytest.mark.parametrize("dialect", ["mysql"], indirect=True)
def test_the_events_of_a_cluster_show_that_its_server_is_fetched_first(stack, monkeypatch):
    told = []

    def fetched(tell):
        tell("fetching MySQL")
        raise ProgramFailed("no way to get one")

    monkeypatch.setattr(MysqlPrograms, "find", fetched)
    monkeypatch.setattr(stack, "tell", told.append)
    with pytest.raises(ResourceFailed, match="no way to get one"):
        create_cluster(stack, DBClusterIdentifier="unfetched")
    assert told == ["fetching MySQL"]
    assert "unfetched" not in records().clusters


def test_an_instance_needs_a_cluster(stack):
    with pytest.raises(ResourceFailed, match="DBInstance without DBClusterIdentifier"):
        stack.create("AWS::RDS::DBInstance", "Lonely", Engine="postgres", DBInstanceClass="db.t3.micro")
