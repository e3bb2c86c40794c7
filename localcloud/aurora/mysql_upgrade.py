"""Aurora MySQL's major upgrade: checked while it serves, then a restart with the new release's parameters.

One MySQL stands here for all of Aurora MySQL's releases, so its data need no change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pymysql

from localcloud.aurora.mysql_server import MysqlServer
from localcloud.aurora.postgresql_programs import ProgramFailed


def upgrade(
    server: MysqlServer, *, settings: Mapping[str, str], take_down: Callable[[], None]
) -> MysqlServer:
    """The same server, restarted with these settings; `take_down` is called when all is checked.

    Raises ProgramFailed, with the former settings in force.
    """
    _refuse_prepared_transactions(server)
    take_down()
    server.stop()  # also where no setting changes
    server.configure(settings)
    server.start()
    return server


def _refuse_prepared_transactions(server: MysqlServer) -> None:
    """As Aurora's prechecks do: what an XA transaction holds locked, nobody could finish afterwards."""
    try:
        prepared = server.execute("XA RECOVER")
    except pymysql.Error as error:
        raise ProgramFailed(f"MySQL: {error.args[-1]}") from error
    if prepared:
        raise ProgramFailed(
            f"The cluster could not be upgraded because of {len(prepared.splitlines())} XA transactions in"
            " the prepared state: commit or roll them back (XA RECOVER shows them) and try again."
        )
