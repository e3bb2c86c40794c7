"""Each deployment is synthesized once for all tests that look at it."""

from __future__ import annotations

from functools import cache

import pytest

from stacks.settings import DEPLOYMENTS
from stacks.validation import choose
from tests.stacks.synthesized import Synthesized, synthesize

KINDS = list(DEPLOYMENTS)
NOT_RETAINED = [kind for kind, deployment in DEPLOYMENTS.items() if not deployment.retain_data]
RETAINED = [kind for kind, deployment in DEPLOYMENTS.items() if deployment.retain_data]


@cache
def of_kind(kind: str) -> Synthesized:
    """Return the templates of a deployment as the context would choose it."""
    return synthesize(choose(kind, name="pr-42" if kind == "ephemeral" else None))


@pytest.fixture(params=KINDS)
def synthesized(request: pytest.FixtureRequest) -> Synthesized:
    """Each deployment in turn."""
    return of_kind(request.param)


@pytest.fixture(params=NOT_RETAINED)
def not_retained(request: pytest.FixtureRequest) -> Synthesized:
    """Each deployment whose data nobody will miss."""
    return of_kind(request.param)


@pytest.fixture(params=RETAINED)
def retained(request: pytest.FixtureRequest) -> Synthesized:
    """Each deployment whose data are to survive."""
    return of_kind(request.param)
