"""The life of an environment: deployed where that takes nothing away, listed, swept, and destroyed whole."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from operate import assets, cdk, drift, guard, local, quotas, taken_names
from operate.assembly import templates
from operate.aws import Refused, check_settings, environment_of, session_of
from operate.deployment import PROJECT, Deployment
from operate.environments import EPHEMERAL_HOURS, Environment, environments, expiry, moment, table
from operate.inventory import LAMBDA_INTERFACE, Found, copies_of, inventory
from operate.leftovers import print_leftovers, take_away
from operate.local_cloud import LocalCloud
from operate.report import print_report
from stacks import settings
from stacks.settings import DEPLOYMENTS

ASSEMBLIES = PROJECT / "build" / "assemblies"
LONGEST_HOURS = 24 * 90
PATIENCE_SECONDS = 3600
"""Aurora takes about ten minutes to go, and what Lambda holds in a VPC up to forty."""
POLL_SECONDS = {True: 0.5, False: 5.0}
"""By whether it is on the local cloud."""

STUCK = frozenset({"ROLLBACK_FAILED", "DELETE_FAILED"})
"""Statuses after which CloudFormation does nothing to a stack but delete it."""


def deploy(
    console: Console, deployment: Deployment, *, hours: float | None = None, allow: Collection[str] = ()
) -> int:
    """Deploy, unless that would take away what holds state, and report. Returns the CLI's or guard's code.

    Raises Refused, before anything is made, when a name is taken or the account has no room for it.
    What was guarded is what is deployed: both are of one synthesis. An ephemeral environment expires `hours`
    from now; without them it keeps its expiry, or gets one.
    """
    check_settings(deployment)
    session = _begun(console, deployment)
    _wait_until_settled(console, session, deployment)  # a pipeline that broke off may have begun something
    _refuse_stuck(session, deployment)
    deployment = claimed(session, deployment, hours=hours, now=datetime.now(UTC))
    chosen = check_settings(deployment)
    assembly = _synthesized(deployment)
    verdict = guard.check(console, session, deployment, assembly, allow=allow)
    if verdict != guard.SAFE:
        return verdict
    wanted = templates(assembly)
    taken_names.check(console, session, deployment, chosen, wanted)
    if not deployment.is_local:  # this machine has no quotas
        quotas.check(console, session, deployment, wanted)
    approval = "never" if os.environ.get("CI") or deployment.is_local else "broadening"
    code = cdk.attached(
        ["deploy", "--all", "--require-approval", approval, "--app", str(assembly)],
        environment=environment_of(deployment),
    )
    if code == 0:
        _report(console, session, deployment)
    return code


def check(console: Console, deployment: Deployment, *, allow: Collection[str] = ()) -> int:
    """Say what deploying would take away that holds state; returns guard.SAFE or guard.REFUSED."""
    check_settings(deployment)
    session = session_of(console, deployment)
    return guard.check(console, session, deployment, _synthesized(deployment), allow=allow)


def show_drift(console: Console, deployment: Deployment) -> int:
    """Say what somebody changed past the templates; returns drift.NONE or drift.DRIFTED."""
    check_settings(deployment)
    return drift.show(console, session_of(console, deployment), deployment)


def destroy(console: Console, deployment: Deployment, *, unprotect: str = "", force: bool = False) -> int:
    """Destroy the stacks, then everything else that may go, and say what is left.

    The CLI asks before, unless `force`. A protected deployment goes only when `unprotect` is its name. An
    interrupted destroy is finished by another one. Returns 0 when nothing is left but what is to be kept.
    """
    chosen = check_settings(deployment)
    if chosen.termination_protection and unprotect != deployment.title:
        raise Refused(
            f"{deployment.title} is protected (termination_protection=True in stacks/settings.py): nothing "
            f"was destroyed. If it is meant, name it once more: UNPROTECT={deployment.title}"
        )
    session = session_of(console, deployment)
    _wait_until_settled(console, session, deployment)
    _take_copies_away(console, session, deployment)
    if unprotect:
        _unprotect(session, deployment, chosen)
    code = _destroy_stacks(console, session, deployment, force=force or bool(os.environ.get("CI")))
    left = look_for_leftovers(console, deployment)
    return code or left


def look_for_leftovers(console: Console, deployment: Deployment) -> int:
    """Do the last part of `destroy` alone: for what came back, or could not go then.

    What a rehearsal has left goes, too, while the stacks stand: a rehearsal that is at work ends by that.
    """
    chosen = check_settings(deployment)
    session = session_of(console, deployment)
    _take_copies_away(console, session, deployment)
    code = print_leftovers(console, take_away(session, chosen, local=deployment.is_local), chosen)
    console.print(assets.told(session), soft_wrap=True)
    return code


def show_all(console: Console, *, cloud: str) -> int:
    """List the environments on AWS, where credentials are set, and on this machine."""
    now = datetime.now(UTC)
    for region in sorted({one.region for one in DEPLOYMENTS.values()}):
        try:
            session = boto3.Session(region_name=region)
            found = environments(session)
        except (BotoCoreError, ClientError) as error:
            console.print(f"AWS, {region}: not looked at ({error})", soft_wrap=True, markup=False)
        else:
            _show(console, f"AWS, {region}", found, now)
            console.print(assets.told(session), soft_wrap=True)
    here = LocalCloud(cloud)
    if here.is_running():
        session = here.session()
        _show(console, f"this machine, cloud {cloud}", environments(session), now)
        console.print(assets.told(session), soft_wrap=True)
    return 0


def sweep(console: Console, deployment: Deployment, *, dry: bool) -> int:
    """Destroy every expired ephemeral environment of the account and region, or on this machine.

    `deployment` says where. One that fails does not keep the others; returns 1 when one did.
    """
    session = session_of(console, deployment)
    now = datetime.now(UTC)
    found = environments(session)
    expired = [one for one in found if one.is_expired(now)]
    _show(console, "Here", found, now)
    console.print(f"{len(expired)} of {len(found)} expired{': none is destroyed, DRY=1' if dry else ''}")
    codes = [] if dry else [_swept(console, deployment, one) for one in expired]
    return 1 if any(codes) else 0


def claimed(
    session: boto3.Session, deployment: Deployment, *, hours: float | None, now: datetime
) -> Deployment:
    """Return the deployment with owner and expiry; raises Refused when the name is somebody else's.

    What is deployed keeps both unless others are given, so that a second deployment changes no tag.
    """
    standing = next((one for one in environments(session) if one.name == deployment.title), None)
    if standing and deployment.owner and standing.owner != deployment.owner:
        raise Refused(
            f"name={deployment.title} is taken: it is deployed here and belongs to {standing.owner}; choose "
            f"another name, or deploy it as theirs with OWNER={standing.owner}"
        )
    owner = deployment.owner or (standing.owner if standing else "")
    return replace(deployment, owner=owner, expires=_expires(deployment, standing, hours=hours, now=now))


def _expires(
    deployment: Deployment, standing: Environment | None, *, hours: float | None, now: datetime
) -> str:
    if hours is None and not deployment.expires:
        if deployment.kind != "ephemeral":
            return ""
        kept = standing.expires_at if standing else None
        return standing.tags["expires-at"] if standing and kept and kept > now else _in(EPHEMERAL_HOURS, now)
    if deployment.kind != "ephemeral":
        raise Refused(f"{deployment.title} cannot expire: only ephemeral deployments do; drop EXPIRES_HOURS")
    if hours is not None:
        if not (math.isfinite(hours) and 0 < hours <= LONGEST_HOURS):
            raise Refused(
                f"EXPIRES_HOURS={hours:g} is outside 0 to {LONGEST_HOURS}: it would have expired, or never "
                f"does; choose for example {EPHEMERAL_HOURS}"
            )
        return _in(hours, now)
    at = moment(deployment.expires)
    if at is not None and at <= now:
        raise Refused(
            f"expires={deployment.expires} has passed: the next sweep would destroy it; choose later"
        )
    return deployment.expires


def _in(hours: float, now: datetime) -> str:
    return expiry(hours, now=now)


def _begun(console: Console, deployment: Deployment) -> boto3.Session:
    """Return a session; a local cloud that does not run is started, and bootstrapped."""
    if deployment.is_local and not LocalCloud(deployment.cloud).is_running():
        cloud = LocalCloud(deployment.cloud)
        cloud.prepare(check_settings(deployment).database.engine, tell=console.print)
        cloud.start()
        local.bootstrap(cloud)
    return session_of(console, deployment)


def _refuse_stuck(session: boto3.Session, deployment: Deployment) -> None:
    """Raise Refused where a stack can only be deleted: a protected one nobody would delete in passing."""
    stuck = {name: one for name, one in _standing(session, deployment).items() if one in STUCK}
    if not stuck:
        return
    protected = check_settings(deployment).termination_protection
    unprotect = f" UNPROTECT={deployment.title}" if protected else ""
    said = ", ".join(f"{name} is {status}" for name, status in stuck.items())
    raise Refused(
        f"{said}: it was not taken back whole, and can only be destroyed. Nothing was made. Look at what "
        f"failed in its events; then make destroy {deployment.variables}{unprotect}, and deploy again"
    )


def _synthesized(deployment: Deployment) -> Path:
    """Return a fresh cloud assembly of the deployment; raises CdkFailed."""
    assembly = _assembly(deployment)
    log = local.LOGS / f"{deployment.title}-synth.log"
    synthesis = cdk.synthesize(deployment, assembly, output=log, environment=environment_of(deployment))
    cdk.finish(synthesis, log)
    return assembly


def _assembly(deployment: Deployment) -> Path:
    return ASSEMBLIES / (deployment.cloud if deployment.is_local else "aws") / deployment.title


def _report(console: Console, session: boto3.Session, deployment: Deployment) -> None:
    here = deployment.is_local
    print_report(
        console,
        session,
        deployment,
        ca_bundle=LocalCloud(deployment.cloud).ca_bundle if here else "lambda/aurora/certificates/bundle.pem",
        next_steps=[
            *([] if here else ["The endpoints lie in isolated subnets: reach them from within the VPC."]),
            *([f"Expires at:      {deployment.expires}"] if deployment.expires else []),
            f"Prove it again:  make smoke {deployment.variables}",
            f"Take it away:    make destroy {deployment.variables}",
        ],
    )


def _unprotect(session: boto3.Session, deployment: Deployment, chosen: settings.Deployment) -> None:
    """Lift what keeps stacks and cluster from being deleted; the data are kept by what the templates say."""
    cloudformation, rds = session.client("cloudformation"), session.client("rds")
    for name in _standing(session, deployment):
        cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    with suppress(rds.exceptions.DBClusterNotFoundFault):  # an interrupted destroy had come so far
        (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=chosen.cluster_name)["DBClusters"]
        if cluster.get("DeletionProtection") and cluster["Status"] != "deleting":
            rds.modify_db_cluster(
                DBClusterIdentifier=chosen.cluster_name, DeletionProtection=False, ApplyImmediately=True
            )


def _take_copies_away(console: Console, session: boto3.Session, deployment: Deployment) -> None:
    """Take away what a killed rehearsal has left: it stands in the network, and nothing under it can go.

    Where that is refused, the inventory tells what is left.
    """
    copies = copies_of(session, check_settings(deployment), console, local=deployment.is_local)
    try:
        if left := copies.left():
            console.print(f"A rehearsal has left {', '.join(left)}: taken away", soft_wrap=True)
            copies.take_away()
    except (BotoCoreError, ClientError) as error:
        console.print(f"What rehearsals have left: {error}", style="yellow", soft_wrap=True, markup=False)


def _destroy_stacks(console: Console, session: boto3.Session, deployment: Deployment, *, force: bool) -> int:
    """Destroy what stands; a stack that failed over an interface that is free by now gets a second try."""
    code = 0
    for attempt in (1, 2):
        standing = _standing(session, deployment)
        if not standing:
            return 0
        if attempt == 2:
            if "DELETE_FAILED" not in standing.values():
                break  # somebody said no, or it failed otherwise
            _free_interfaces(console, session, deployment)
            force = True  # the first try has asked
        confirmed = ["--force"] if force else []
        code = cdk.attached(
            ["destroy", "--all", *confirmed, *_app(deployment)], environment=environment_of(deployment)
        )
        _wait_until_settled(console, session, deployment)
    return code


def _app(deployment: Deployment) -> list[str]:
    """Return what names the stacks to the CLI: the assembly that was deployed from here, else the sources."""
    assembly = _assembly(deployment)
    cdk.forget_the_killed(assembly)
    is_whole = (assembly / "manifest.json").exists()  # the last that a synth writes
    return ["--app", str(assembly)] if is_whole else deployment.context_arguments


def _free_interfaces(console: Console, session: boto3.Session, deployment: Deployment) -> None:
    """Delete interfaces that nothing uses any more, and wait for Lambda's, which it lets go of by itself."""
    ec2 = session.client("ec2")
    told = False
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = _interfaces(session, deployment)
        for one in found:
            if one.state == "available":
                ec2.delete_network_interface(NetworkInterfaceId=one.identifier)
        held = [one for one in found if one.state != "available" and LAMBDA_INTERFACE in one.name]
        if not held or time.monotonic() > until:
            return
        if not told:
            console.print(f"Waiting for Lambda to let go of {len(held)} network interfaces: up to 40 minutes")
            told = True
        time.sleep(POLL_SECONDS[deployment.is_local])


def _interfaces(session: boto3.Session, deployment: Deployment) -> list[Found]:
    seen = inventory(session, check_settings(deployment), local=deployment.is_local)
    return [one for one in seen.found if one.kind == "network interface"]


def _wait_until_settled(console: Console, session: boto3.Session, deployment: Deployment) -> None:
    """Wait for what an interrupted command has left going on: it goes on without the command."""
    told = False
    until = time.monotonic() + PATIENCE_SECONDS
    while busy := [name for name, one in _standing(session, deployment).items() if _is_busy(one)]:
        if time.monotonic() > until:
            raise Refused(
                f"{', '.join(busy)} still changes after an hour: look at its events, then run this again"
            )
        if not told:
            console.print(f"Waiting for what still goes on in {', '.join(busy)}")
            told = True
        time.sleep(POLL_SECONDS[deployment.is_local])


def _is_busy(status: str) -> bool:
    # in review nothing goes on: there is a change set that nobody has executed
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def _standing(session: boto3.Session, deployment: Deployment) -> dict[str, str]:
    """Return the status of each of its stacks that is there."""
    pages = session.client("cloudformation").get_paginator("describe_stacks").paginate()
    found = {stack["StackName"]: stack["StackStatus"] for page in pages for stack in page["Stacks"]}
    return {name: found[name] for name in deployment.stack_names if name in found}


def _swept(console: Console, where: Deployment, expired: Environment) -> int:
    engine = expired.engine if expired.engine != "-" else ""
    one = replace(where, kind="ephemeral", name=expired.name, engine=engine)
    try:
        return destroy(console, one, force=True)
    except (Refused, cdk.CdkFailed, BotoCoreError, ClientError) as error:
        console.print(f"{expired.name}: {error}", style="red", soft_wrap=True, markup=False)
        return 1


def _show(console: Console, where: str, found: list[Environment], now: datetime) -> None:
    console.print(f"{where}: {len(found)} environments")
    if found:
        console.print(table(found, now=now))
