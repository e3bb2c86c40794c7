"""The verb `contents`: what the cluster of this deployment holds, or a rehearsal's copy of it. Reads only."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from apply_schema.answers import Answer, of_error
from apply_schema.verbs import Exit
from aurora.connecting import connect_admin, connect_with
from aurora.contents import Contents, NotHashed, OutOfTime, read_contents
from aurora.credentials import CURRENT, admin_credential
from aurora.environment import HOST_NAME, DatabaseEnvironment, EnvironmentIncomplete
from aurora.failures import ConnectionFailed, CredentialRefused, DatabaseError, SecretUnavailable
from custom_resource import MalformedEvent

if TYPE_CHECKING:
    from aurora.deadline import Deadline
    from aurora.session import Session

VERB = "contents"
COPY_SUFFIX = "-rehearsal"
"""What a rehearsal's copy is called after its cluster; operate/rehearsals/copies.py gives it that name."""
PREVIOUS = "AWSPREVIOUS"


class EndpointRefused(Exception):
    """The event names a host that is neither this deployment's cluster nor a rehearsal's copy of it."""


class PasswordUnknown(Exception):
    """The copy has a password that the secret does not hold any more."""


def answered(event: Mapping[str, Any], *, deadline: Deadline) -> dict[str, Any]:
    """Return what the database holds, as `{"verb": "contents", "endpoint": …, "up_to": {table: key}}` asks.

    Without an endpoint it is the deployment's own cluster. Raises MalformedEvent where the event is no order;
    however a look ends, that is no error of the function.
    """
    endpoint, up_to = _order(event)
    try:
        environment = DatabaseEnvironment.from_environment(os.environ)
        session = _open(environment, endpoint or environment.cluster_endpoint, deadline=deadline)
        try:
            found = read_contents(session, deadline=deadline, up_to=up_to)
        finally:
            session.close()
    except (EndpointRefused, EnvironmentIncomplete) as error:
        return _answer(Exit.REFUSED, of_error("refused", error))
    except (
        ConnectionFailed,
        SecretUnavailable,
        PasswordUnknown,
        DatabaseError,
        NotHashed,
        OutOfTime,
    ) as error:
        return _answer(Exit.FAILED, of_error("failed", error))
    return _answer(Exit.DONE, Answer(_text(found), {"state": "read", **asdict(found)}))


def check_endpoint(own: str, endpoint: str) -> None:
    """Refuse every host but the deployment's own cluster and the copy that is named after it.

    The admin's password must not be led elsewhere: whoever may invoke the function names the endpoint. An
    endpoint is NAME.cluster-ID.REGION.rds.amazonaws.com, where ID belongs to one account in one region: with
    all but the first label being the cluster's own, and that label its name with `-rehearsal`, only whoever
    makes clusters in this account can have made it; and TLS is verified in full against that very name. On
    the local cloud endpoints are addresses of the machine that the function itself runs on.
    """
    own_name, _, own_zone = own.partition(".")
    if endpoint in (own, f"{own_name}{COPY_SUFFIX}.{own_zone}"):
        return
    if _is_loopback(own) and _is_loopback(endpoint):
        return
    copy = "an address of this machine" if _is_loopback(own) else f"{own_name}{COPY_SUFFIX}.{own_zone}"
    raise EndpointRefused(
        f"{endpoint[:80]} is neither this deployment's cluster nor a copy of it: expected {own} or {copy}"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _order(event: Mapping[str, Any]) -> tuple[str | None, dict[str, int]]:
    unknown = sorted(set(event) - {"verb", "endpoint", "up_to"})
    problems = [f"{name[:80]!r} is unknown: expected endpoint, up_to" for name in unknown]
    endpoint, up_to = event.get("endpoint"), event.get("up_to", {})
    if endpoint is not None and not (isinstance(endpoint, str) and HOST_NAME.fullmatch(endpoint)):
        problems.append(f"endpoint is {endpoint!r:.80}: expected a host name")
    if not isinstance(up_to, dict) or any(type(key) is not int for key in up_to.values()):
        problems.append(f"up_to is {up_to!r:.80}: expected whole numbers by table")
    if problems:
        raise MalformedEvent("; ".join(problems))
    return endpoint, up_to


def _open(environment: DatabaseEnvironment, endpoint: str, *, deadline: Deadline) -> Session:
    """Open the database as its admin, whose password in a copy is that of the moment it shows."""
    if endpoint == environment.cluster_endpoint:
        return connect_admin(environment, deadline=deadline)
    check_endpoint(environment.cluster_endpoint, endpoint)
    environment = replace(environment, cluster_endpoint=endpoint)
    try:
        return connect_admin(environment, deadline=deadline)  # the current one, or one that comes just now
    except CredentialRefused as refusal:
        previous = _previous(environment)
        if previous is None or previous == admin_credential(environment, stage=CURRENT):
            raise PasswordUnknown(_unknown_password(endpoint)) from refusal
    try:
        return connect_with(environment, previous, host=endpoint, deadline=deadline)
    except CredentialRefused as refusal:
        raise PasswordUnknown(_unknown_password(endpoint)) from refusal


def _previous(environment: DatabaseEnvironment) -> Any:
    try:
        return admin_credential(environment, stage=PREVIOUS)
    except SecretUnavailable:
        return None  # it was never rotated


def _unknown_password(endpoint: str) -> str:
    return (
        f"{endpoint}: the admin's password there is that of the moment it was restored to, and neither the "
        "secret's current nor its previous version: the secret was rotated twice since. Restore a later "
        "moment; or give the copy a new password (aws rds modify-db-cluster --master-user-password) and look "
        "into it from within the VPC"
    )


def _text(found: Contents) -> str:
    lines = [f"{found.engine} {found.server_version} at {found.at}"]
    lines += [f"{name:<28} {one.rows:>12,} rows  {one.digest}" for name, one in found.tables.items()]
    broken = [f"{count} violations: {name}" for name, count in found.violations.items() if count]
    return "\n".join([*lines, *(broken or [f"{len(found.violations)} invariants without a violation"])])


def _answer(code: Exit, answer: Answer) -> dict[str, Any]:
    return {"exit_code": int(code), "progress": [], "text": answer.text, "data": answer.data}
