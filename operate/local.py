"""`make local` and its end: the deployment on the embedded cloud of this machine."""

from pathlib import Path

from rich.console import Console

from operate import cdk
from operate.assembly import resource_counts
from operate.aws import Refused, check_settings
from operate.deployment import PROJECT, Deployment
from operate.local_cloud import LocalCloud
from operate.progress import Follower, StackProgress, shown
from operate.report import print_report

LOGS = PROJECT / "build" / "logs"


def up(
    console: Console,
    cloud: LocalCloud,
    *,
    seed_file: Path | None,
    seed_lines: str | None = None,
    without: str = "",
) -> int:
    """Bring the local deployment to what the sources say: start the cloud if need be, deploy, prove, report.

    Interrupted or failed, it takes away the cloud that it started itself; a cloud that ran before stays as
    CloudFormation's rollback left it. `without` names what a cloud that is started now shall not enforce.
    Raises Refused, CdkFailed or LocalCloudFailed.
    """
    deployment = Deployment(kind="local", seed_file=seed_file, seed_lines=seed_lines, cloud=cloud.name)
    check_settings(deployment)
    with cloud.taken_away_unless_finished(console):
        _prepare(console, cloud, deployment, without)
        _deploy(console, cloud)
    return status(console, cloud)


def status(console: Console, cloud: LocalCloud) -> int:
    """Print the report of what is deployed locally; raises Refused when nothing is."""
    if not cloud.is_running():
        raise Refused("nothing is deployed on this machine: run make local")
    print_report(
        console,
        cloud.session(),
        Deployment(kind="local", cloud=cloud.name),
        ca_bundle=cloud.ca_bundle,
        next_steps=[
            "Prove it again:             make smoke DEPLOYMENT=local",
            f'Point any AWS tool at it:   eval "$(.venv/bin/python -m localcloud env --name {cloud.name})"',
            "Take it away:               make local-destroy",
        ],
    )
    for line in cloud.unenforced():
        console.print(f"Not enforced, so that AWS may refuse what passed here: {line}", soft_wrap=True)
    return 0


def down(console: Console, cloud: LocalCloud) -> int:
    """Destroy the stacks as on AWS, then end the cloud; its report says what is left."""
    assembly = cloud.assembly
    if cloud.is_running() and assembly.exists():
        with shown(console, "Destroying the stacks", _follower(cloud)):
            cdk.run(
                "destroy", "--all", "--force", "--app", str(assembly),
                environment=cloud.environment, output=LOGS / "local-destroy.log",
            )  # fmt: skip
    console.print(cloud.stop(), highlight=False)
    return 0


def _prepare(console: Console, cloud: LocalCloud, deployment: Deployment, without: str) -> None:
    """Start and bootstrap the cloud while the templates are synthesized: neither needs the other."""
    log = LOGS / "local-synth.log"
    with shown(console, "Synthesizing the templates, starting the local cloud"):
        synthesis = cdk.synthesize(deployment, cloud.assembly, output=log)
        try:
            was_running = cloud.is_running()
            if without or not was_running:
                cloud.start(without=without)
            if not was_running:
                bootstrap(cloud)
            cdk.finish(synthesis, log)
        finally:
            synthesis.terminate()


def bootstrap(cloud: LocalCloud) -> None:
    """Bootstrap it, by the environment's name: else the CLI would synthesize the app to learn it."""
    session = cloud.session()
    account = session.client("sts").get_caller_identity()["Account"]
    cdk.run(
        "bootstrap", "--app", "", f"aws://{account}/{session.region_name}",
        environment=cloud.environment, output=LOGS / "local-bootstrap.log",
    )  # fmt: skip


def _deploy(console: Console, cloud: LocalCloud) -> None:
    """Raises CdkFailed with the resource that failed first, and why."""
    log = LOGS / "local-deploy.log"
    follower = _follower(cloud)
    try:
        with shown(console, "Deploying", follower):
            cdk.run(
                "deploy", "--all", "--require-approval", "never", "--app", str(cloud.assembly),
                environment=cloud.environment, output=log,
            )  # fmt: skip
    except cdk.CdkFailed as error:
        follower.poll()
        reasons = follower.failures()
        raise cdk.CdkFailed(
            f"{reasons}\nAll that the CLI said is in {log}" if reasons else str(error)
        ) from error


def _follower(cloud: LocalCloud) -> Follower:
    counts = resource_counts(cloud.assembly)
    stacks = [StackProgress(name, counts.get(name)) for name in Deployment(kind="local").stack_names]
    return Follower(cloud.session(), stacks)
