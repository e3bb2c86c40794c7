"""Synthesize the pipelines' roles: cdk synth --app "python app_deploy_roles.py" -c repository=owner/name."""

import sys

import aws_cdk as cdk

from stacks.deploy_roles import CONTEXT, DeployRolesStack, choose
from stacks.validation import SettingsError


def main() -> None:
    """Synthesize the roles that the CLI's context asks for, or say all that is wrong with it."""
    app = cdk.App(stack_traces=False)
    try:
        roles = choose(**{key: app.node.try_get_context(key) for key in CONTEXT})
    except SettingsError as error:
        sys.exit(str(error))
    DeployRolesStack(app, "DeployRoles", roles=roles)
    app.synth()


if __name__ == "__main__":
    main()
