"""sysbench calling the same procedure with the same mix by place_order.lua: the floor on MySQL."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from acid.load import WAREHOUSE_ID
from bench.orders.debian_programs import LoadPrograms
from bench.orders.mix import MOST_LINES, MOST_PIECES, Mix
from bench.orders.outcome import Outcome
from bench.orders.shop import FIRST_PRODUCT, PRODUCTS
from bench.orders.ways_in import Socket

SCRIPT = Path(__file__).with_name("place_order.lua")
_BUCKET = re.compile(r"^\s*([\d.]+) \|\**\s+(\d+)$", re.MULTILINE)


def order(
    programs: LoadPrograms, socket: Socket, mix: Mix, *, clients: int, seconds: float, reconnect: bool = False
) -> Outcome:
    """Run it; `reconnect` takes a connection for each order."""
    done = subprocess.run(
        [
            *programs.sysbench, str(SCRIPT), f"--socket={socket.path}",
            f"--first_product={FIRST_PRODUCT}", f"--products={PRODUCTS}", f"--exponent={mix.exponent}",
            f"--most_lines={MOST_LINES}", f"--most_pieces={MOST_PIECES}", f"--warehouse={WAREHOUSE_ID}",
            f"--reconnect={int(reconnect)}", f"--threads={clients}", f"--time={max(1, round(seconds))}",
            "--histogram=on", "run",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * seconds + 60,
        env={**os.environ, **programs.sysbench_environment},
    )  # fmt: skip
    said = done.stdout + done.stderr
    if done.returncode or "FATAL" in said:
        raise RuntimeError(f"sysbench failed:\n{said[-2000:]}")
    events = int(_found(r"total number of events:\s+(\d+)", said))
    return Outcome(
        acknowledged=events,
        orders_per_second=events / float(_found(r"total time:\s+([\d.]+)s", said)),
        milliseconds=tuple(
            float(milliseconds) for milliseconds, count in _BUCKET.findall(said) for _ in range(int(count))
        ),
    )


def _found(pattern: str, said: str) -> str:
    found = re.search(pattern, said)
    if not found:
        raise RuntimeError(f"sysbench said something else:\n{said[-2000:]}")
    return found[1]
