"""Every right of the stacks is one that something fails without: each is taken away, and has to be missed."""

from __future__ import annotations

import copy

import pytest

from tests.deploy.least_privilege import table
from tests.deploy.least_privilege.noticing import what_notices
from tests.deploy.least_privilege.rights import rights_of
from tests.deploy.least_privilege.running import trial

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    with trial(tmp_path_factory.mktemp("least_privilege")) as prepared:
        yield prepared


def test_with_every_right_nothing_is_missed(prepared):
    assert prepared.control() is None


def test_a_right_that_nobody_needs_is_found(prepared):
    templates = copy.deepcopy(dict(prepared.templates))
    role = next(
        one for name, one in templates["Schema"]["Resources"].items() if name.startswith("SmokeTestRole")
    )
    statements = role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    statements.append({"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"})
    (superfluous,) = [one for one in rights_of(templates) if one.content == statements[-1]]
    assert what_notices(prepared.deployment("superfluous", templates), superfluous) is None


def test_each_right_is_missed_by_something_and_is_in_the_page(prepared):
    table.check(prepared.rights)
    tried = prepared.try_all(prepared.rights)
    assert [one.right.name for one in tried if one.notice is None] == []
    written = table.without_reasons(table.PAGE.read_text())
    assert table.without_reasons(table.page(tried)) == written, (
        "write it: .venv/bin/python -m tests.deploy.least_privilege --write"
    )
