"""Synthesize one deployment: cdk synth -c deployment=dev [-c engine=mysql] [-c name=…] [-c seed_lines=…]."""

import gc

if __name__ == "__main__":
    gc.disable()  # a synth ends before there is garbage worth a search (docs/adr/0008)

import aws_cdk as cdk

from stacks.assets import AssetError, LambdaAsset, Platform
from stacks.database import DatabaseStack
from stacks.network import NetworkStack
from stacks.observability import ObservabilityStack
from stacks.schema import SchemaStack
from stacks.settings import Deployment
from stacks.validation import CONTEXT, SettingsError, choose


def wire(app: cdk.App, deployment: Deployment, asset: LambdaAsset) -> None:
    """Define the stacks of a deployment, in the order in which they need each other."""
    network = NetworkStack(app, "Network", deployment=deployment)
    database = DatabaseStack(app, "Database", deployment=deployment, network=network, asset=asset)
    schema = SchemaStack(app, "Schema", deployment=deployment, database=database, asset=asset)
    ObservabilityStack(app, "Observability", deployment=deployment, database=database, schema=schema)


def main() -> None:
    """Synthesize the deployment that the CLI's context asks for, or say all that is wrong with it."""
    app = cdk.App(stack_traces=False, context={"aws:cdk:disable-creation-stack-traces": True})  # ADR 0007
    try:
        deployment = choose(**{key: app.node.try_get_context(key) for key in CONTEXT})
        wire(app, deployment, LambdaAsset.with_wheels(Platform.named(deployment.functions.platform)))
    except (SettingsError, AssetError) as error:
        raise SystemExit(str(error)) from None
    app.synth()


if __name__ == "__main__":
    main()
    gc.freeze()  # or Python would search all of it at exit
