"""What is in the database: migrations, then the seed, then a smoke test, each a custom resource.

A failure of any of the three rolls back this stack alone; the database stays as it was.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import custom_resources
from constructs import Construct

from stacks.assets import PROJECT, LambdaAsset, content_digest
from stacks.database import APPLICATION_USER, LOADER_USER, READ_ONLY_USER, DatabaseStack
from stacks.database_function import DatabaseFunction, lambda_role, own_log_group
from stacks.publishing import publish
from stacks.settings import Deployment


class SchemaStack(cdk.Stack):
    """Migrations, seed and smoke test, in this order, each only after the one before has succeeded."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        database: DatabaseStack,
        asset: LambdaAsset,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=deployment.stack_name("schema"),
            description=f"Contents of shop-{deployment.name}: migrations, seed, smoke test",
            env=cdk.Environment(region=deployment.region),
        )
        self._deployment, self._database, self._asset = deployment, database, asset
        self._shared = database.shared_by_functions(asset)
        migrate, migrations = self._migrations()
        seed = self._seed_data()
        seed.node.add_dependency(migrations)
        test, smoke_test = self._smoke_test()
        smoke_test.node.add_dependency(seed)
        outputs = {
            "SchemaVersion": migrations.get_att_string("SchemaVersion"),
            "SeedTotals": _totals(seed),
            "SmokeTestResult": smoke_test.get_att_string("Result"),
            "SmokeTestFunction": test.function.function_name,
            "MigrationsFunction": migrate.function.function_name,
        }
        publish(self, deployment, "schema", outputs)

    def _migrations(self) -> tuple[DatabaseFunction, cdk.CustomResource]:
        function = self._function("ApplySchema", "apply_schema.handler.on_event", "Applies the migrations")
        self._database.grant_admin(function)
        return function, self._custom_resource("Migrations", function, {"Digest": self._migrations_digest()})

    def _seed_data(self) -> cdk.CustomResource:
        function = self._function("SeedData", "seed_data.handler.on_event", "Loads the seed data")
        self._database.grant_cluster_login(function.role, LOADER_USER)
        return self._custom_resource("SeedData", function, self._seed_properties(function))

    def _seed_properties(self, function: DatabaseFunction) -> dict[str, str]:
        if self._deployment.seed_file is None:
            return {"Digest": self._seed_digest()}
        file = s3_assets.Asset(self, "SeedFile", path=str(self._deployment.seed_file))
        function.role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:GetObject"], resources=[file.bucket.arn_for_objects(file.s3_object_key)]
            )
        )
        return {
            "Digest": self._seed_digest(),
            "Bucket": file.s3_bucket_name,
            "Key": file.s3_object_key,
            "FileName": self._deployment.seed_file.name,
        }

    def _smoke_test(self) -> tuple[DatabaseFunction, cdk.CustomResource]:
        """Return the smoke test, under a logical id of its content.

        New content is a new resource, as with API Gateway's deployments: a rollback then deletes the new one, and
        never has to run the old one again.
        """
        function = self._function(
            "SmokeTest", "smoke_test.handler.on_event", "Proves the database by an order"
        )
        for user in (APPLICATION_USER, READ_ONLY_USER):
            self._database.grant_application_login(function.role, user)
        parts = (self._migrations_digest(), self._seed_digest(), self._asset.digest)
        digest = hashlib.sha256("".join(parts).encode()).hexdigest()
        return function, self._custom_resource("SmokeTest", function, {"Digest": digest}, suffix=digest[:8])

    def _migrations_digest(self) -> str:
        return content_digest(PROJECT / "schema" / self._deployment.database.engine)

    def _seed_digest(self) -> str:
        file: Path | None = self._deployment.seed_file
        if file is None:
            return content_digest(PROJECT / "lambda" / "seed_data")
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def _function(self, name: str, handler: str, description: str) -> DatabaseFunction:
        return DatabaseFunction(
            self,
            name,
            handler=handler,
            description=description,
            shared=self._shared,
        )

    def _custom_resource(
        self, name: str, function: DatabaseFunction, properties: dict[str, str], *, suffix: str = ""
    ) -> cdk.CustomResource:
        framework = Construct(function, "Framework")
        log_group = own_log_group(framework, self._deployment.functions)
        provider = custom_resources.Provider(
            framework,
            "Provider",
            on_event_handler=function.function,
            framework_on_event_role=lambda_role(framework, log_group),
            log_group=log_group,
        )
        return cdk.CustomResource(
            self,
            f"{name}Resource{suffix}",
            resource_type=f"Custom::{name}",
            service_token=provider.service_token,
            properties=properties,
        )


def _totals(seed: cdk.CustomResource) -> str:
    counts = {
        name: seed.get_att_string(name) for name in ("Lines", "OrderLines", "Rejects", "Quantity", "Amount")
    }
    return (
        f"{counts['Lines']} lines = {counts['OrderLines']} order lines + {counts['Rejects']} rejects; "
        f"quantity {counts['Quantity']}, amount {counts['Amount']}"
    )
