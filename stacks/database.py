"""The database: key, admin secret with rotation, Aurora cluster, proxy, and who may reach them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from stacks.acknowledgements import acknowledge_inline_policies
from stacks.activity_stream import stream_activity
from stacks.assets import LambdaAsset
from stacks.audit_trail import record_invocations
from stacks.backups import back_up
from stacks.cluster import aurora_cluster, make_log_before
from stacks.database_function import SharedByFunctions
from stacks.keys import customer_key
from stacks.network import ISOLATED, NetworkStack, closed_security_group
from stacks.publishing import publish
from stacks.regions import S3_PREFIX_LISTS
from stacks.retention import key_and_secret_removal, log_group
from stacks.rotation import rotate, use_key_for_secrets
from stacks.service_roles import boundary_of_roles
from stacks.settings import Deployment
from stacks.tagging import tag

APPLICATION_USER = "shop_application"
READ_ONLY_USER = "shop_read_only"
LOADER_USER = "shop_loader"
"""Roles that the first migration creates; they log in with IAM tokens and have no password."""


class DatabaseStack(cdk.Stack):
    """A cluster that only its proxy and the members of one client group reach."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        network: NetworkStack,
        asset: LambdaAsset,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=deployment.stack_name("database"),
            description=f"Database of shop-{deployment.name}: Aurora cluster, proxy, credentials",
            env=cdk.Environment(region=deployment.region),
            permissions_boundary=boundary_of_roles(deployment),
            termination_protection=deployment.termination_protection,
        )
        tag(self, deployment)
        self._deployment = deployment
        self._vpc, self._log_key = network.vpc, network.log_key
        self.client_security_group = self._client_group(network)
        self.key = customer_key(
            self,
            "Key",
            description=f"Data, backups and admin secret of shop-{deployment.name}",
            alias=deployment.key_alias,
            removal_policy=key_and_secret_removal(deployment),
        )
        self.secret = self._admin_secret()
        self.cluster = aurora_cluster(
            self, deployment=deployment, network=network, admin_secret=self.secret, key=self.key
        )
        self.proxy = self._proxy() if deployment.database.proxy else None
        self.read_only_endpoint = self._read_only_endpoint(self.proxy) if self.proxy else None
        self._let_the_client_group_in()
        if deployment.database.backup_plan:
            back_up(self, deployment, deployment.database.backup_plan, cluster=self.cluster, key=self.key)
        rotate(
            self,
            secret=self.secret,
            attached_secret=self.cluster.secret or self.secret,
            key=self.key,
            every_days=deployment.database.rotation_days,
            shared=self.shared_by_functions(asset),
        )
        if deployment.invocation_trail_days:
            record_invocations(self, deployment, days=deployment.invocation_trail_days)
        if deployment.database.activity_stream != "off":
            stream_activity(
                self,
                cluster=self.cluster,
                key=self.key,
                mode=deployment.database.activity_stream,
                shared=self.shared_by_functions(asset),
            )
        publish(self, deployment, "database", self._outputs())

    def shared_by_functions(self, asset: LambdaAsset) -> SharedByFunctions:
        """Return what the functions of one stack need in order to reach this database."""
        return SharedByFunctions(
            code=asset.code(),
            platform=asset.platform,
            vpc=self._vpc,
            client_security_group=self.client_security_group,
            environment=self._environment(),
            log_key=self._log_key,
            settings=self._deployment.functions,
        )

    def _environment(self) -> Mapping[str, str]:
        """Return what a function has to know to connect; lambda/aurora/environment.py reads it."""
        endpoint, reader = self.cluster.cluster_endpoint, self.cluster.cluster_read_endpoint
        proxy, read_only = self.proxy, self.read_only_endpoint
        return {
            "DEPLOYMENT": self._deployment.name,
            "DATABASE_ENGINE": self._deployment.database.engine,
            "DATABASE_NAME": self._deployment.database.database_name,
            "DATABASE_PORT": str(self._deployment.database.port),
            "CLUSTER_ENDPOINT": endpoint.hostname,
            "CLUSTER_READER_ENDPOINT": reader.hostname,
            "PROXY_ENDPOINT": proxy.endpoint if proxy else endpoint.hostname,
            "PROXY_READ_ONLY_ENDPOINT": read_only.endpoint if read_only else reader.hostname,
        }

    def may_be_admin(self) -> list[iam.PolicyStatement]:
        """Return leave to read the admin secret.

        Statements on ARNs, not grants: grant_read() makes a cycle between the stacks
        (https://github.com/aws/aws-cdk/issues/14213), and that of an imported secret forgets kms:Decrypt
        (https://github.com/aws/aws-cdk/issues/10160).
        """
        read = iam.PolicyStatement(
            actions=["secretsmanager:GetSecretValue"], resources=[self.secret.secret_arn]
        )
        return [read, use_key_for_secrets(self, self.key, "kms:Decrypt")]

    def may_log_in_to_cluster(self, *users: str) -> iam.PolicyStatement:
        """Return leave to log in to the cluster's own endpoints as one of `users`, by IAM token."""
        return self._may_connect(self.cluster.cluster_resource_identifier, users)

    def may_log_in_as_application(self, *users: str) -> iam.PolicyStatement:
        """Return leave to log in where the application does, by IAM token: the proxy, if there is one."""
        if self.proxy is None:
            return self.may_log_in_to_cluster(*users)
        # arn:aws:rds:REGION:ACCOUNT:db-proxy:prx-0123456789abcdef0
        proxy_resource_id = cdk.Fn.select(6, cdk.Fn.split(":", self.proxy.db_proxy_arn))
        return self._may_connect(proxy_resource_id, users)

    def _may_connect(self, resource_id: str, users: Sequence[str]) -> iam.PolicyStatement:
        prefix = f"arn:{cdk.Aws.PARTITION}:rds-db:{self.region}:{self.account}:dbuser:{resource_id}"
        return iam.PolicyStatement(
            actions=["rds-db:connect"], resources=[f"{prefix}/{user}" for user in users]
        )

    def _client_group(self, network: NetworkStack) -> ec2.SecurityGroup:
        """Return the group that functions join to reach the database, its secret and S3, and nothing else."""
        group = closed_security_group(
            self,
            "ClientSecurityGroup",
            vpc=network.vpc,
            description="Members may reach the database, Secrets Manager and S3",
        )
        # allow_to puts both rules here; seen from the endpoint, network would depend on database and back
        group.connections.allow_to(network.secrets_manager_endpoint, ec2.Port.tcp(443), "Secrets Manager")
        s3 = ec2.Peer.prefix_list(S3_PREFIX_LISTS[self._deployment.region])  # a look-up would need an account
        group.add_egress_rule(s3, ec2.Port.tcp(443), "S3 through its gateway endpoint")
        return group

    def _admin_secret(self) -> rds.DatabaseSecret:
        # By ARN: else the CDK lets the key's policy say again, for Secrets Manager, what it says of all uses.
        key = kms.Key.from_key_arn(self, "KeyOfAdminSecret", self.key.key_arn)
        secret = rds.DatabaseSecret(
            self,
            "AdminSecret",
            username=self._deployment.database.master_user,
            secret_name=self._deployment.secret_name,
            encryption_key=key,
        )
        secret.apply_removal_policy(key_and_secret_removal(self._deployment))
        return secret

    def _proxy(self) -> rds.DatabaseProxy:
        settings = self._deployment.database
        # The proxy logs in to the cluster with tokens of its own; the CDK's grants leave that out.
        connect = self.may_log_in_to_cluster(APPLICATION_USER, READ_ONLY_USER)
        role = iam.Role(
            self,
            "ProxyRole",
            assumed_by=iam.ServicePrincipal("rds.amazonaws.com"),
            inline_policies={"Own": iam.PolicyDocument(statements=[connect])},
        )
        acknowledge_inline_policies(role)
        group = closed_security_group(
            self,
            "ProxySecurityGroup",
            vpc=self._vpc,
            description=f"Proxy of shop-{self._deployment.name}",
        )
        proxy = self.cluster.add_proxy(
            "Proxy",
            db_proxy_name=self._deployment.proxy_name,
            idle_client_timeout=cdk.Duration.seconds(settings.idle_client_timeout_seconds),
            borrow_timeout=cdk.Duration.seconds(settings.borrow_timeout_seconds),
            debug_logging=settings.proxy_debug_logging,
            default_auth_scheme=rds.DefaultAuthScheme.IAM_AUTH,
            require_tls=True,
            role=role.without_policy_updates(),
            vpc=self._vpc,
            vpc_subnets=ISOLATED,
            security_groups=[group],
        )
        target_group = cast(cdk.CfnResource, proxy.node.find_child("ProxyTargetGroup"))
        target_group.remove_resource_dependency(
            cast(cdk.CfnResource, self.cluster.node.default_child)
        )  # it refers to it anyway (W3005)
        self._let_in_by_number(proxy)
        own_log = log_group(
            self,
            "ProxyLogs",
            key=self._log_key,
            retention_days=settings.log_retention_days,
            name=f"/aws/rds/proxy/{self._deployment.proxy_name}",
        )
        make_log_before(proxy, own_log)
        return proxy

    def _let_in_by_number(self, proxy: rds.DatabaseProxy) -> None:
        """Write the port into the rules between proxy and cluster, where the CDK has them ask the cluster.

        So that whoever reads the template, and every scanner, sees which port it is.
        """
        port = self._deployment.database.port
        for group in (*self.cluster.connections.security_groups, *proxy.connections.security_groups):
            for rule in group.node.children:
                if isinstance(rule, ec2.CfnSecurityGroupIngress | ec2.CfnSecurityGroupEgress):
                    rule.from_port = rule.to_port = port

    def _read_only_endpoint(self, proxy: rds.DatabaseProxy) -> rds.IDatabaseProxyEndpoint:
        return proxy.add_endpoint(
            "ReadOnlyEndpoint",
            vpc=self._vpc,
            vpc_subnets=ISOLATED,
            db_proxy_endpoint_name=self._deployment.read_only_endpoint_name,
            security_groups=proxy.connections.security_groups,
            target_role=rds.ProxyEndpointTargetRole.READ_ONLY,
        )

    def _let_the_client_group_in(self) -> None:
        port = ec2.Port.tcp(self._deployment.database.port)
        self.cluster.connections.allow_from(self.client_security_group, port, "Client group")
        if self.proxy:
            self.proxy.connections.allow_from(self.client_security_group, port, "Client group")

    def _outputs(self) -> dict[str, str]:
        outputs = {
            "DatabaseEngine": self._deployment.database.engine,
            "ClusterEndpoint": self.cluster.cluster_endpoint.hostname,
            "ClusterReaderEndpoint": self.cluster.cluster_read_endpoint.hostname,
            "DatabasePort": str(self._deployment.database.port),
            "DatabaseName": self._deployment.database.database_name,
            "AdminSecretArn": self.secret.secret_arn,
            "ClusterIdentifier": self.cluster.cluster_identifier,
        }
        if self.proxy and self.read_only_endpoint:
            outputs["ProxyEndpoint"] = self.proxy.endpoint
            outputs["ProxyReadOnlyEndpoint"] = self.read_only_endpoint.endpoint
        return outputs
