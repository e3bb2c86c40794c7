"""Write generated invoice lines to a file: `python -m seed_data.generate 100000 -o lines.csv.gz`."""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seed_data import generator
from seed_data.progress import Meter, at_most_every

WRITTEN, FAILED = 0, 1  # 2 is argparse's own
INTERRUPTED = 130
TELL_EVERY_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what the arguments ask for, whole or not at all; progress and errors to standard error."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        generator.check(options.lines)
    except ValueError as error:
        parser.error(str(error))
    try:
        with _opened(options.output) as file:
            _write(file, options.lines, options.seed)
    except OSError as error:
        sys.stderr.write(f"seed_data.generate: {options.output or 'standard output'}: {error.strerror}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("seed_data.generate: interrupted: nothing was written\n")
        return INTERRUPTED
    if options.output:
        sys.stderr.write(f"{options.output}: {options.lines:,} lines from seed {options.seed}\n")
    return WRITTEN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seed_data.generate",
        description="Write invoice lines in the shape of the real data. The same seed gives the same bytes.",
    )
    parser.add_argument("lines", type=int, help=f"how many, 0 to {generator.MOST_LINES:,}")
    parser.add_argument(
        "--seed", type=int, default=generator.DEFAULT_SEED, help="where they come from (default: %(default)s)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="CSV, or CSV.gz by its name (default: standard output)"
    )
    return parser


def _write(file: IO[bytes], lines: int, seed: int) -> None:
    meter = Meter(at_most_every(TELL_EVERY_SECONDS, _tell), size_bytes=lines)
    meter.doing = "writing"
    written = 0
    file.write(f"{generator.HEADER}\n".encode())
    for block in generator.blocks(lines, seed):
        file.write("\n".join([*block, ""]).encode())
        written += len(block)
        meter.read(lines=written, bytes_read=written)


def _tell(progress: object) -> None:
    sys.stderr.write(f"{progress}\n")
    sys.stderr.flush()


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[bytes]]:
    """Open what is written to; a file appears under its name when it is whole."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("wb") as file:
            if path.suffix == ".gz":
                # neither name nor time: the same lines are the same bytes
                with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                    yield packed  # type: ignore[misc]
            else:
                yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
