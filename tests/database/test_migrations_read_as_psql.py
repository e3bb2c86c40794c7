"""The migrator cuts scripts where psql cuts them: shown by psql's own log of what it sends."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SENT = re.compile(r"^\*{8}\*? QUERY \*{10}\n(.*?)\n\*{26}$", re.MULTILINE | re.DOTALL)

CORPUS = {
    "comments": "-- lead\n/* a /* b; */ ; */ SELECT 1 /* in ; */ + 1 -- tail ;\n, 2; -- fin ;\n",
    "literals": "SELECT 'a;''b' ; ;\nSELECT E'x\\';y', U&'d\\0061;', B'1', $a$;$b$;$a$\n;"
    'SELECT "x;""y;";',
    "parentheses": "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2); SELECT (1);",
    "routines": (
        "CREATE FUNCTION f(begin int) RETURNS int"
        " BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;\n"
        "CREATE OR REPLACE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; END; SELECT 1;\n"
        "CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN PERFORM 1; END; $f$; SELECT 2;"
    ),
    "old strings": "SET standard_conforming_strings = off; SELECT 'it\\'s;';"
    "SET standard_conforming_strings = on; SELECT '\\'; SELECT 1;",
    "no semicolon at the end": "SELECT 1;\nSELECT 2 /* end */\n-- really",
    "operators": "SELECT 1 @-- ;\n 2; SELECT 4 */* ; */ 2; SELECT a$b$c, $1, 1.5e3;",
    "nothing": "\n\n-- nothing\n/* ; */\n",
}


def sent_by_psql(database, script: str, folder: Path) -> list[str]:
    """What psql sends for the script, statement by statement; whether the server likes it does not matter."""
    file, log = folder / "script.sql", folder / "sent.log"
    file.write_text(script, encoding="utf-8")
    log.write_text("")
    for path in (folder, *folder.parents):
        if path.stat().st_uid == folder.stat().st_uid and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)  # psql runs as nobody where the tests run as root
    log.chmod(0o666)
    database.server.programs.run(
        "psql",
        "--no-psqlrc",
        "--quiet",
        f"--host={database.server.socket_directory}",
        f"--port={database.server.port}",
        "--username=rdsadmin",
        f"--log-file={log}",
        f"--file={file}",
        database.name,
    )
    return SENT.findall(log.read_text(encoding="utf-8"))
