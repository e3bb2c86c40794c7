"""Parameter groups reach the servers, and what has no effect here is said."""

import contextlib
import logging

import psycopg2
import pytest

from localcloud.resources.base import ResourceFailed

from .conftest import REGION
from .shop import PASSWORD, connect, create_cluster, create_instance, query


def create_group(stack, kind="DBClusterParameterGroup", name="shop-parameters", **parameters):
    return stack.create(
        f"AWS::RDS::{kind}",
        kind,
        Description="Parameters",
        Family="aurora-postgresql16",
        Parameters=parameters,
        **{f"{kind}Name": name},
    )


def setting(stack, cluster, name, *, reader=False, password=PASSWORD):
    address = cluster.attributes["ReadEndpoint.Address" if reader else "Endpoint.Address"]
    return query(connect(stack, address, 5432, password), f"SHOW {name}")


def test_parameters_are_in_force_on_writer_and_reader(stack):
    create_group(stack, work_mem="8192", log_min_duration_statement="1000", max_connections="150")
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster, "Writer")
    create_instance(stack, cluster, "Reader")
    for reader in (False, True):
        assert setting(stack, cluster, "work_mem", reader=reader) == "8MB"
        assert setting(stack, cluster, "log_min_duration_statement", reader=reader) == "1s"
        assert setting(stack, cluster, "max_connections", reader=reader) == "150"


@pytest.mark.parametrize("connections", ["90", "400"])
def test_a_changed_parameter_is_in_force_after_the_update_with_a_restart_if_needed(stack, connections):
    create_group(stack, work_mem="8192", max_connections="150")
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster, "Writer")
    create_instance(stack, cluster, "Reader")
    stack.update("DBClusterParameterGroup", Parameters={"work_mem": "16384", "max_connections": connections})
    for reader in (False, True):
        assert setting(stack, cluster, "work_mem", reader=reader) == "16MB"
        assert setting(stack, cluster, "max_connections", reader=reader) == connections
        address = cluster.attributes["ReadEndpoint.Address" if reader else "Endpoint.Address"]
        assert query(connect(stack, address, 5432), "SELECT pg_is_in_recovery()") is reader


def test_a_reader_that_lags_comes_up_with_smaller_limits_too(stack):
    create_group(stack, max_connections="150")
    create_group(stack, "DBParameterGroup", "lagging", recovery_min_apply_delay="1000")
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster, "Writer")
    create_instance(stack, cluster, "Reader", DBParameterGroupName="lagging")
    query(connect(stack, cluster.attributes["Endpoint.Address"], 5432), "CREATE TABLE late (n int)")
    stack.update("DBClusterParameterGroup", Parameters={"max_connections": "90"})
    assert setting(stack, cluster, "max_connections", reader=True) == "90"


def test_a_parameter_that_is_taken_away_has_its_default_again(stack):
    create_group(stack, work_mem="8192")
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster)
    stack.update("DBClusterParameterGroup", Parameters={})
    assert setting(stack, cluster, "work_mem") == "4MB"


def test_a_bad_value_fails_the_update_and_changes_nothing(stack):
    create_group(stack, work_mem="8192")
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster)
    create_instance(stack, cluster, "Reader")
    with pytest.raises(Exception, match="work_mem"):
        stack.update("DBClusterParameterGroup", Parameters={"work_mem": "a lot"})
    for reader in (False, True):
        assert setting(stack, cluster, "work_mem", reader=reader) == "8MB"


def test_an_instances_own_parameters_go_before_the_clusters(stack):
    create_group(stack, work_mem="8192")
    create_group(stack, "DBParameterGroup", "own", work_mem="16384")
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster, "Writer")
    create_instance(stack, cluster, "Reader", DBParameterGroupName="own")
    assert setting(stack, cluster, "work_mem") == "8MB"
    assert setting(stack, cluster, "work_mem", reader=True) == "16MB"
    stack.update("DBParameterGroup", Parameters={"work_mem": "32768"})
    assert setting(stack, cluster, "work_mem", reader=True) == "32MB"
    stack.update("Writer", DBParameterGroupName="own")
    assert setting(stack, cluster, "work_mem") == "32MB"


def test_force_ssl_is_enforced_and_can_be_lifted(stack):
    create_group(stack, **{"rds.force_ssl": 1})
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster)

    def plaintext():
        return psycopg2.connect(
            host=cluster.attributes["Endpoint.Address"],
            user="shop_admin",
            password=PASSWORD,
            dbname="shop",
            sslmode="disable",
        )

    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        plaintext()
    stack.update("DBClusterParameterGroup", Parameters={"rds.force_ssl": 0})
    with contextlib.closing(plaintext()) as connection:
        assert connection.info.ssl_in_use is False


def test_what_has_no_effect_here_is_said(stack, caplog):
    create_group(
        stack,
        **{
            "shared_preload_libraries": "pg_stat_statements,pgaudit",
            "pgaudit.log": "ddl",
            "rds.log_retention_period": "1440",
            "rds.force_ssl": "1",
            "shared_buffers": "{DBInstanceClassMemory/10922}",
            "apg_plan_mgmt.capture_plan_baselines": "off",
            "wal_keep_size": "1",
            "unheard_of": "1",
            "work_mem": "8192",
        },
    )
    with caplog.at_level(logging.WARNING):
        cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    said = {record.args[1]: record.args[2] for record in caplog.records if record.args}
    assert said == {
        "shared_preload_libraries": "not installed here: pg_stat_statements, pgaudit",
        "pgaudit.log": "pgaudit is not preloaded here",
        "rds.log_retention_period": "a setting of RDS itself",
        "shared_buffers": "a formula over the instance class",
        "apg_plan_mgmt.capture_plan_baselines": "apg_plan_mgmt is not preloaded here",
        "wal_keep_size": "the local cloud sets it to 1GB",
        "unheard_of": "unknown to PostgreSQL 16",
    }
    create_instance(stack, cluster)
    assert setting(stack, cluster, "work_mem") == "8MB"


@pytest.mark.parametrize("kind", ["DBClusterParameterGroup", "DBParameterGroup"])
def test_what_nobody_may_change_is_refused_all_at_once(stack, kind):
    with pytest.raises(ResourceFailed, match="The parameter fsync, port cannot be modified"):
        create_group(stack, kind, port="1", fsync="off", work_mem="1")


def test_logical_replication_sets_the_level_of_the_log(stack):
    create_group(stack, **{"rds.logical_replication": "1"})
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster)
    assert setting(stack, cluster, "wal_level") == "logical"


def test_a_subnet_group_covers_two_zones(stack, subnets):
    group = stack.create(
        "AWS::RDS::DBSubnetGroup", "Subnets", DBSubnetGroupDescription="d", SubnetIds=subnets
    )
    assert group.attributes["DBSubnetGroupArn"].endswith(f":subgrp:{group.physical_id}")
    with pytest.raises(ResourceFailed, match=f"Current AZ coverage: {REGION}a"):
        stack.create("AWS::RDS::DBSubnetGroup", "One", DBSubnetGroupDescription="d", SubnetIds=subnets[:1])
