"""Loading in bulk, whatever the engine: what postgresql_loading.py and mysql_loading.py both give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import IO, Protocol

from aurora.session import Parameters, Row, Session

SCHEMA = "shop"


class Bulk(Protocol):
    """One load's way into the database. Errors are DatabaseError; tables are those of the schema shop.

    Rows are text as row_text.py writes it.
    """

    set_aside: str
    """The temporary table of lines that were set aside, as a statement names it."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit what runs inside, or leave nothing of it where it raises: rows, keys and turns."""

    def limit_statements(self, seconds: float) -> None:
        """Have each statement from now on end after so long."""

    def is_time_out(self, error: Exception) -> bool:
        """Tell whether a statement was ended because its time was over."""

    def take_turn(self, on_wait: Callable[[], None]) -> None:
        """Wait until no other load of this database is under way; `on_wait` is called before waiting."""

    def lock_out(self, tables: Sequence[str], *, also_used: Sequence[str]) -> None:
        """Wait for those who use the tables, and keep everybody out of them until the transaction ends.

        `also_used` are the others that the load touches from here on; no table but these is to be touched.
        """

    def take_keys_off(self, tables: Sequence[str]) -> None:
        """Free tables of what costs time for each row, as far as the transaction can take that back."""

    def put_keys_back(self) -> None:
        """Bring everything back, and raise where a row violates a key."""

    def rows(self, statement: str, parameters: Parameters = ()) -> list[Row]:
        """Run a statement that both engines understand: no table under a name of its own, none twice."""

    def copy_rows(self, table: str, columns: Sequence[str], rows: Iterable[str]) -> None:
        """Stream rows into the table, all or an error; what the iterator raises comes out unchanged."""

    def copy_file(self, table: str, columns: Sequence[str], file: IO[bytes]) -> None:
        """Send a file of rows into the table, all or an error."""

    def insert(self, table: str, values: Mapping[str, object]) -> None:
        """Insert one row."""

    def insert_missing(self, table: str, columns: Sequence[str], query: str, parameters: Parameters) -> None:
        """Insert the rows of a query whose key, the first column, the table does not have."""

    def update(self, table: str, values: Mapping[str, object], *, key: str, value: object) -> None:
        """Change the row with this key."""

    def update_numbers(self, table: str, *, key: str, column: str, rows: Iterable[Sequence[object]]) -> None:
        """Set the column of each row, given as (key, number)."""

    def stage_set_aside(self, file: IO[bytes]) -> None:
        """Put a file of rows (line_number, invoice_number, line) into the table `set_aside`."""

    def read_set_aside(self, query: str, *, rows_at_once: int) -> Iterator[Row]:
        """Yield the rows of a query over `set_aside`; it does not see what changes after the first."""

    def next_id(self, table: str, column: str) -> int:
        """Return the first id that the table has not given out."""

    def give_out_before(self, table: str, column: str, next_id: int) -> None:
        """Have the table go on with this id."""


def bulk_of(session: Session) -> Bulk:
    """Return the way that the session's engine has."""
    if session.engine == "mysql":
        from aurora.mysql_loading import MysqlBulk  # noqa: PLC0415 - one driver is enough

        return MysqlBulk(session)
    from aurora.postgresql_loading import PostgresqlBulk  # noqa: PLC0415

    return PostgresqlBulk(session)
