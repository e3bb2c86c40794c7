"""python -m seed_data: what it prints, what it returns, what it needs."""

from __future__ import annotations

import gzip
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from seed_data.__main__ import main
from tests.database.loader_dialect import copying, url
from tests.database.retail_files import HEADER, REAL_LINES, real_file, sale, written
from tests.database.test_loader_faults import wait_until

LAMBDA = Path(__file__).parents[2] / "lambda"
MEMORY_LIMIT_KIBIBYTES = 64 * 1024


@pytest.fixture
def seed_data(database):
    def run(*arguments, seconds=120, **options):
        return subprocess.run(
            [sys.executable, "-m", "seed_data", *map(str, arguments), "--database", url(database)],
            cwd=LAMBDA,
            timeout=seconds,
            check=False,
            **({"capture_output": True} | options),
        )

    return run


def test_a_file_is_loaded_and_found_loaded(seed_data, tmp_path):
    path = written(tmp_path / "file.csv.gz", [sale(), sale(price="1.255"), "bad"])
    first = seed_data(path)
    assert (first.returncode, first.stdout.decode()) == (
        0,
        "load         1 (file.csv.gz)\n"
        "lines        3\n"
        "order lines  2\n"
        "rejects      1\n"
        "             1: the line does not have the header's 8 columns\n"
        "quantity     12\n"
        "amount       22.830\n",
    )
    assert b"loading" in first.stderr
    assert b"\x1b" not in first.stderr
    assert seed_data(path).stdout.startswith(b"load         1 (file.csv.gz), loaded before\n")


def test_standard_input_is_loaded_and_found_loaded(seed_data):
    content = f"{HEADER}\n{sale()}\n".encode()
    assert seed_data("-", input=content).stdout.startswith(b"load         1 (standard input)\n")
    assert b"loaded before" in seed_data("-", input=content).stdout


@mock_aws
def test_an_object_in_s3_is_loaded(database, capsys, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="history")
    s3.put_object(
        Bucket="history", Key="2010/file.csv.gz", Body=gzip.compress(f"{HEADER}\n{sale()}\n".encode())
    )
    assert main(["s3://history/2010/file.csv.gz", "--database", url(database)]) == 0
    assert capsys.readouterr().out.startswith("load         1 (file.csv.gz)\nlines        1\n")
    assert main(["s3://history/missing.csv", "--database", url(database)]) == 3
    assert "seed_data: s3://history/missing.csv cannot be read: " in capsys.readouterr().err


def test_an_object_without_credentials_is_one_line(database, capsys, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert main(["s3://history/file.csv", "--database", url(database)]) == 3
    assert "s3://history/file.csv cannot be read: Unable to locate credentials" in capsys.readouterr().err


def test_without_a_file_the_sample_is_loaded(seed_data):
    assert b"amount       13,189.450" in seed_data().stdout


def test_a_terminal_shows_a_bar(seed_data):
    ours, theirs = pty.openpty()
    try:
        environment = os.environ | {"TERM": "xterm"}
        assert seed_data(stderr=theirs, capture_output=False, env=environment).returncode == 0
        assert b"\x1b[" in os.read(ours, 10_000)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["missing.csv"], 3, "missing.csv cannot be read"),
        (["/dev/null"], 3, "the file is empty"),
        (["--seconds", "0.000001"], 4, "the deadline came while"),
        (["--seconds", "0"], 2, "expected more than 0"),
        (["--seconds", "soon"], 2, "invalid _seconds value|expected"),
        (["--nonsense"], 2, "unrecognized arguments"),
        (["a.csv", "b.csv"], 2, "unrecognized arguments"),
    ],
)
def test_each_failure_has_its_exit_code_and_one_line(seed_data, arguments, code, said):
    done = seed_data(*arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    last = done.stderr.decode().splitlines()[-1]
    assert said.split("|")[0] in last or said.split("|")[-1] in last
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize(
    ("database_url", "code", "said"),
    [
        ("postgresql://shop_loader@/x?host=/nowhere", 1, "seed_data: "),
        ("mysql://shop_loader@localhost/shop?unix_socket=/nowhere", 1, "seed_data: "),
        ("host=/nowhere dbname=x", 2, "the URL's scheme is unknown: expected postgresql://"),
        ("sqlite://x", 2, "the URL's scheme is unknown: expected postgresql://"),
    ],
)
def test_a_database_that_is_not_there_is_one_line(database_url, code, said):
    done = subprocess.run(
        [sys.executable, "-m", "seed_data", "--database", database_url],
        cwd=LAMBDA,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stderr.decode().splitlines()[-1]
    assert "Traceback" not in done.stderr.decode()


def test_ctrl_c_in_the_middle_is_one_line_and_leaves_nothing(database):
    loader = subprocess.Popen(
        [sys.executable, "-m", "seed_data", "-", "--database", url(database)],
        cwd=LAMBDA,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    loader.stdin.write(f"{HEADER}\n".encode() + f"{sale()}\n".encode() * 10_000)
    loader.stdin.flush()
    wait_until(lambda: copying(database) == 1)
    loader.send_signal(signal.SIGINT)
    _, said = loader.communicate(timeout=30)
    assert (loader.returncode, said.splitlines()[-1]) == (130, b"seed_data: interrupted: nothing was changed")
    assert database.value("SELECT count(*) FROM shop.loads") == 0


def test_help_tells_exit_codes(seed_data):
    assert b"exit codes: 0 loaded" in seed_data("--help").stdout


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_the_real_file_passes_in_little_memory(database):
    path = real_file()
    program = (
        "import sys; from pathlib import Path; from seed_data.__main__ import main;"
        "code = main(sys.argv[1:]); print(Path('/proc/self/status').read_text()); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path, "--database", url(database)],
        cwd=LAMBDA,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert f"lines        {REAL_LINES:,}" in done.stdout
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert int(peak) <= MEMORY_LIMIT_KIBIBYTES
