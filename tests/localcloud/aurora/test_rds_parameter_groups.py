"""Parameter groups reach the servers, and what has no effect here is said."""

import logging

import pytest

from localcloud.resources.base import ResourceFailed

from .conftest import REGION
from .shop import PASSWORD, connect, create_cluster, create_instance, query


def create_group(stack, kind="DBClusterParameterGroup", name="shop-parameters", **parameters):
    return stack.create(
        f"AWS::RDS::{kind}",
        kind,
        Description="Parameters",
        Family=stack.dialect.family,
        Parameters=parameters,
        **{f"{kind}Name": name},
    )


def setting(stack, cluster, name, *, reader=False, password=PASSWORD):
    address = cluster.attributes["ReadEndpoint.Address" if reader else "Endpoint.Address"]
    return str(query(connect(stack, address, password=password), stack.dialect.show(name)))


def is_reader(stack, cluster, *, reader):
    address = cluster.attributes["ReadEndpoint.Address" if reader else "Endpoint.Address"]
    return bool(query(connect(stack, address), stack.dialect.is_reader))


def one_of(dialect):
    """A parameter that an instance's group may have too, with three values as they are set and shown."""
    return {
        "aurora-postgresql": ("work_mem", {"8192": "8MB", "16384": "16MB", "32768": "32MB"}, "4MB"),
        "aurora-mysql": (
            "sort_buffer_size",
            {"300000": "300000", "400000": "400000", "500000": "500000"},
            "262144",
        ),
    }[str(dialect.engine)]


def test_parameters_are_in_force_on_writer_and_reader(stack):
    create_group(stack, **stack.dialect.parameters)
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster, "Writer")
    create_instance(stack, cluster, "Reader")
    for reader in (False, True):
        for name, shown in stack.dialect.shown.items():
            assert setting(stack, cluster, name, reader=reader) == shown


@pytest.mark.parametrize("connections", ["90", "400"])
def test_a_changed_parameter_is_in_force_after_the_update_with_a_restart_if_needed(stack, connections):
    name, values, _ = one_of(stack.dialect)
    (first, _), (second, shown), _ = values.items()
    create_group(stack, max_connections="150", **{name: first})
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster, "Writer")
    create_instance(stack, cluster, "Reader")
    stack.update("DBClusterParameterGroup", Parameters={name: second, "max_connections": connections})
    for reader in (False, True):
        assert setting(stack, cluster, name, reader=reader) == shown
        assert setting(stack, cluster, "max_connections", reader=reader) == connections
        assert is_reader(stack, cluster, reader=reader) is reader


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_reader_that_lags_comes_up_with_smaller_limits_too(stack):
    create_group(stack, max_connections="150")
    create_group(stack, "DBParameterGroup", "lagging", recovery_min_apply_delay="1000")
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster, "Writer")
    create_instance(stack, cluster, "Reader", DBParameterGroupName="lagging")
    query(connect(stack, cluster.attributes["Endpoint.Address"]), "CREATE TABLE late (n int)")
    stack.update("DBClusterParameterGroup", Parameters={"max_connections": "90"})
    assert setting(stack, cluster, "max_connections", reader=True) == "90"


def test_a_parameter_that_is_taken_away_has_its_default_again(stack):
    name, values, default = one_of(stack.dialect)
    create_group(stack, **{name: next(iter(values))})
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster)
    stack.update("DBClusterParameterGroup", Parameters={})
    assert setting(stack, cluster, name) == default


def test_a_bad_value_fails_the_update_and_changes_nothing(stack):
    name, values, _ = one_of(stack.dialect)
    (first, shown), *_ = values.items()
    create_group(stack, **{name: first})
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster)
    create_instance(stack, cluster, "Reader")
    ((_, bad_value),) = stack.dialect.bad_parameter.items()
    with pytest.raises(Exception, match=bad_value):
        stack.update("DBClusterParameterGroup", Parameters=stack.dialect.bad_parameter)
    for reader in (False, True):
        assert setting(stack, cluster, name, reader=reader) == shown


def test_an_instances_own_parameters_go_before_the_clusters(stack):
    name, values, _ = one_of(stack.dialect)
    (first, first_shown), (second, second_shown), (third, third_shown) = values.items()
    create_group(stack, **{name: first})
    create_group(stack, "DBParameterGroup", "own", **{name: second})
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster, "Writer")
    create_instance(stack, cluster, "Reader", DBParameterGroupName="own")
    assert setting(stack, cluster, name) == first_shown
    assert setting(stack, cluster, name, reader=True) == second_shown
    stack.update("DBParameterGroup", Parameters={name: third})
    assert setting(stack, cluster, name, reader=True) == third_shown
    stack.update("Writer", DBParameterGroupName="own")
    assert setting(stack, cluster, name) == third_shown


def test_tls_is_demanded_and_that_can_be_lifted(stack):
    create_group(stack, **stack.dialect.wants_tls)
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster)
    address = cluster.attributes["Endpoint.Address"]

    with stack.dialect.refuses("plaintext", "shop_admin"):
        connect(stack, address, bundle=None)
    stack.update("DBClusterParameterGroup", Parameters=stack.dialect.wants_no_tls)
    assert query(connect(stack, address, bundle=None), "SELECT 1") == 1


EFFECTLESS = {
    "aurora-postgresql": (
        {"work_mem": "8192", "rds.force_ssl": "1"},
        {
            "shared_preload_libraries": (
                "pg_stat_statements,pgaudit",
                "not installed here: pg_stat_statements, pgaudit",
            ),
            "pgaudit.log": ("ddl", "pgaudit is not preloaded here"),
            "rds.log_retention_period": ("1440", "a setting of RDS itself"),
            "shared_buffers": ("{DBInstanceClassMemory/10922}", "a formula over the instance class"),
            "apg_plan_mgmt.capture_plan_baselines": ("off", "apg_plan_mgmt is not preloaded here"),
            "wal_keep_size": ("1", "the local cloud sets it to 1GB"),
            "unheard_of": ("1", "unknown to PostgreSQL 16"),
        },
    ),
    "aurora-mysql": (
        {"require_secure_transport": "ON", "sort_buffer_size": "300000", "time_zone": "UTC"},
        {
            "server_audit_logging": ("1", "a setting of Aurora itself"),
            "server_audit_events": ("CONNECT,QUERY_DDL", "a setting of Aurora itself"),
            "aurora_parallel_query": ("ON", "a setting of Aurora itself"),
            "innodb_buffer_pool_size": (
                "{DBInstanceClassMemory*3/4}",
                "a formula over the instance class",
            ),
            "binlog_format": ("MIXED", "readers follow by rows here, and the binary log is always on"),
            "gtid-mode": ("OFF", "readers follow by GTID here"),
            "tls_version": ("TLSv1.3", "the endpoints take TLSv1.2 and TLSv1.3"),
        },
    ),
}


def test_what_has_no_effect_here_is_said(stack, caplog):
    in_force, effectless = EFFECTLESS[str(stack.dialect.engine)]
    create_group(stack, **in_force, **{name: value for name, (value, _) in effectless.items()})
    with caplog.at_level(logging.WARNING):
        cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    said = {record.args[1]: record.args[2] for record in caplog.records if record.args}
    assert said == {name: reason for name, (_, reason) in effectless.items()}
    create_instance(stack, cluster)
    name, values, _ = one_of(stack.dialect)
    assert setting(stack, cluster, name) == next(iter(values.values()))


@pytest.mark.parametrize("kind", ["DBClusterParameterGroup", "DBParameterGroup"])
def test_what_nobody_may_change_is_refused(stack, kind):
    with pytest.raises(ResourceFailed, match="The parameter port cannot be modified"):
        create_group(stack, kind, max_connections="90", port="1")


@pytest.mark.parametrize("dialect", ["mysql"], indirect=True)
def test_a_parameter_that_the_family_has_not_is_refused(stack):
    for kind, name in (
        ("DBClusterParameterGroup", "query_cache_size"),
        ("DBClusterParameterGroup", "work_mem"),
        ("DBParameterGroup", "require_secure_transport"),  # the cluster's alone
    ):
        with pytest.raises(ResourceFailed, match=f"Could not find parameter with name: {name}"):
            create_group(stack, kind, **{name: "1"})


@pytest.mark.parametrize("family", ["aurora-mysql5.7", "aurora-mysql", "mysql8.0", "aurora-postgresqlx"])
def test_a_family_that_is_none_is_refused(stack, family):
    with pytest.raises(ResourceFailed, match=f"DBParameterGroupFamily {family} is not a valid parameter"):
        stack.create("AWS::RDS::DBParameterGroup", "Bad", Description="d", Family=family, Parameters={})


def test_a_group_of_another_family_does_not_fit(stack):
    other = next(
        one for one in ("aurora-mysql8.4", "aurora-postgresql18") if str(stack.dialect.engine) in one
    )
    for kind in ("DBClusterParameterGroup", "DBParameterGroup"):
        stack.create(
            f"AWS::RDS::{kind}",
            kind,
            Description="d",
            Family=other,
            Parameters={},
            **{f"{kind}Name": "other"},
        )
    wanted = f"{other} cannot be used for this instance.* DBParameterGroupFamily {stack.dialect.family}"
    with pytest.raises(ResourceFailed, match=wanted):
        create_cluster(stack, DBClusterParameterGroupName="other")
    cluster = create_cluster(stack)
    with pytest.raises(ResourceFailed, match=wanted):
        create_instance(stack, cluster, DBParameterGroupName="other")


@pytest.mark.parametrize("dialect", ["mysql"], indirect=True)
def test_what_the_endpoints_do_anyway_is_not_said(stack, caplog):
    create_group(stack, require_secure_transport="1", tls_version="TLSv1.2,TLSv1.3", time_zone="UTC")
    with caplog.at_level(logging.WARNING):
        create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    assert not caplog.records


@pytest.mark.parametrize("dialect", ["mysql"], indirect=True)
def test_functions_need_trust_only_where_the_template_turns_the_binary_log_on(stack):
    create_group(stack)
    cluster = create_cluster(stack, DBClusterParameterGroupName="shop-parameters")
    create_instance(stack, cluster)
    function = "CREATE FUNCTION shop.f() RETURNS int READS SQL DATA SQL SECURITY INVOKER RETURN 1"
    careless = function.replace("READS SQL DATA ", "").replace("f()", "g()")
    address = cluster.attributes["Endpoint.Address"]
    query(connect(stack, address), careless)
    stack.update("DBClusterParameterGroup", Parameters={"binlog_format": "ROW"})
    with pytest.raises(stack.dialect.error, match=r"1418|1419"):
        query(connect(stack, address), careless.replace("g()", "h()"))


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
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
