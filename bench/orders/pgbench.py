"""PostgreSQL's own load tool, calling the same routine with the same mix: the floor."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from acid.load import WAREHOUSE_ID
from acid.stage import APPLICATION, DATABASE
from bench.orders.mix import MOST_LINES, MOST_PIECES, Mix
from bench.orders.outcome import Outcome
from bench.orders.shop import FIRST_PRODUCT, PRODUCTS
from bench.orders.ways_in import Socket
from localcloud.aurora.postgresql_programs import Programs
from localcloud.aurora.server_place import give_away

THREADS = 4


def order(
    programs: Programs, socket: Socket, mix: Mix, *, clients: int, seconds: float, reconnect: bool = False
) -> Outcome:
    """Run it; `reconnect` takes a connection for each order."""
    path = Path(socket.path)
    directory = Path(tempfile.mkdtemp(prefix="pgbench-"))
    try:
        give_away(directory)
        script_file = directory / "place_order.sql"
        script_file.write_text(script(mix))
        said = programs.run(
            "pgbench", "--no-vacuum", "--protocol=simple",
            f"--host={path.parent}", f"--port={path.suffix.lstrip('.')}", f"--username={APPLICATION}",
            f"--client={clients}", f"--jobs={min(clients, THREADS)}", f"--time={max(1, round(seconds))}",
            f"--file={script_file}", "--log", f"--log-prefix={directory / 'log'}",
            *(["--connect"] if reconnect else []), DATABASE,
            timeout_seconds=4 * seconds + 60,
        )  # fmt: skip
        microseconds = [
            int(line.split()[2]) for log in directory.glob("log.*") for line in log.read_text().splitlines()
        ]
    finally:
        shutil.rmtree(directory)
    return Outcome(
        acknowledged=_number(r"actually processed: (\d+)", said),
        orders_per_second=float(_found(r"tps = ([\d.]+)", said)),
        milliseconds=tuple(sorted(each / 1000 for each in microseconds)),
    )


def script(mix: Mix) -> str:
    """Return one order for pgbench; its variables are put into the statement as text."""
    products = [
        f"\\set p{number} {_product(mix)}\n\\set q{number} random(1, {MOST_PIECES})\n"
        for number in range(1, MOST_LINES + 1)
    ]
    parts = [f"\\set lines random(1, {MOST_LINES})\n"]
    for count in range(1, MOST_LINES + 1):
        parts.append(f"\\{'if' if count == 1 else 'elif'} :lines = {count}\n")
        parts += products[:count]
        parts.append(_statement(count))
    return "".join(parts) + "\\endif\n"


def _product(mix: Mix) -> str:
    if mix.exponent == 0:
        return f"random({FIRST_PRODUCT}, {FIRST_PRODUCT + PRODUCTS - 1})"
    return f"random_zipfian({FIRST_PRODUCT}, {FIRST_PRODUCT + PRODUCTS - 1}, {mix.exponent})"


def _statement(count: int) -> str:
    lines = ", ".join(
        f'{{"stock_code": "B-:p{number}", "quantity": :q{number}}}' for number in range(1, count + 1)
    )
    return (
        'SELECT * FROM "shop"."place_order"'
        f"(gen_random_uuid(), NULL, 'France', {WAREHOUSE_ID}, '[{lines}]');\n"
    )


def _number(pattern: str, said: str) -> int:
    return int(_found(pattern, said))


def _found(pattern: str, said: str) -> str:
    found = re.search(pattern, said)
    if not found:
        raise RuntimeError(f"pgbench said something else:\n{said}")
    return found[1]
