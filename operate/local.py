"""`make local` and its end: the deployments on the embedded cloud of this machine, one for each engine."""

from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import ClientError
from rich.console import Console

from operate import cdk
from operate.assembly import resource_counts
from operate.aws import Refused, check_settings
from operate.deployment import DEFAULT_CLOUD, LOCAL, PROJECT, Deployment
from operate.local_cloud import LocalCloud
from operate.progress import Follower, StackProgress, shown
from operate.report import print_report

LOGS = PROJECT / "build" / "logs"


def up(
    console: Console,
    cloud: LocalCloud,
    *,
    engine: str = "",
    seed_file: Path | None,
    seed_lines: str | None = None,
    without: str = "",
) -> int:
    """Bring one local deployment to what the sources say: start the cloud if need be, deploy, prove, report.

    Interrupted or failed, it takes away the cloud that it started itself; a cloud that ran before stays as
    CloudFormation's rollback left it, with the deployment on the other engine, if there is one, as it was.
    `without` names what a cloud that is started now shall not enforce.
    Raises Refused, CdkFailed or LocalCloudFailed.
    """
    deployment = Deployment.on_engine(
        "local", engine, seed_file=seed_file, seed_lines=seed_lines, cloud=cloud.name
    )
    settings = check_settings(deployment)
    with cloud.taken_away_unless_finished(console):
        _prepare(console, cloud, deployment, settings.database.engine, without)
        _deploy(console, cloud, deployment)
    return _report(console, cloud, [deployment])


def status(console: Console, cloud: LocalCloud, *, engine: str = "") -> int:
    """Print the report of what is deployed locally; raises Refused when nothing is."""
    deployments = _standing(cloud, engine)
    if not deployments:
        raise Refused(
            f"nothing is deployed on this machine: run make local{_variable('ENGINE', engine)}{_which(cloud)}"
        )
    return _report(console, cloud, deployments)


def down(console: Console, cloud: LocalCloud, *, engine: str = "") -> int:
    """Destroy the stacks as on AWS, then end the cloud; its report says what is left.

    With an engine, only of the deployment on it; the cloud stays for as long as the other one stands.
    """
    going = _standing(cloud, engine)
    staying = [one for one in _standing(cloud) if one not in going] if engine else []
    for deployment in going:
        _destroy(console, cloud, deployment, whole_cloud=not staying)
    if staying:
        console.print(f"The local cloud stays for {', '.join(one.title for one in staying)}")
        return 0
    console.print(cloud.stop(), highlight=False)
    return 0


def _report(console: Console, cloud: LocalCloud, deployments: Sequence[Deployment]) -> int:
    """Print the report of each; returns 1 when one of them is not complete."""
    incomplete = [one for one in deployments if not _is_reported(console, cloud, one)]
    console.print(
        f'Point any AWS tool at it:   eval "$(.venv/bin/python -m localcloud env --name {cloud.name})"',
        soft_wrap=True,
    )
    console.print(f"Take it away:               make local-destroy{_which(cloud)}")
    for line in cloud.unenforced():
        console.print(f"Not enforced, so that AWS may refuse what passed here: {line}", soft_wrap=True)
    return 1 if incomplete else 0


def _is_reported(console: Console, cloud: LocalCloud, deployment: Deployment) -> bool:
    try:
        print_report(
            console,
            cloud.session(),
            deployment,
            ca_bundle=cloud.ca_bundle,
            next_steps=[f"Prove it again:             make smoke {deployment.variables}"],
        )
    except ClientError as error:
        console.print(f"{deployment.title} is not complete ({error}): deploy it again", style="red")
        return False
    return True


def _standing(cloud: LocalCloud, engine: str = "") -> list[Deployment]:
    """Return the local deployments that have stacks: all, or that on one engine."""
    if not cloud.is_running():
        return []
    pages = cloud.session().client("cloudformation").get_paginator("describe_stacks").paginate()
    stacks = {stack["StackName"] for page in pages for stack in page["Stacks"]}
    asked = [Deployment.on_engine("local", engine).kind] if engine else LOCAL
    deployments = [Deployment(kind=kind, cloud=cloud.name) for kind in asked]
    return [one for one in deployments if stacks & set(one.stack_names)]


def _destroy(console: Console, cloud: LocalCloud, deployment: Deployment, *, whole_cloud: bool) -> None:
    assembly = cloud.assembly(deployment)
    if not assembly.exists():
        if whole_cloud:
            return  # what its stacks hold ends with the cloud
        raise Refused(f"{assembly} is gone, by which {deployment.title} was deployed: deploy it once more")
    with shown(console, f"Destroying the stacks of {deployment.title}", _follower(cloud, deployment)):
        cdk.run(
            "destroy", "--all", "--force", "--app", str(assembly),
            environment=cloud.environment, output=LOGS / f"{deployment.title}-destroy.log",
        )  # fmt: skip


def _prepare(console: Console, cloud: LocalCloud, deployment: Deployment, engine: str, without: str) -> None:
    """Start and bootstrap the cloud while the templates are synthesized: neither needs the other.

    The engine's server comes first: where it has to be fetched, that takes longest, and may be impossible.
    """
    log = LOGS / f"{deployment.title}-synth.log"
    with shown(console, "Synthesizing the templates, starting the local cloud"):
        synthesis = cdk.synthesize(deployment, cloud.assembly(deployment), output=log)
        try:
            cloud.prepare(engine, tell=console.print)
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


def _deploy(console: Console, cloud: LocalCloud, deployment: Deployment) -> None:
    """Raises CdkFailed with the resource that failed first, and why."""
    log = LOGS / f"{deployment.title}-deploy.log"
    follower = _follower(cloud, deployment)
    try:
        with shown(console, "Deploying", follower):
            cdk.run(
                "deploy", "--all", "--require-approval", "never", "--app", str(cloud.assembly(deployment)),
                environment=cloud.environment, output=log,
            )  # fmt: skip
    except cdk.CdkFailed as error:
        follower.poll()
        reasons = follower.failures()
        raise cdk.CdkFailed(
            f"{reasons}\nAll that the CLI said is in {log}" if reasons else str(error)
        ) from error


def _follower(cloud: LocalCloud, deployment: Deployment) -> Follower:
    counts = resource_counts(cloud.assembly(deployment))
    stacks = [StackProgress(name, counts.get(name)) for name in deployment.stack_names]
    return Follower(cloud.session(), stacks)


def _which(cloud: LocalCloud) -> str:
    return _variable("CLOUD", cloud.name if cloud.name != DEFAULT_CLOUD else "")


def _variable(name: str, value: str) -> str:
    return f" {name}={value}" if value else ""
