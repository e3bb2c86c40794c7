"""Each deployment is synthesized once on each engine, for all tests that look at it."""

from __future__ import annotations

from functools import cache

import pytest

from stacks.engines import ENGINES
from stacks.settings import DEPLOYMENTS, Deployment, kind_on
from stacks.validation import choose
from tests.stacks.synthesized import Synthesized, synthesize

KINDS = [kind for kind in DEPLOYMENTS if not kind.endswith(tuple(f"-{engine}" for engine in ENGINES))]
"""Deployments as they are on any engine; `local-mysql` is what `local` is on MySQL."""
EVERYWHERE = [(kind, engine) for kind in KINDS for engine in ENGINES]


def chosen(kind: str, engine: str) -> Deployment:
    """Return a deployment as the context would choose it."""
    return choose(kind, name="pr-42" if kind == "ephemeral" else None, engine=engine)


@cache
def of_kind(kind: str, engine: str = "postgresql") -> Synthesized:
    """Return the templates of a deployment on an engine."""
    return synthesize(chosen(kind, engine))


def each(*, retained: bool | None = None) -> list[object]:
    """Return the deployments on each engine as parameters; only those that are retained, or not, if said."""
    return [
        pytest.param((kind, engine), id=f"{kind}-{engine}")
        for kind, engine in EVERYWHERE
        if retained in (None, DEPLOYMENTS[kind_on(kind, engine)].retain_data)
    ]


@pytest.fixture(params=each())
def synthesized(request: pytest.FixtureRequest) -> Synthesized:
    """Each deployment on each engine in turn."""
    return of_kind(*request.param)


@pytest.fixture(params=each(retained=False))
def not_retained(request: pytest.FixtureRequest) -> Synthesized:
    """Each deployment whose data nobody will miss."""
    return of_kind(*request.param)


@pytest.fixture(params=each(retained=True))
def retained(request: pytest.FixtureRequest) -> Synthesized:
    """Each deployment whose data are to survive."""
    return of_kind(*request.param)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn, by its name."""
    return str(request.param)
