"""Every problem of a deployment: those of its parts, of its name and place, and of its neighbours."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

from stacks.regions import S3_PREFIX_LISTS
from stacks.settings import DEPLOYMENTS, STACKS, Deployment
from stacks.validation.database import of_backtrack, of_database
from stacks.validation.functions import of_functions
from stacks.validation.network import of_network
from stacks.validation.observability import of_observability
from stacks.validation.retained import of_backup_plan, of_invocation_trail, of_protection, of_trail

SEED_FILE_SUFFIXES = (".csv", ".csv.gz")
TAG_VALUE = r"[\w.:/=+@-][\w .:/=+@-]{0,255}"
_POLICY_NAME = r"[A-Za-z0-9+=,.@_-]{1,128}"


def validate(deployment: Deployment) -> list[str]:
    """Return every problem of a deployment; an empty list when it can be deployed."""
    return [
        *_of_name(deployment),
        *_of_region(deployment),
        *of_network(deployment.network),
        *_of_neighbours(deployment),
        *of_database(deployment.database),
        *of_backtrack(deployment),
        *of_functions(deployment.functions),
        *of_observability(deployment.observability),
        *_of_owner(deployment.owner),
        *_of_permissions_boundary(deployment.permissions_boundary),
        *of_protection(deployment),
        *of_trail(deployment),
        *of_invocation_trail(deployment),
        *of_backup_plan(deployment),
        *_of_seed_file(deployment.seed_file),
    ]


def _of_name(deployment: Deployment) -> Iterator[str]:
    name = deployment.name
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        yield (
            f"name={name!r}: RDS takes lower-case letters, digits and single hyphens between them, "
            "beginning with a letter; rename it, for example to pr-42"
        )
    for part in STACKS:
        if part in name.split("-"):
            yield (
                f"name={name}: -{part} is how a stack's name ends, so that names of two deployments could "
                "meet; use another word"
            )
    for what, derived, longest in _derived_names(deployment):
        if len(derived) > longest:
            excess = len(derived) - longest
            yield f"name={name}: {what} {derived} is longer than {longest}; shorten the name by {excess}"


def _derived_names(deployment: Deployment) -> Iterator[tuple[str, str, int]]:
    """Yield what is named after the deployment, its name, and AWS's limit."""
    yield "the stack", deployment.stack_name("database"), 128
    yield "the cluster", deployment.cluster_name, 63
    yield "the proxy", deployment.proxy_name, 63
    yield "the proxy's endpoint", deployment.read_only_endpoint_name, 63
    yield "the key's alias", deployment.key_alias, 256
    yield "the secret", deployment.secret_name, 512


def _of_region(deployment: Deployment) -> Iterator[str]:
    region, zones = deployment.region, deployment.network.availability_zones
    if region not in S3_PREFIX_LISTS:
        yield (
            f"region={region}: its S3 prefix list is not known; choose one of {', '.join(S3_PREFIX_LISTS)} "
            "or add it to stacks/regions.py"
        )
    for zone in zones:
        if not re.fullmatch(re.escape(region) + "[a-z]", zone):
            yield f"availability zone {zone} is not one of region {region}; name zones such as {region}a"


def _of_neighbours(deployment: Deployment) -> Iterator[str]:
    """Yield overlaps with the networks of other deployments: such networks could never be connected."""
    kind = deployment.name if deployment.name in DEPLOYMENTS else "ephemeral"  # those share one network
    for other_kind, other in DEPLOYMENTS.items():
        if other_kind != kind and _overlap(deployment.network.cidr, other.network.cidr):
            yield (
                f"cidr={deployment.network.cidr} overlaps {other.network.cidr} of deployment {other_kind}, "
                "so the two could never be peered; choose a network of its own"
            )


def _overlap(one: str, other: str) -> bool:
    try:
        return ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other))
    except ValueError:
        return False  # a malformed network has its own problem


def _of_owner(owner: str) -> Iterator[str]:
    if not re.fullmatch(TAG_VALUE, owner):
        yield (
            f"owner={owner!r} is not a tag's value: 1 to 256 letters, digits, spaces and . : / = + - @ _; "
            "name a team or an address"
        )


def _of_permissions_boundary(name: str | None) -> Iterator[str]:
    if name is not None and not re.fullmatch(_POLICY_NAME, name):
        yield (
            f"permissions_boundary={name!r} is no name of a managed policy (1 to 128 letters, digits and "
            "+ = , . @ _ -): give the name alone, without its ARN, as `make deploy-roles` prints it"
        )


def _of_seed_file(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    if not path.name.endswith(SEED_FILE_SUFFIXES):
        yield f"seed_file={path}: the loader reads {' and '.join(SEED_FILE_SUFFIXES)}; convert or rename it"
    if not path.is_file():
        yield f"seed_file={path} is not a file that can be read; check the path"
    elif path.stat().st_size == 0:
        yield f"seed_file={path} is empty; leave seed_file out to load the packaged sample"
