"""The database: key, admin secret with rotation, Aurora cluster, proxy, and who may reach them."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.assets import LambdaAsset
from stacks.database_function import DatabaseFunction, SharedByFunctions
from stacks.engines import ENGINES
from stacks.network import ISOLATED, S3_PREFIX_LISTS, NetworkStack
from stacks.publishing import publish
from stacks.retention import cluster_removal, key_and_secret_removal, log_retention
from stacks.settings import Deployment, ServerlessV2

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
            termination_protection=deployment.termination_protection,
        )
        self._deployment = deployment
        self._vpc, self._zones = network.vpc, network.zones
        self.client_security_group = self._client_group(network)
        self.key = kms.Key(
            self,
            "Key",
            description=f"Data, backups and admin secret of shop-{deployment.name}",
            alias=deployment.key_alias,
            enable_key_rotation=True,
            removal_policy=key_and_secret_removal(deployment),
        )
        self.secret = self._admin_secret()
        self.cluster = self._cluster()
        self.proxy = self._proxy() if deployment.database.proxy else None
        self.read_only_endpoint = self._read_only_endpoint(self.proxy) if self.proxy else None
        self._let_the_client_group_in()
        self._rotate_the_secret(asset)
        publish(self, deployment, "database", self._outputs())

    def shared_by_functions(self, asset: LambdaAsset) -> SharedByFunctions:
        """Return what the functions of one stack need in order to reach this database."""
        return SharedByFunctions(
            code=asset.code(),
            platform=asset.platform,
            vpc=self._vpc,
            client_security_group=self.client_security_group,
            environment=self._environment(),
            settings=self._deployment.functions,
        )

    def _environment(self) -> Mapping[str, str]:
        """Return what a function has to know to connect; lambda/aurora/environment.py reads it."""
        endpoint, reader = self.cluster.cluster_endpoint, self.cluster.cluster_read_endpoint
        proxy, read_only = self.proxy, self.read_only_endpoint
        return {
            "DATABASE_ENGINE": self._deployment.database.engine,
            "DATABASE_NAME": self._deployment.database.database_name,
            "DATABASE_PORT": str(self._deployment.database.port),
            "CLUSTER_ENDPOINT": endpoint.hostname,
            "CLUSTER_READER_ENDPOINT": reader.hostname,
            "PROXY_ENDPOINT": proxy.endpoint if proxy else endpoint.hostname,
            "PROXY_READ_ONLY_ENDPOINT": read_only.endpoint if read_only else reader.hostname,
        }

    def grant_admin(self, function: DatabaseFunction) -> None:
        """Let a function log in as the master user: it learns which secret to read, and may read it.

        Written as statements on ARNs: grant_read() of the secret makes a cycle between the stacks
        (https://github.com/aws/aws-cdk/issues/14213), and that of an imported one forgets kms:Decrypt
        (https://github.com/aws/aws-cdk/issues/10160).
        """
        function.function.add_environment("ADMIN_SECRET_ARN", self.secret.secret_arn)
        function.role.add_to_policy(
            iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[self.secret.secret_arn])
        )
        function.role.add_to_policy(self._by_secrets_manager("kms:Decrypt"))

    def grant_cluster_login(self, grantee: iam.IGrantable, user: str) -> None:
        """Let `grantee` log in to the cluster's own endpoints as `user`, by IAM token."""
        self.cluster.grant_connect(grantee, user)

    def grant_application_login(self, grantee: iam.IGrantable, user: str) -> None:
        """Let `grantee` log in as `user`, by IAM token, where the application does: the proxy, if there is one."""
        if self.proxy:
            self.proxy.grant_connect(grantee, user)
        else:
            self.cluster.grant_connect(grantee, user)

    def _client_group(self, network: NetworkStack) -> ec2.SecurityGroup:
        """Return the group that functions join in order to reach the database, its secret and S3, and nothing else."""
        group = ec2.SecurityGroup(
            self,
            "ClientSecurityGroup",
            vpc=network.vpc,
            description="Members may reach the database, Secrets Manager and S3",
            allow_all_outbound=False,
        )
        # allow_to puts both rules here; seen from the endpoint, network would depend on database and back
        group.connections.allow_to(network.secrets_manager_endpoint, ec2.Port.tcp(443), "Secrets Manager")
        s3 = ec2.Peer.prefix_list(S3_PREFIX_LISTS[self._deployment.region])
        group.add_egress_rule(s3, ec2.Port.tcp(443), "S3 through its gateway endpoint")
        return group

    def _admin_secret(self) -> rds.DatabaseSecret:
        secret = rds.DatabaseSecret(
            self,
            "AdminSecret",
            username=self._deployment.database.master_user,
            secret_name=self._deployment.secret_name,
            encryption_key=self.key,
        )
        secret.apply_removal_policy(key_and_secret_removal(self._deployment))
        return secret

    def _cluster(self) -> rds.DatabaseCluster:
        settings = self._deployment.database
        engine = ENGINES[settings.engine]
        family = engine.family(settings.engine_version)
        cluster_engine = engine.cluster_engine(settings.engine_version)
        zones = self._zones
        instance_parameters = rds.ParameterGroup(
            self,
            f"InstanceParameters{family}",
            engine=cluster_engine,
            description=f"Instances of shop-{self._deployment.name}",
            parameters=engine.instance_parameters,
        )
        log_groups = [self._database_log_group(kind) for kind in engine.log_exports]
        limits = settings.capacity if isinstance(settings.capacity, ServerlessV2) else None
        cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            cluster_identifier=self._deployment.cluster_name,
            engine=cluster_engine,
            auto_minor_version_upgrade=settings.auto_minor_version_upgrade,
            parameter_group=rds.ParameterGroup(
                self,
                f"ClusterParameters{family}",
                engine=cluster_engine,
                description=f"Cluster of shop-{self._deployment.name}",
                parameters=engine.cluster_parameters,
            ),
            credentials=rds.Credentials.from_secret(self.secret),
            default_database_name=settings.database_name,
            port=settings.port,
            iam_authentication=True,
            storage_encrypted=True,
            storage_encryption_key=self.key,
            serverless_v2_min_capacity=limits.min_capacity_acu if limits else None,
            serverless_v2_max_capacity=limits.max_capacity_acu if limits else None,
            writer=self._instance("Writer", zones[0], instance_parameters, promotion_tier=0),
            readers=[
                self._instance(f"Reader{n}", zones[n % len(zones)], instance_parameters, promotion_tier=1)
                for n in range(1, settings.reader_count + 1)
            ],
            vpc=self._vpc,
            vpc_subnets=ISOLATED,
            security_groups=[self._closed_group("Cluster")],
            backup=rds.BackupProps(retention=cdk.Duration.days(settings.backup_retention_days)),
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=list(engine.log_exports),
            deletion_protection=settings.deletion_protection,
            removal_policy=cluster_removal(self._deployment),
        )
        cluster.node.add_dependency(*log_groups)
        return cluster

    def _instance(
        self, name: str, zone: str, parameters: rds.ParameterGroup, *, promotion_tier: int
    ) -> rds.IClusterInstance:
        settings = self._deployment.database
        if isinstance(settings.capacity, ServerlessV2):
            return rds.ClusterInstance.serverless_v2(
                name,
                scale_with_writer=promotion_tier == 1,
                availability_zone=zone,
                parameter_group=parameters,
                auto_minor_version_upgrade=settings.auto_minor_version_upgrade,
                publicly_accessible=False,
            )
        return rds.ClusterInstance.provisioned(
            name,
            instance_type=ec2.InstanceType(settings.capacity.instance_class),
            promotion_tier=promotion_tier,
            availability_zone=zone,
            parameter_group=parameters,
            auto_minor_version_upgrade=settings.auto_minor_version_upgrade,
            publicly_accessible=False,
        )

    def _database_log_group(self, kind: str) -> logs.LogGroup:
        """Return the log group that RDS writes to, made before RDS would make one that is never deleted."""
        return logs.LogGroup(
            self,
            f"{kind.capitalize()}Logs",
            log_group_name=f"/aws/rds/cluster/{self._deployment.cluster_name}/{kind}",
            retention=log_retention(self._deployment.database.log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )

    def _closed_group(self, name: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            f"{name}SecurityGroup",
            vpc=self._vpc,
            description=f"{name} of shop-{self._deployment.name}",
            allow_all_outbound=False,
        )

    def _proxy(self) -> rds.DatabaseProxy:
        role = iam.Role(self, "ProxyRole", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        for user in (APPLICATION_USER, READ_ONLY_USER):
            self.cluster.grant_connect(
                role, user
            )  # the proxy logs in with tokens of its own; L2 leaves this out
        return self.cluster.add_proxy(
            "Proxy",
            db_proxy_name=self._deployment.proxy_name,
            default_auth_scheme=rds.DefaultAuthScheme.IAM_AUTH,
            require_tls=True,
            role=role,
            vpc=self._vpc,
            vpc_subnets=ISOLATED,
            security_groups=[self._closed_group("Proxy")],
        )

    def _read_only_endpoint(self, proxy: rds.DatabaseProxy) -> rds.DatabaseProxyEndpoint:
        endpoint = proxy.add_endpoint(
            "ReadOnlyEndpoint",
            vpc=self._vpc,
            vpc_subnets=ISOLATED,
            db_proxy_endpoint_name=self._deployment.read_only_endpoint_name,
            security_groups=proxy.connections.security_groups,
            target_role=rds.ProxyEndpointTargetRole.READ_ONLY,
        )
        return endpoint

    def _let_the_client_group_in(self) -> None:
        port = ec2.Port.tcp(self._deployment.database.port)
        self.cluster.connections.allow_from(self.client_security_group, port, "Client group")
        if self.proxy:
            self.proxy.connections.allow_from(self.client_security_group, port, "Client group")

    def _rotate_the_secret(self, asset: LambdaAsset) -> None:
        """Rotate by a function of our own: AWS's ready-made one is an application that nothing else can run."""
        rotate = DatabaseFunction(
            self,
            "RotateSecret",
            handler="rotate_secret.handler.on_event",
            description="Rotates the master user's password",
            shared=self.shared_by_functions(asset),
        )
        rotate.function.add_environment("ADMIN_SECRET_ARN", self.secret.secret_arn)
        rotate.role.add_to_policy(self._by_secrets_manager("kms:Decrypt", "kms:GenerateDataKey"))
        attached = self.cluster.secret or self.secret
        secretsmanager.RotationSchedule(
            self,
            "Rotation",
            secret=attached,
            rotation_lambda=rotate.function,
            automatically_after=cdk.Duration.days(self._deployment.database.rotation_days),
            rotate_immediately_on_update=False,  # functions of a deployment under way hold the present password
        )

    def _by_secrets_manager(self, *actions: str) -> iam.PolicyStatement:
        """Return leave to use the key, through Secrets Manager only."""
        service = f"secretsmanager.{self.region}.amazonaws.com"
        return iam.PolicyStatement(
            actions=list(actions),
            resources=[self.key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": service}},
        )

    def _outputs(self) -> dict[str, str]:
        outputs = {
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
