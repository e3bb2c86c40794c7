"""What runs in Lambda: exactly our sources and the pinned wheels, the same wherever they are built."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from stacks.assets import AssetError, LambdaAsset, Platform
from tests.stacks.synthesized import PROJECT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what an asset is made of."""
    return copy_of_sources(tmp_path / "project")


def copy_of_sources(target: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("lambda", "schema"):
        shutil.copytree(PROJECT / folder, target / folder, ignore=ignore)
    shutil.copy(PROJECT / "requirements-lambda.txt", target)
    return target


def digest(project: Path, platform: Platform | None = None) -> str:
    return LambdaAsset(platform or Platform.of_lambda(), project).digest


def test_the_digest_does_not_depend_on_where_the_sources_lie(project, tmp_path):
    assert digest(project) == digest(copy_of_sources(tmp_path / "elsewhere" / "deeper"))


def test_what_does_not_run_does_not_change_the_digest(project):
    before = digest(project)
    for name in (
        "lambda/orders/__pycache__/x.pyc",
        "lambda/notes.md",
        "lambda/.hidden/x",
        "schema/README.md",
    ):
        (project / name).parent.mkdir(exist_ok=True, parents=True)
        (project / name).write_text("does not run")
    (project / "README.md").write_text("neither does this")
    assert digest(project) == before


@pytest.mark.parametrize(
    "changed", ["lambda/orders/new.py", "schema/postgresql/V9999__new.sql", "schema/mysql/V9999__new.sql"]
)
def test_a_new_source_changes_the_digest(project, changed):
    (project / changed).parent.mkdir(exist_ok=True)
    before = digest(project)
    (project / changed).write_text("new")
    assert digest(project) != before


def test_a_renamed_source_changes_the_digest(project):
    (project / "lambda" / "zebra_one.py").write_text("same")
    before = digest(project)
    (project / "lambda" / "zebra_two.py").write_text("same")  # beside it, so that only the name is new
    (project / "lambda" / "zebra_one.py").unlink()
    assert digest(project) != before


def test_another_pin_and_another_platform_change_the_digest(project):
    before = digest(project)
    assert digest(project, Platform("3.12", "x86_64")) != before
    with (project / "requirements-lambda.txt").open("a") as pins:
        pins.write("idna==3.11\n")
    assert digest(project) != before


@pytest.fixture
def no_index(monkeypatch):
    """No package index, as on a machine without a network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")


def test_without_wheels_and_without_an_index_the_error_says_what_to_do(project, no_index):
    with pytest.raises(AssetError, match="synthesize once with a network") as refusal:
        LambdaAsset(Platform.of_lambda(), project).fetch_wheels()
    assert "psycopg2-binary==2.9.13" in str(refusal.value)
    assert list((project / "build").iterdir()) == []


@pytest.mark.slow
def test_a_second_build_needs_no_index(project, monkeypatch):
    asset = LambdaAsset(Platform.of_lambda(), project)
    first = asset.fetch_wheels()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert LambdaAsset(Platform.of_lambda(), project).fetch_wheels() == first


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The asset as AWS gets it."""
    output = tmp_path_factory.mktemp("asset")
    LambdaAsset(Platform.of_lambda()).build(output)
    return output


@pytest.mark.slow
def test_the_asset_is_at_most_15_mb_zipped(built, tmp_path):
    with zipfile.ZipFile(tmp_path / "asset.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in built.rglob("*"):
            archive.write(path, path.relative_to(built))
    assert (tmp_path / "asset.zip").stat().st_size <= 15_000_000


@pytest.mark.slow
def test_the_asset_holds_the_pinned_distributions_and_nothing_else(built):
    """Whatever is not pinned would change by itself; boto3 is in Lambda's runtime already."""
    pins = [line.split()[0] for line in (PROJECT / "requirements-lambda.txt").read_text().splitlines()]
    installed = [Distribution.at(path) for path in built.glob("*.dist-info")]
    assert {f"{d.name}=={d.version}".replace("_", "-") for d in installed} == set(pins) - {"#"}
    assert not list(built.glob("boto*"))


@pytest.mark.slow
def test_the_asset_is_for_lambda_s_processor(built):
    binaries = list((built / "psycopg2").glob("*.so"))
    assert binaries
    for binary in binaries:
        header = binary.read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert header[18] == 0xB7, "not AArch64"
        assert "cpython-314-aarch64" in binary.name


@pytest.mark.slow
def test_the_asset_holds_sources_and_schema_without_what_does_not_run(built):
    for folder in ("lambda", "schema"):
        for path in (PROJECT / folder).rglob("*"):
            inside = path.relative_to(PROJECT / "lambda") if folder == "lambda" else path.relative_to(PROJECT)
            runs = path.suffix not in (".pyc", ".md") and not any(
                part in ("__pycache__", "examples") or part.startswith(".") for part in inside.parts
            )
            assert (built / inside).exists() == runs, inside
    assert not list(built.rglob("__pycache__"))


@pytest.mark.slow
def test_every_handler_of_the_host_s_asset_can_be_imported(tmp_path):
    """The asset for this machine is what the local cloud runs; it has to be complete but for boto3."""
    LambdaAsset(Platform.of_host()).build(tmp_path)
    for package in ("apply_schema", "seed_data", "smoke_test", "rotate_secret"):
        code = (
            f"import {package}.handler as h, psycopg2, pymysql as p; print(psycopg2.__file__); h.on_event, p"
        )
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path), "AWS_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        assert str(tmp_path) in result.stdout
