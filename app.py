"""Synthesize one deployment: cdk synth -c deployment=dev [-c name=pr-42] [-c seed_file=lines.csv.gz]."""

import aws_cdk as cdk

from stacks import settings
from stacks.assets import LambdaAsset, Platform
from stacks.database import DatabaseStack
from stacks.network import NetworkStack
from stacks.schema import SchemaStack
from stacks.settings import Deployment


def wire(app: cdk.App, deployment: Deployment) -> None:
    """Define the stacks of `deployment`, in the order in which they need each other."""
    asset = LambdaAsset(
        Platform.of_host() if deployment.functions.platform == "host" else Platform.of_lambda()
    )
    network = NetworkStack(app, "Network", deployment=deployment)
    database = DatabaseStack(app, "Database", deployment=deployment, network=network, asset=asset)
    SchemaStack(app, "Schema", deployment=deployment, database=database, asset=asset)


def main() -> None:
    """Synthesize what the CLI's context asks for."""
    app = cdk.App()
    context = app.node.try_get_context
    deployment = settings.choose(
        context("deployment") or "dev", name=context("name"), seed_file=context("seed_file")
    )
    wire(app, deployment)
    app.synth()


if __name__ == "__main__":
    main()
