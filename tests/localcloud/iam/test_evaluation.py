"""The evaluator decides as AWS's documentation says: each case names its page."""

from collections import Counter

import pytest

from localcloud.iam.evaluation import evaluate
from tests.localcloud.iam.case import Case
from tests.localcloud.iam.cases import (
    accounts,
    conditions,
    limits,
    matching,
    resource_policies,
    sets,
    variables,
)

SUBJECTS = (matching, variables, conditions, sets, limits, resource_policies, accounts)
CASES: list[Case] = [one for subject in SUBJECTS for one in subject.CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_decides_as_documented(case):
    decision = evaluate(case.request, case.policies)
    assert (decision.allowed, decision.reason) == (case.expected == "", case.expected), case.reference


def test_the_table_names_its_references():
    assert len(CASES) >= 150
    assert all(case.reference.startswith("https://docs.aws.amazon.com/") for case in CASES)
    twice = [name for name, count in Counter(case.id for case in CASES).items() if count > 1]
    assert not twice
