"""The rights that let somebody reach a database are missed on MySQL too; all others know no engine.

That both engines' stacks give the same rights is shown in test_least_privilege_rights.py.
"""

from __future__ import annotations

import pytest

from tests.deploy.least_privilege.running import trial

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def on_mysql(tmp_path_factory):
    with trial(tmp_path_factory.mktemp("least_privilege_mysql"), "local-mysql") as prepared:
        yield prepared


def test_with_every_right_nothing_is_missed_on_mysql(on_mysql):
    assert on_mysql.control() is None


def test_each_right_that_lets_somebody_reach_a_database_of_mysql_is_missed(on_mysql):
    """What the engine's own protocol carries: connections, tokens, the administrator's login."""
    reaching = [one for one in on_mysql.rights if _reaches_a_database(one)]
    assert len(reaching) >= 12
    tried = on_mysql.try_all(reaching)
    assert [one.right.name for one in tried if one.notice is None] == []


def _reaches_a_database(right):
    text = str(right.content)
    reaching = (
        "rds-db:connect",
        "secretsmanager:GetSecretValue",
        "rds.amazonaws.com",
        "Endpoint.Port",
        "13306",
    )
    return any(word in text for word in reaching)
