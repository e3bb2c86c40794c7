"""Real databases for the tests: a server per engine and test process, a fresh database per test.

Every test runs on both engines, but those that say `@pytest.mark.engine("mysql")` or "postgresql".
"""

from collections.abc import Iterator

import pytest

from tests.database.servers import Database, ServerUnderTest, apply_migrations, running

ENGINES = ("postgresql", "mysql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on the engines that it is meant for, if it asks for a database at all."""
    if "engine" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("engine")
        metafunc.parametrize("engine", marker.args if marker else ENGINES, scope="session", indirect=True)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """The engine that the test runs on."""
    return str(request.param)


@pytest.fixture(scope="session")
def database_server(engine: str) -> Iterator[ServerUnderTest]:
    """A writer with Aurora's roles and the master user."""
    with running(engine) as server:
        yield server


@pytest.fixture
def empty_database(database_server: ServerUnderTest) -> Iterator[Database]:
    """A database of the master user's in which nothing was migrated yet."""
    yield from database_server.empty_database()


@pytest.fixture
def migrated_database(empty_database: Database) -> Database:
    """A database that the migrations ran in themselves: a copy lacks the database's own privileges."""
    apply_migrations(empty_database)
    return empty_database


@pytest.fixture(scope="module")
def shared_database(database_server: ServerUnderTest) -> Iterator[Database]:
    """A migrated database for the tests of one file, which leave it as they found it."""
    yield from database_server.migrated_database()


@pytest.fixture
def database(database_server: ServerUnderTest) -> Iterator[Database]:
    """A database with all migrations applied and nothing else in it."""
    yield from database_server.migrated_database()
