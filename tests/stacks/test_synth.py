"""Synth by the command that users run: the same bytes each time, without account, network or Docker."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.assets import LambdaAsset, Platform
from tests.stacks.conftest import EVERYWHERE, chosen, each, of_kind
from tests.stacks.synthesized import PROJECT

pytestmark = pytest.mark.slow
NO_NETWORK = ("unshare", "--map-root-user", "--net")
"""Runs a command in a network namespace of its own, where there is nothing."""


def synth(
    kind: str, engine: str, output: Path, *, prefix: tuple[str, ...] = (), path: str | None = None
) -> str:
    """Run `cdk synth` on a deployment and return what it wrote to standard error."""
    name = ["-c", "name=pr-42"] if kind == "ephemeral" else []
    app = f"{sys.executable} app.py"
    cli = [str(PROJECT / "node_modules" / ".bin" / "cdk"), "synth", "--quiet", "--no-notices", "--app", app]
    context = ["-c", f"deployment={kind}", "-c", f"engine={engine}", *name]
    command = [*prefix, *cli, *context, "-o", str(output)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "CDK_"))}
    environment |= {"CDK_DISABLE_CLI_TELEMETRY": "true", "AWS_EC2_METADATA_DISABLED": "true"}
    environment |= {"PATH": path} if path else {}
    result = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    assert result.returncode == 0, result.stderr
    assert "reserved context key" not in result.stderr
    assert "[WARNING]" not in result.stderr
    return result.stderr


def without_network() -> tuple[str, ...]:
    """Return what cuts a command off; only Linux has it."""
    if sys.platform != "linux":
        pytest.skip("no network namespaces here: that synth needs no network is shown on Linux")
    return (str(shutil.which(NO_NETWORK[0])), *NO_NETWORK[1:])


def files_of(directory: Path) -> dict[str, Path]:
    return {str(p.relative_to(directory)): p for p in directory.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("kind", "engine"), [("local", "postgresql"), ("production", "mysql")])
def test_two_synths_into_different_directories_are_byte_identical(kind, engine, tmp_path):
    synth(kind, engine, tmp_path / "one")
    synth(kind, engine, tmp_path / "elsewhere" / "two")
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "elsewhere" / "two")
    assert one.keys() == two.keys()
    for driver in ("psycopg2", "pymysql"):
        assert any(driver in name for name in one)
    differing = [name for name in one if not filecmp.cmp(one[name], two[name], shallow=False)]
    assert differing == []


@pytest.fixture(scope="module", params=each())
def cut_off(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The assembly of a deployment on an engine, by a synth that reaches nothing and finds no Docker."""
    kind, engine = request.param
    LambdaAsset.with_wheels(Platform.named(chosen(kind, engine).functions.platform))
    scratch = tmp_path_factory.mktemp(f"{kind}-{engine}")
    (scratch / "bin").mkdir()
    for program in ("node", "sh", "env", "uname"):
        (scratch / "bin" / program).symlink_to(str(shutil.which(program)))
    synth(kind, engine, scratch / "out", prefix=without_network(), path=str(scratch / "bin"))
    return scratch / "out"


def test_synth_needs_no_account_no_network_and_no_docker(cut_off):
    assert len(list(cut_off.glob("*.template.json"))) == 4


def test_the_cdk_s_own_validation_finds_nothing(cut_off):
    report = json.loads((cut_off / "validation-report.json").read_text())
    assert [v for plugin in report["pluginReports"] for v in plugin["violations"]] == []


def test_cfn_lint_finds_neither_error_nor_warning(tmp_path):
    templates = []
    for kind, engine in EVERYWHERE:
        for name, template in of_kind(kind, engine).templates.items():
            templates.append(tmp_path / f"{kind}-{engine}-{name}.template.json")
            templates[-1].write_text(json.dumps(template))
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--format", "parseable", *map(str, templates)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (result.returncode, result.stdout) == (0, "")
