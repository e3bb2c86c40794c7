"""What a user meets who runs the app: one error with everything in it, or templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.stacks.synthesized import PROJECT


def run_app(output, **context):
    environment = {**os.environ, "CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(output)}
    command = [sys.executable, "app.py"]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_wrong_deployment_ends_with_all_problems_and_no_traceback(tmp_path):
    result = run_app(tmp_path / "out", deployment="prod", name=7, seed_file="lines.xlsx")
    assert result.returncode == 1
    assert (
        "deployment='prod' is not known; choose one of local, local-mysql, dev, ephemeral, production"
        in result.stderr
    )
    assert "name=7: text is expected" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "out").glob("*.template.json"))


def test_a_wrong_name_and_a_wrong_seed_file_are_told_together(tmp_path):
    result = run_app(tmp_path / "out", deployment="ephemeral", name="PR_42", seed_file="lines.xlsx")
    assert result.returncode == 1
    assert "name='PR_42'" in result.stderr
    assert "lines.xlsx: the loader reads .csv and .csv.gz" in result.stderr


def test_a_deployment_may_choose_its_engine(tmp_path):
    result = run_app(tmp_path / "out", deployment="dev", engine="mysql")
    assert result.returncode == 0, result.stderr
    template = json.loads((tmp_path / "out" / "Database.template.json").read_text())
    (cluster,) = [r for r in template["Resources"].values() if r["Type"] == "AWS::RDS::DBCluster"]
    assert cluster["Properties"]["Engine"] == "aurora-mysql"


def test_app_py_stays_a_diagram():
    lines = (PROJECT / "app.py").read_text().splitlines()
    assert len(lines) <= 40
    readers = [
        path.name
        for path in (PROJECT / "stacks").glob("*.py")
        if "try_get_context" in path.read_text() or "environ" in path.read_text().replace("environment", "")
    ]
    assert readers == []
