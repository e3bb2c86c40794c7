"""Which deployment the context of the CDK's CLI asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from stacks.engines import ENGINES
from stacks.settings import DEPLOYMENTS, Deployment, kind_on, on_engine, on_local_cloud
from stacks.validation.deployment import TAG_VALUE, validate
from stacks.validation.migrations import of_migrations

CONTEXT = ("deployment", "engine", "name", "owner", "expires", "target", "seed_file", "seed_lines")
"""What `cdk -c` may choose by; choose() takes them by these names."""
MOST_SEED_LINES = 1_100_000  # what a function loads in time also on a small cluster
_DIGITS = r"[0-9]{1,9}"


class SettingsError(Exception):
    """A deployment that cannot be; the message lists every problem, one to a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["This deployment cannot be synthesized:", *(f"- {p}" for p in problems)]))
        self.problems = problems


def choose(
    deployment: object = None,
    name: object = None,
    seed_file: object = None,
    seed_lines: object = None,
    engine: object = None,
    *,
    owner: object = None,
    expires: object = None,
    target: object = None,
) -> Deployment:
    """Return the deployment that the context asks for; values are what `cdk -c` or cdk.json may carry.

    Raises SettingsError with all problems.
    """
    deployment = "dev" if deployment is None else deployment
    problems = [
        *_of_choice(deployment, name, seed_file),
        *_of_seed_choice(seed_file, seed_lines),
        *_of_engine_choice(deployment, engine),
        *_of_tag_choice(owner, expires),
        *_of_target(target),
    ]
    if isinstance(deployment, str) and deployment in DEPLOYMENTS:
        chosen = DEPLOYMENTS[deployment]
        if isinstance(engine, str) and engine in ENGINES:
            chosen = _with_engine(deployment, engine)
        if deployment == "ephemeral" and isinstance(name, str) and name:
            chosen = replace(chosen, name=name)
        if isinstance(owner, str) and owner:
            chosen = replace(chosen, owner=owner)
        if isinstance(expires, str) and expires:
            chosen = replace(chosen, expires_at=expires)
        if target == "local":
            chosen = on_local_cloud(chosen)
        if isinstance(seed_file, str) and seed_file:
            chosen = replace(chosen, seed_file=Path(seed_file).absolute())
        if isinstance(seed_lines, str | int) and re.fullmatch(_DIGITS, str(seed_lines)):
            chosen = replace(chosen, seed_lines=int(seed_lines))
        problems += validate(chosen)
        problems += of_migrations(chosen.database.engine)
    if problems:
        raise SettingsError(problems)
    return chosen


def _with_engine(kind: str, engine: str) -> Deployment:
    chosen = DEPLOYMENTS[kind_on(kind, engine)]
    return chosen if chosen.database.engine == engine else on_engine(chosen, engine)


def _of_choice(deployment: object, name: object, seed_file: object) -> Iterator[str]:
    for key, value in {"deployment": deployment, "name": name, "seed_file": seed_file}.items():
        if value is not None and not isinstance(value, str):
            yield f"{key}={value!r}: text is expected; pass it as -c {key}=TEXT"
    if isinstance(deployment, str) and deployment not in DEPLOYMENTS:
        yield f"deployment={deployment!r} is not known; choose one of {', '.join(DEPLOYMENTS)}"
    if deployment == "ephemeral":
        yield from _of_ephemeral_name(name)
    elif name:
        yield f"name={name} with deployment={deployment}: only ephemeral deployments are named; drop the name"


def _of_seed_choice(seed_file: object, seed_lines: object) -> Iterator[str]:
    if seed_lines is None:
        return
    if seed_file:
        yield f"seed_file={seed_file} and seed_lines={seed_lines}: a shop begins with one of them; drop one"
    if not re.fullmatch(_DIGITS, str(seed_lines)) or int(str(seed_lines)) > MOST_SEED_LINES:
        yield (
            f"seed_lines={seed_lines!r}: expected 0 to {MOST_SEED_LINES}; for more, deploy with 0 and load"
            " the rest with python -m seed_data --generate"
        )


def _of_engine_choice(deployment: object, engine: object) -> Iterator[str]:
    if engine is None:
        return
    if not isinstance(engine, str) or engine not in ENGINES:
        yield f"engine={engine!r} is not known; choose one of {', '.join(ENGINES)}"
    elif isinstance(deployment, str) and deployment in DEPLOYMENTS:
        own = DEPLOYMENTS[deployment].database.engine
        if own != engine and deployment.endswith(f"-{own}"):
            yield (
                f"engine={engine} with deployment={deployment}: that one is for {own}; "
                f"choose deployment={deployment.removesuffix(f'-{own}')}"
            )


def _of_tag_choice(owner: object, expires: object) -> Iterator[str]:
    if owner is not None and not (isinstance(owner, str) and re.fullmatch(TAG_VALUE, owner)):
        yield (
            f"owner={owner!r}: AWS takes up to 256 letters, digits, spaces and _ . : / = + - @ in a tag; "
            "name a person or a team, for example -c owner=team-checkout"
        )
    if expires is not None and not (isinstance(expires, str) and _is_moment(expires)):
        yield (
            f"expires={expires!r} is not a moment in UTC; write it as -c expires=2026-12-24T18:00:00Z, or "
            "have make say it: EXPIRES_HOURS=72"
        )


def _is_moment(text: str) -> bool:
    """Only the form: whether it has passed is for whoever reads a clock, and a synth reads none."""
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _of_target(target: object) -> Iterator[str]:
    if target not in (None, "aws", "local"):
        yield f"target={target!r} is not known; choose aws, or local for the local cloud"


def _of_ephemeral_name(name: object) -> Iterator[str]:
    if not name:
        yield "deployment=ephemeral needs a name, to keep its resources apart; add for example -c name=pr-42"
    elif isinstance(name, str) and name in DEPLOYMENTS:
        yield f"name={name} belongs to the deployment of that name; choose another, for example -c name=pr-42"
