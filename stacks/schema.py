"""What is in the database: migrations, then the seed, then a smoke test, each a custom resource.

A failure of any of the three rolls back this stack alone; the database stays as it was.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import custom_resources
from constructs import Construct

from stacks.acknowledgements import (
    DEAD_LETTER_QUEUE,
    ENVIRONMENT_UNDER_OWN_KEY,
    OUTSIDE_VPC,
    RESERVED_CONCURRENCY,
    acknowledge,
)
from stacks.assets import LambdaAsset, content_digest
from stacks.database import APPLICATION_USER, LOADER_USER, READ_ONLY_USER, DatabaseStack
from stacks.database_function import (
    DatabaseFunction,
    SharedByFunctions,
    function_role,
    needs_no_policy_of_its_own,
)
from stacks.publishing import publish
from stacks.retention import log_group
from stacks.service_roles import boundary_of_roles
from stacks.settings import Deployment
from stacks.tagging import tag


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
            permissions_boundary=boundary_of_roles(deployment),
        )
        tag(self, deployment)
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
            "SmokeTestReport": smoke_test.get_att_string("Report"),
            "SmokeTestFunction": test.function.function_name,
            "MigrationsFunction": migrate.function.function_name,
        }
        publish(self, deployment, "schema", outputs)

    def _migrations(self) -> tuple[DatabaseFunction, cdk.CustomResource]:
        function = self._function(
            "ApplySchema",
            "Applies the migrations",
            may=self._database.may_be_admin(),
            environment={"ADMIN_SECRET_ARN": self._database.secret.secret_arn},
        )
        return function, self._custom_resource("Migrations", function, {"Digest": self._migrations_digest()})

    def _seed_data(self) -> cdk.CustomResource:
        file, properties = None, {"Digest": self._seed_digest()}
        may = [self._database.may_log_in_to_cluster(LOADER_USER)]
        if self._deployment.seed_file:
            file = s3_assets.Asset(self, "SeedFile", path=str(self._deployment.seed_file))
            object_arn = file.bucket.arn_for_objects(file.s3_object_key)
            may.append(iam.PolicyStatement(actions=["s3:GetObject"], resources=[object_arn]))
            properties |= {
                "Bucket": file.s3_bucket_name,
                "Key": file.s3_object_key,
                "FileName": self._deployment.seed_file.name,
            }
        elif self._deployment.seed_lines is not None:
            properties["GeneratedLines"] = str(self._deployment.seed_lines)
        function = self._function("SeedData", "Loads the seed data", may=may)
        return self._custom_resource("SeedData", function, properties)

    def _smoke_test(self) -> tuple[DatabaseFunction, cdk.CustomResource]:
        """Return the smoke test, under a logical id of its content.

        New content is a new resource, as with API Gateway's deployments: a rollback deletes the new one, and
        never has to run the old one again.
        """
        may = [self._database.may_log_in_as_application(APPLICATION_USER, READ_ONLY_USER)]
        function = self._function("SmokeTest", "Proves by an order that the database works", may=may)
        digest = self._smoke_test_digest()
        return function, self._custom_resource("SmokeTest", function, {"Digest": digest}, suffix=digest[:8])

    def _smoke_test_digest(self) -> str:
        """Return a digest of all that could make the smoke test's answer another one."""
        # without the seed file's path: its content is in the seed's digest
        settings = replace(self._deployment, seed_file=None)
        parts = (self._migrations_digest(), self._seed_digest(), self._asset.digest, repr(settings))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _migrations_digest(self) -> str:
        """As the migrator computes it over the files it is packaged with: examples in folders are no part."""
        return content_digest(self._asset.project / "schema" / self._deployment.database.engine, "*.sql")

    def _seed_digest(self) -> str:
        file: Path | None = self._deployment.seed_file
        if file is None:
            return content_digest(self._asset.project / "lambda" / "seed_data")
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def _function(
        self,
        name: str,
        description: str,
        *,
        may: Sequence[iam.PolicyStatement],
        environment: Mapping[str, str] | None = None,
    ) -> DatabaseFunction:
        package = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        return DatabaseFunction(
            self,
            name,
            handler=f"{package}.handler.on_event",
            description=description,
            shared=self._shared,
            may=may,
            environment=environment,
        )

    def _custom_resource(
        self, name: str, function: DatabaseFunction, properties: dict[str, str], *, suffix: str = ""
    ) -> cdk.CustomResource:
        provider = _provider(function, self._shared)
        return cdk.CustomResource(
            self,
            f"{name}Resource{suffix}",
            resource_type=f"Custom::{name}",
            service_token=provider.service_token,
            properties=properties,
        )


def _provider(function: DatabaseFunction, shared: SharedByFunctions) -> custom_resources.Provider:
    """Return the CDK's framework around `function`: outside the VPC, with a log and a role of its own."""
    scope = Construct(function, "Framework")
    own_log = log_group(scope, "Logs", key=shared.log_key, retention_days=shared.settings.log_retention_days)
    call = iam.PolicyStatement(
        actions=["lambda:GetFunction", "lambda:InvokeFunction"], resources=[function.function.function_arn]
    )
    provider = custom_resources.Provider(
        scope,
        "Provider",
        on_event_handler=function.function,
        framework_on_event_role=function_role(scope, own_log, may=[call]),
        log_group=own_log,
    )
    framework = cast(lambda_.Function, provider.node.find_child("framework-onEvent"))
    needs_no_policy_of_its_own(framework)
    resource = cast(lambda_.CfnFunction, framework.node.default_child)
    resource.memory_size = 128
    resource.reserved_concurrent_executions = shared.settings.reserved_concurrency
    _acknowledge(resource, shared)
    return provider


def _acknowledge(framework: lambda_.CfnFunction, shared: SharedByFunctions) -> None:
    acknowledge(
        framework,
        rules=OUTSIDE_VPC,
        reason="It talks to CloudFormation and to our function, never to the database; from the isolated "
        "subnets it could answer nobody",
    )
    acknowledge(
        framework,
        rules=DEAD_LETTER_QUEUE,
        reason="It answers a failure to CloudFormation, at an address that expires: an event that is kept "
        "for later would answer nobody",
    )
    acknowledge(
        framework,
        rules=ENVIRONMENT_UNDER_OWN_KEY,
        reason="It holds the ARN of our function, no secret, and Lambda encrypts it with AWS's own key",
    )
    acknowledge(
        framework,
        rules=["Serverless-LambdaTracing"],
        reason="The CDK's code, which would need one more right to say little: traces begin in our function",
    )
    if shared.settings.reserved_concurrency is None:
        acknowledge(
            framework, rules=RESERVED_CONCURRENCY, reason="The setting leaves it to the account's own pool"
        )


def _totals(seed: cdk.CustomResource) -> str:
    counts = {
        name: seed.get_att_string(name) for name in ("Lines", "OrderLines", "Rejects", "Quantity", "Amount")
    }
    return (
        f"{counts['Lines']} lines = {counts['OrderLines']} order lines + {counts['Rejects']} rejects; "
        f"quantity {counts['Quantity']}, amount {counts['Amount']}"
    )
