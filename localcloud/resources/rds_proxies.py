"""AWS::RDS::DBProxy with target group and endpoints: records in moto, real endpoints before a cluster."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, ClassVar

from moto.ec2.models import ec2_backends
from moto.secretsmanager.models import secretsmanager_backends

from localcloud.aurora import proxy as aurora_proxy
from localcloud.aurora.engines import ENGINES, Engine
from localcloud.aurora.managed import AuroraService, Identity, ManagedProxy
from localcloud.aurora.proxy import ProxySettings, SecretUser
from localcloud.authorization import services_acting
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import flag, tag_list
from localcloud.resources.rds_records import backend

_log = logging.getLogger(__name__)


class Proxy(Handler):
    """A proxy with its default endpoint, which opens when a target group names the cluster."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "Auth",
            "DBProxyName",
            "DefaultAuthScheme",
            "EngineFamily",
            "RequireTLS",
            "RoleArn",
            "Tags",
            "VpcSecurityGroupIds",
            "VpcSubnetIds",
        }
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset(
        {"DebugLogging", "EndpointNetworkType", "IdleClientTimeout", "TargetConnectionNetworkType"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the record and the default endpoint's address."""
        given, name = request.properties, request.properties["DBProxyName"]
        _check(given)
        record = backend(request).create_db_proxy(
            db_proxy_name=name,
            engine_family=given["EngineFamily"],
            auth=given.get("Auth", []),
            role_arn=given["RoleArn"],
            vpc_subnet_ids=given["VpcSubnetIds"],
            vpc_security_group_ids=given.get("VpcSecurityGroupIds"),
            require_tls=flag(given, "RequireTLS"),
            idle_client_timeout=given.get("IdleClientTimeout"),
            debug_logging=flag(given, "DebugLogging"),
            tags=tag_list(given),
        )
        record.default_auth_scheme = given.get("DefaultAuthScheme", "NONE")
        managed = ManagedProxy(
            AuroraService.of(request.cloud),
            aurora_proxy.Proxy(name, _engine(given), _settings(request)),
            Identity(request.region, request.account, record.unique_id),
        )
        record.endpoint = managed.default_address
        attributes = {"DBProxyArn": record.arn, "Endpoint": record.endpoint, "VpcId": record.vpc_id}
        return Provisioned(name, attributes, managed)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change authentication, TLS and role, for connections from now on."""
        given = request.properties
        _check(given)
        record, managed = backend(request).db_proxies[current.physical_id], _managed(current)
        managed.proxy.settings = _settings(request)
        record.auth = given.get("Auth", [])
        record.role_arn = given["RoleArn"]
        record.require_tls = flag(given, "RequireTLS")
        record.debug_logging = flag(given, "DebugLogging")
        record.idle_client_timeout = int(given.get("IdleClientTimeout") or 1800)
        record.default_auth_scheme = given.get("DefaultAuthScheme", "NONE")
        record.vpc_security_group_ids = given.get("VpcSecurityGroupIds") or record.vpc_security_group_ids
        record.tags = tag_list(given)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the proxy with all its endpoints."""
        _managed(current).close()
        backend(request).db_proxies.pop(current.physical_id, None)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the proxy as RDS describes it."""
        record = backend(request).db_proxies.get(current.physical_id)
        if record is None:
            return None
        return {
            "Auth": record.auth,
            "DBProxyName": record.db_proxy_name,
            "DebugLogging": record.debug_logging,
            "DefaultAuthScheme": record.default_auth_scheme,
            "EngineFamily": record.engine_family,
            "IdleClientTimeout": record.idle_client_timeout,
            "RequireTLS": record.require_tls,
            "RoleArn": record.role_arn,
            "Tags": record.tags,
            "VpcSecurityGroupIds": record.vpc_security_group_ids,
            "VpcSubnetIds": record.vpc_subnet_ids,
        }


class ProxyTargetGroup(Handler):
    """The cluster that a proxy leads to."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"DBClusterIdentifiers", "DBInstanceIdentifiers", "DBProxyName", "Tags", "TargetGroupName"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"ConnectionPoolConfigurationInfo"})

    def create(self, request: Request) -> Provisioned:
        """Open the proxy's endpoints on the cluster."""
        given, name = request.properties, request.properties["DBProxyName"]
        if given["TargetGroupName"] != "default":
            raise ResourceFailed(
                f"TargetGroupName {given['TargetGroupName']}: a proxy has one, named default"
            )
        if name not in backend(request).db_proxies:
            raise ResourceFailed(f"DBProxy not found for name: {name}")
        self._lead(request)
        arn = backend(request).db_proxies[name].proxy_target_groups["default"].target_group_arn
        return Provisioned(arn, {"TargetGroupArn": arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Lead to another cluster, keep other pool settings."""
        self._lead(request)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Shut the proxy's endpoints; gone with the proxy is fine."""
        name = request.properties["DBProxyName"]
        proxies = AuroraService.of(request.cloud).proxies
        if name in proxies:
            proxies[name].lead_to(None)
        if name in backend(request).db_proxies:
            backend(request).db_proxies[name].proxy_target_groups["default"].targets.clear()

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the cluster that it leads to, and the pool's settings."""
        proxy = backend(request).db_proxies.get(request.properties["DBProxyName"])
        if proxy is None:
            return None
        group = proxy.proxy_target_groups["default"]
        pool = {
            "ConnectionBorrowTimeout": group.borrow_timeout,
            "MaxConnectionsPercent": group.max_connections,
            "MaxIdleConnectionsPercent": group.max_idle_connections,
            "SessionPinningFilters": group.session_pinning_filters,
        }
        given = request.properties.get("ConnectionPoolConfigurationInfo", {})
        return {
            # the query for new connections is not kept: nothing of it can be told
            "ConnectionPoolConfigurationInfo": {**given, **pool},
            "DBClusterIdentifiers": [target.rds_resource_id for target in group.targets],
            "DBProxyName": group.db_proxy_name,
            "TargetGroupName": group.target_group_name,
        }

    def _lead(self, request: Request) -> None:
        given, service = request.properties, AuroraService.of(request.cloud)
        identifiers = given.get("DBClusterIdentifiers") or []
        if given.get("DBInstanceIdentifiers") or len(identifiers) != 1:
            raise ResourceFailed("DBClusterIdentifiers: one Aurora cluster is what a proxy leads to here")
        cluster = service.clusters.get(identifiers[0].lower())
        if cluster is None:
            raise ResourceFailed(f"DBCluster {identifiers[0]} not found.")
        engine = service.proxies[given["DBProxyName"]].proxy.engine
        if cluster.cluster.engine is not engine:
            raise ResourceFailed(
                f"The engine family {engine.family} of proxy {given['DBProxyName']} does not fit"
                f" DB cluster {identifiers[0]} of engine {cluster.cluster.engine}"
            )
        name = given["DBProxyName"]
        group = backend(request).db_proxies[name].proxy_target_groups["default"]
        group.targets.clear()
        targets = backend(request).register_db_proxy_targets(name, "default", [cluster.identifier], [])
        for target in targets:
            target.port = cluster.port
        pool = given.get("ConnectionPoolConfigurationInfo")
        if pool:
            backend(request).modify_db_proxy_target_group(name, pool)
        service.proxies[name].lead_to(cluster)


class ProxyEndpoint(Handler):
    """A further endpoint of a proxy; one of role READ_ONLY leads to readers only."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"DBProxyEndpointName", "DBProxyName", "Tags", "TargetRole", "VpcSecurityGroupIds", "VpcSubnetIds"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"EndpointNetworkType"})
    replaced_by: ClassVar[frozenset[str]] = frozenset({"TargetRole"})

    def create(self, request: Request) -> Provisioned:
        """Create the endpoint."""
        given, service = request.properties, AuroraService.of(request.cloud)
        name, proxy_name = given["DBProxyEndpointName"], given["DBProxyName"]
        if proxy_name not in service.proxies:
            raise ResourceFailed(f"DBProxy not found for name: {proxy_name}")
        if any(name in proxy.further for proxy in service.proxies.values()):
            raise ResourceFailed(f"DBProxyEndpoint already exists for name: {name}")
        subnets = ec2_backends[request.account][request.region].describe_subnets(given["VpcSubnetIds"])
        arn = f"arn:aws:rds:{request.region}:{request.account}:db-proxy-endpoint:prx-endpoint-{name}"
        address = service.proxies[proxy_name].add_endpoint(name, read_only=_is_read_only(given))
        service.proxies[proxy_name].further[name] = {
            "DBProxyEndpointName": name,
            "DBProxyEndpointArn": arn,
            "DBProxyName": proxy_name,
            "Status": "available",
            "VpcId": subnets[0].vpc_id,
            "VpcSecurityGroupIds": given.get("VpcSecurityGroupIds", []),
            "VpcSubnetIds": given["VpcSubnetIds"],
            "Endpoint": address,
            "TargetRole": given.get("TargetRole", "READ_WRITE"),
            "IsDefault": False,
        }
        attributes = {
            "DBProxyEndpointArn": arn,
            "Endpoint": address,
            "IsDefault": "false",
            "VpcId": subnets[0].vpc_id,
        }
        return Provisioned(name, attributes)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change the security groups on record."""
        given = request.properties
        further = AuroraService.of(request.cloud).proxies[given["DBProxyName"]].further
        further[current.physical_id]["VpcSecurityGroupIds"] = given.get("VpcSecurityGroupIds", [])
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the endpoint; gone with the proxy is fine."""
        proxy = AuroraService.of(request.cloud).proxies.get(request.properties["DBProxyName"])
        if proxy:
            proxy.remove_endpoint(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the endpoint as RDS describes it."""
        proxy = AuroraService.of(request.cloud).proxies.get(request.properties["DBProxyName"])
        endpoint = proxy and proxy.further.get(current.physical_id)
        names = ("DBProxyEndpointName", "DBProxyName", "TargetRole", "VpcSecurityGroupIds", "VpcSubnetIds")
        return {name: endpoint[name] for name in names} if endpoint else None


def _engine(given: Properties) -> Engine:
    families = {engine.family: engine for engine in ENGINES.values()}
    family = given["EngineFamily"]
    if family not in families:
        raise ResourceFailed(f"EngineFamily {family}: only {' and '.join(families)} have a real engine here")
    return families[family]


def _check(given: Properties) -> None:
    """Refuse what RDS refuses, and engines that nothing real stands behind."""
    _engine(given)
    end_to_end = given.get("DefaultAuthScheme", "NONE") == "IAM_AUTH"
    if not given.get("Auth") and not end_to_end:
        raise ResourceFailed("Auth must be given unless DefaultAuthScheme is IAM_AUTH")
    uses_iam = end_to_end or any(auth.get("IAMAuth") == "REQUIRED" for auth in given.get("Auth", []))
    if uses_iam and not flag(given, "RequireTLS"):
        raise ResourceFailed("RequireTLS must be true where IAM authentication is used")


def _settings(request: Request) -> ProxySettings:
    given = request.properties
    return ProxySettings(
        role_arn=given["RoleArn"],
        requires_tls=flag(given, "RequireTLS"),
        end_to_end_iam=given.get("DefaultAuthScheme", "NONE") == "IAM_AUTH",
        secret_users=lambda: list(_secret_users(request)),
    )


def _secret_users(request: Request) -> Iterator[SecretUser]:
    """The users of the proxy's secrets, as they are now; a secret that cannot be read is passed over."""
    secrets = secretsmanager_backends[request.account][request.region]
    for auth in request.properties.get("Auth", []):
        refused = services_acting.why_secret_unreadable(
            request.cloud, request.properties["RoleArn"], request.region, auth["SecretArn"]
        )
        if refused:
            _log.warning("proxy %s: %s", request.properties["DBProxyName"], refused)
            continue
        try:
            value: Any = json.loads(
                secrets.get_secret_value(auth["SecretArn"], None, "AWSCURRENT")["SecretString"]
            )
            user, password = value["username"], value["password"]
        except Exception as error:
            _log.warning(
                "proxy %s: secret %s: %r", request.properties["DBProxyName"], auth["SecretArn"], error
            )
            continue
        yield SecretUser(user, password, requires_token=auth.get("IAMAuth", "DISABLED") != "DISABLED")


def _is_read_only(given: Properties) -> bool:
    return bool(given.get("TargetRole", "READ_WRITE") == "READ_ONLY")


def _managed(current: Provisioned) -> ManagedProxy:
    managed: ManagedProxy = current.state
    return managed
