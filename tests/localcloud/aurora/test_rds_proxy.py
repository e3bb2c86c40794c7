"""A proxy from a template: TLS, secrets, tokens, writer and readers."""

import json

import boto3
import pytest
from moto.secretsmanager.models import secretsmanager_backends

from localcloud import operator_key
from localcloud.aurora.engines import ENGINES
from localcloud.aurora.managed import AuroraService
from localcloud.functions.credentials import mint
from localcloud.resources.base import ResourceFailed
from tests.localcloud.roles import allow, role_with

from .conftest import ACCOUNT, REGION
from .shop import connect, create_cluster, create_instance, query, records

DATABASE_USERS = f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser"


PROXY_RIGHTS = (
    allow("rds-db:connect", f"{DATABASE_USERS}:cluster-*/app"),
    allow("secretsmanager:GetSecretValue"),
)
CALLER_RIGHTS = (allow("rds-db:connect", f"{DATABASE_USERS}:prx-*/*"),)


@pytest.fixture
def cluster(stack):
    cluster = create_cluster(stack)
    create_instance(stack, cluster)
    server = AuroraService.of(stack.cloud).clusters[cluster.physical_id].cluster.writer.server
    stack.dialect.run(server, *stack.dialect.create_token_user, user="app")
    stack.dialect.run(server, *stack.dialect.create_password_user, user="legacy", password="legacy password")
    return cluster


def create_proxy(stack, cluster, subnets, **properties):
    proxy = stack.create(
        "AWS::RDS::DBProxy",
        "Proxy",
        **{
            "DBProxyName": "shop-proxy",
            "EngineFamily": stack.dialect.engine.family,
            "RoleArn": role_with(ACCOUNT, *PROXY_RIGHTS),
            "VpcSubnetIds": subnets,
            "RequireTLS": True,
            "DefaultAuthScheme": "IAM_AUTH",
            **properties,
        },
    )
    stack.create(
        "AWS::RDS::DBProxyTargetGroup",
        "Targets",
        DBProxyName="shop-proxy",
        TargetGroupName="default",
        DBClusterIdentifiers=[cluster.physical_id],
        ConnectionPoolConfigurationInfo={"MaxConnectionsPercent": 90, "MaxIdleConnectionsPercent": 10},
    )
    return proxy


def create_secret(username, password):
    secrets = secretsmanager_backends[ACCOUNT][REGION]
    value = json.dumps({"username": username, "password": password})
    secret, _ = secrets._add_secret(f"proxy-{username}-{len(secrets.secrets)}", secret_string=value)
    return secret.arn


def token(stack, host, user, rights=CALLER_RIGHTS):
    session = mint(role_with(ACCOUNT, *rights), session_name="function", region=REGION)
    client = boto3.Session(
        session.access_key_id, session.secret_access_key, session.session_token, region_name=REGION
    ).client("rds")
    return client.generate_db_auth_token(host, stack.dialect.port, user)


def test_end_to_end_iam_admits_by_the_token_of_a_minted_session(stack, cluster, subnets):
    host = create_proxy(stack, cluster, subnets).attributes["Endpoint"]
    assert (
        query(connect(stack, host, None, token(stack, host, "app"), "app"), stack.dialect.current_user)
        == "app"
    )


@pytest.mark.parametrize(
    "rights",
    [
        [],
        [allow("rds-db:connect", f"{DATABASE_USERS}:prx-*/another")],
        [allow("rds-db:connect", f"{DATABASE_USERS}:cluster-*/app")],
        [*CALLER_RIGHTS, {**allow("rds-db:*"), "Effect": "Deny"}],
    ],
)
def test_a_caller_without_the_right_on_this_proxy_and_user_is_refused(stack, cluster, subnets, rights):
    host = create_proxy(stack, cluster, subnets).attributes["Endpoint"]
    with stack.dialect.refuses("proxy: token", "app"):
        connect(stack, host, None, token(stack, host, "app", rights=rights), "app")


def test_without_a_proxy_the_right_is_asked_for_on_the_cluster_itself(stack, cluster):
    host = cluster.attributes["Endpoint.Address"]
    resource = cluster.attributes["DBClusterResourceId"]

    def log_in(*rights):
        return connect(stack, host, None, token(stack, host, "app", rights=rights), "app")

    exact = allow("rds-db:connect", f"{DATABASE_USERS}:{resource}/app")
    assert query(log_in(exact), stack.dialect.current_user) == "app"
    others = (
        (),
        CALLER_RIGHTS,
        [allow("rds-db:connect", f"{DATABASE_USERS}:{resource}/another")],
        [allow("rds-db:connect", f"{DATABASE_USERS}:cluster-ANOTHER/app")],
        [exact, {**exact, "Effect": "Deny"}],
    )
    for rights in others:
        with stack.dialect.refuses("token", "app"):
            log_in(*rights)


@pytest.mark.parametrize(
    "role",
    [
        {"rights": []},
        {"rights": [allow("rds-db:connect", f"{DATABASE_USERS}:prx-*/app")]},
        {"rights": PROXY_RIGHTS, "trusted": ("lambda.amazonaws.com",)},
    ],
)
def test_a_proxy_whose_role_may_not_log_in_to_the_cluster_lets_nobody_in(stack, cluster, subnets, role):
    role = dict(role)
    rights = role.pop("rights")
    proxy = create_proxy(stack, cluster, subnets, RoleArn=role_with(ACCOUNT, *rights, **role))
    host = proxy.attributes["Endpoint"]
    with stack.dialect.refuses("proxy: database refuses token"):
        connect(stack, host, None, token(stack, host, "app"), "app")


@pytest.mark.parametrize(
    "role",
    [
        {"rights": []},
        {"rights": [allow("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:another-*")]},
        {"rights": PROXY_RIGHTS, "trusted": ("lambda.amazonaws.com",)},
    ],
)
def test_a_proxy_whose_role_may_not_read_a_secret_has_no_credentials(stack, cluster, subnets, role):
    auth = {"AuthScheme": "SECRETS", "SecretArn": create_secret("legacy", "legacy password")}
    role = dict(role)
    rights = role.pop("rights")
    proxy = create_proxy(
        stack,
        cluster,
        subnets,
        DefaultAuthScheme="NONE",
        Auth=[auth],
        RoleArn=role_with(ACCOUNT, *rights, **role),
    )
    with stack.dialect.refuses("proxy: no credentials", "legacy"):
        connect(stack, proxy.attributes["Endpoint"], None, "legacy password", "legacy")


def test_whoever_runs_the_cloud_signs_tokens_too(stack, cluster, subnets):
    host = create_proxy(stack, cluster, subnets).attributes["Endpoint"]
    client = boto3.client(
        "rds",
        region_name=REGION,
        aws_access_key_id=operator_key.ACCESS_KEY_ID,
        aws_secret_access_key=operator_key.SECRET_ACCESS_KEY,
    )
    signed = client.generate_db_auth_token(host, stack.dialect.port, "app")
    assert query(connect(stack, host, None, signed, "app"), stack.dialect.current_user) == "app"


@pytest.mark.parametrize("password", ["a password", None])
def test_end_to_end_iam_refuses_passwords_and_tokens_for_the_cluster(stack, cluster, subnets, password):
    host = create_proxy(stack, cluster, subnets).attributes["Endpoint"]
    password = password or token(stack, cluster.attributes["Endpoint.Address"], "app")
    with stack.dialect.refuses("proxy: token", "app"):
        connect(stack, host, None, password, "app")


def test_end_to_end_iam_needs_a_member_of_rds_iam(stack, cluster, subnets):
    host = create_proxy(stack, cluster, subnets).attributes["Endpoint"]
    with stack.dialect.refuses("proxy: database refuses password"):
        connect(stack, host, None, token(stack, host, "legacy"), "legacy")


def test_plaintext_is_refused_in_the_words_of_the_proxy(stack, cluster, subnets):
    host = create_proxy(stack, cluster, subnets).attributes["Endpoint"]
    with stack.dialect.refuses("proxy: plaintext"):
        connect(stack, host, user="app", password="x", bundle=None)


def test_a_secret_admits_its_user_by_password_and_nobody_else(stack, cluster, subnets):
    auth = [{"AuthScheme": "SECRETS", "SecretArn": create_secret("legacy", "legacy password")}]
    proxy = create_proxy(stack, cluster, subnets, Auth=auth, DefaultAuthScheme="NONE", RequireTLS=False)
    host = proxy.attributes["Endpoint"]
    assert query(connect(stack, host, None, "legacy password", "legacy"), "SELECT 1") == 1
    with stack.dialect.refuses("proxy: database refuses password"):
        connect(stack, host, None, "wrong", "legacy")
    with stack.dialect.refuses("proxy: no credentials", "app"):
        connect(stack, host, None, token(stack, host, "app"), "app")


def test_a_secret_with_required_iam_takes_a_token_and_logs_in_with_the_password(stack, cluster, subnets):
    arn = create_secret("legacy", "legacy password")
    auth = [{"AuthScheme": "SECRETS", "SecretArn": arn, "IAMAuth": "REQUIRED"}]
    proxy = create_proxy(stack, cluster, subnets, Auth=auth, DefaultAuthScheme="NONE")
    host = proxy.attributes["Endpoint"]
    assert (
        query(connect(stack, host, None, token(stack, host, "legacy"), "legacy"), stack.dialect.current_user)
        == "legacy"
    )
    with stack.dialect.refuses("proxy: token", "legacy"):
        connect(stack, host, None, "legacy password", "legacy")

    server = AuroraService.of(stack.cloud).clusters[cluster.physical_id].cluster.writer.server
    change = stack.dialect.change_password  # in the database, not in the secret
    stack.dialect.run(server, change, user="legacy", password="rotated")
    with stack.dialect.refuses("proxy: database refuses password"):
        connect(stack, host, None, token(stack, host, "legacy"), "legacy")
    value = json.dumps({"username": "legacy", "password": "rotated"})
    secrets = secretsmanager_backends[ACCOUNT][REGION]
    secrets.put_secret_value(arn, value, None, None, ["AWSCURRENT"])
    assert query(connect(stack, host, None, token(stack, host, "legacy"), "legacy"), "SELECT 1") == 1


def test_the_read_only_endpoint_leads_to_readers_and_nowhere_without_one(stack, cluster, subnets):
    create_proxy(stack, cluster, subnets)
    endpoint = stack.create(
        "AWS::RDS::DBProxyEndpoint",
        "ReadOnly",
        DBProxyName="shop-proxy",
        DBProxyEndpointName="shop-read-only",
        VpcSubnetIds=subnets,
        TargetRole="READ_ONLY",
    )
    host = endpoint.attributes["Endpoint"]
    with pytest.raises(
        stack.dialect.error, match=stack.dialect.said("proxy: no target") + ".* has no reader"
    ):
        connect(stack, host, None, token(stack, host, "app"), "app")
    create_instance(stack, cluster, "Reader")
    connection = connect(stack, host, None, token(stack, host, "app"), "app")
    assert query(connection, stack.dialect.is_reader) == 1


def test_the_records_show_the_proxy_its_target_and_its_endpoints(stack, cluster, subnets, api):
    proxy = create_proxy(stack, cluster, subnets)
    stack.create(
        "AWS::RDS::DBProxyEndpoint",
        "ReadOnly",
        DBProxyName="shop-proxy",
        DBProxyEndpointName="shop-read-only",
        VpcSubnetIds=subnets,
        TargetRole="READ_ONLY",
    )
    shown = api.describe_db_proxies(DBProxyName="shop-proxy")["DBProxies"][0]
    assert shown["Endpoint"] == proxy.attributes["Endpoint"]
    assert shown["DBProxyArn"] == proxy.attributes["DBProxyArn"]
    group = api.describe_db_proxy_target_groups(DBProxyName="shop-proxy")["TargetGroups"][0]
    assert group["ConnectionPoolConfig"]["MaxConnectionsPercent"] == 90
    target = api.describe_db_proxy_targets(DBProxyName="shop-proxy")["Targets"][0]
    assert (target["RdsResourceId"], target["Port"]) == (cluster.physical_id, stack.dialect.port)
    endpoint = api.describe_db_proxy_endpoints(DBProxyName="shop-proxy")["DBProxyEndpoints"][0]
    assert endpoint["TargetRole"] == "READ_ONLY"
    assert endpoint["Endpoint"] != shown["Endpoint"]
    clusters = api.describe_db_clusters(DBClusterIdentifier=cluster.physical_id)["DBClusters"]
    assert clusters[0]["Endpoint"] == cluster.attributes["Endpoint.Address"]
    assert clusters[0]["IAMDatabaseAuthenticationEnabled"] is True
    instances = api.describe_db_instances()["DBInstances"]
    assert [one["Endpoint"]["Port"] for one in instances] == [stack.dialect.port]
    assert records().db_proxies["shop-proxy"].unique_id in shown["DBProxyArn"]


def test_a_changed_setting_holds_for_the_next_connection(stack, cluster, subnets):
    host = create_proxy(stack, cluster, subnets).attributes["Endpoint"]
    arn = create_secret("legacy", "legacy password")
    stack.update("Proxy", Auth=[{"AuthScheme": "SECRETS", "SecretArn": arn}], DefaultAuthScheme="NONE")
    assert query(connect(stack, host, None, "legacy password", "legacy"), "SELECT 1") == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"EngineFamily": "SQLSERVER"}, "only POSTGRESQL and MYSQL have a real engine here"),
        ({"DefaultAuthScheme": "NONE"}, "Auth must be given"),
        ({"RequireTLS": False}, "RequireTLS must be true"),
    ],
)
def test_what_cannot_be_is_refused(stack, cluster, subnets, changes, reason):
    with pytest.raises(ResourceFailed, match=reason):
        create_proxy(stack, cluster, subnets, **changes)


def test_a_proxy_leads_to_a_cluster_of_its_own_family_only(stack, cluster, subnets):
    other = next(one for one in ENGINES.values() if one is not stack.dialect.engine)
    with pytest.raises(
        ResourceFailed, match=f"engine family {other.family} of proxy shop-proxy does not fit"
    ):
        create_proxy(stack, cluster, subnets, EngineFamily=other.family)


def test_a_target_group_needs_proxy_and_cluster(stack, cluster, subnets):
    create_proxy(stack, cluster, subnets)
    group = {"TargetGroupName": "default", "DBClusterIdentifiers": [cluster.physical_id]}
    for changes, reason in (
        ({"DBProxyName": "missing"}, "DBProxy not found"),
        ({"DBClusterIdentifiers": ["missing"]}, "DBCluster missing not found"),
        ({"DBInstanceIdentifiers": ["x"]}, "one Aurora cluster"),
        ({"TargetGroupName": "second"}, "named default"),
    ):
        with pytest.raises(ResourceFailed, match=reason):
            stack.create(
                "AWS::RDS::DBProxyTargetGroup", "Refused", **{"DBProxyName": "shop-proxy", **group, **changes}
            )
