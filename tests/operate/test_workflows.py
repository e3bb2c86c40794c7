"""The workflows call verbs that exist, with the least rights, and clean up after themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from operate.deployment import PROJECT, Deployment
from stacks.deploy_roles import ENVIRONMENTS, DeployRoles, DeployRolesStack
from stacks.validation import choose

GITHUB = PROJECT / ".github"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (GITHUB / "workflows").glob("*.yml")}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
STEPS = [
    (name, job, step)
    for name, job in JOBS
    for step in WORKFLOWS[name]["jobs"][job].get("steps", [])
    if WORKFLOWS[name]["jobs"][job].get("steps")
]
VERBS = set(re.findall(r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE))
PAGES = [*sorted((PROJECT / "docs").glob("pipelines*.md")), PROJECT / "docs" / "migrations.md"]


def job_of(workflow: str, job: str) -> dict[str, Any]:
    return WORKFLOWS[workflow]["jobs"][job]


def commands(step: dict[str, Any]) -> list[str]:
    return [line.strip() for line in step.get("run", "").splitlines() if line.strip()]


def takes_a_role(workflow: str, job: str) -> bool:
    return any(
        "configure-aws-credentials" in s.get("uses", "") for s in job_of(workflow, job).get("steps", [])
    )


@pytest.mark.parametrize(("workflow", "job", "step"), [one for one in STEPS if "run" in one[2]])
def test_each_step_calls_a_verb_of_the_makefile(workflow: str, job: str, step: dict[str, Any]):
    for command in commands(step):
        called = re.match(r"make (?:--silent )?(?:-C \S+ )?(?P<verb>[a-z-]+)(?: |$)", command)
        assert called, command
        assert called["verb"] in VERBS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_call_verbs_that_exist(page: Path):
    called = set(re.findall(r"(?:`|\[|, |- |=\S+ )make (?:--silent )?([a-z-]+)", page.read_text()))
    assert called
    assert called <= VERBS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_pages_show_to_be_copied_can_be_read(page: Path):
    for language, block in re.findall(
        r"^ *```(yaml|json)\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL
    ):
        assert yaml.safe_load(block if language == "yaml" else f"{{{block}}}")


def test_actions_are_pinned_by_hash_and_say_their_version():
    files = [*GITHUB.rglob("*.yml")]
    used = [line.strip() for path in files for line in path.read_text().splitlines() if "uses:" in line]
    assert used
    for line in used:
        assert re.search(r"uses: (\./|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$)", line), line


def test_an_action_has_one_version_everywhere():
    text = "\n".join(path.read_text() for path in GITHUB.rglob("*.yml"))
    pins = dict.fromkeys(re.findall(r"uses: ([\w-]+/[\w-]+)@([0-9a-f]{40})", text))
    assert len({name for name, _ in pins}) == len(pins)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_gives_nothing_that_a_job_does_not_ask_for(workflow: str):
    assert WORKFLOWS[workflow]["permissions"] == {}
    assert WORKFLOWS[workflow]["defaults"] == {"run": {"shell": "bash"}}  # with pipefail


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_a_job_has_the_permissions_that_it_needs_and_an_end(workflow: str, job: str):
    asked = job_of(workflow, job)
    steps = asked.get("steps", [])
    expected = {}
    if job == "comment":
        expected = {"pull-requests": "write"}
    elif takes_a_role(workflow, job):
        expected = {"contents": "read", "id-token": "write"}
    else:
        expected = {"contents": "read"}
    assert asked["permissions"] == expected
    assert "timeout-minutes" in asked or "uses" in asked
    for step in steps:
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize(("workflow", "job"), [one for one in JOBS if takes_a_role(*one)])
def test_a_job_that_takes_a_role_is_told_apart_by_its_environment_and_has_no_key(workflow: str, job: str):
    asked = job_of(workflow, job)
    (credentials,) = [s for s in asked["steps"] if "configure-aws-credentials" in s.get("uses", "")]
    assert credentials["with"].keys() <= {"role-to-assume", "role-duration-seconds", "aws-region"}
    assert "secrets." not in (GITHUB / "workflows" / f"{workflow}.yml").read_text()
    assert asked["concurrency"]["cancel-in-progress"] is (job == "plan")
    if job == "plan":
        assert "environment" not in asked
        assert credentials["with"]["role-to-assume"] == "${{ vars.AWS_PLAN_ROLE_ARN }}"
        return
    assert asked["environment"] in ENVIRONMENTS
    assert credentials["with"]["role-to-assume"] == "${{ vars.AWS_ROLE_ARN }}"
    assert asked["timeout-minutes"] * 60 < credentials["with"]["role-duration-seconds"]


def test_a_session_is_no_longer_than_its_role_allows(tmp_path: Path):
    import aws_cdk as cdk

    app = cdk.App(outdir=str(tmp_path))
    DeployRolesStack(app, "Roles", roles=DeployRoles("acme/shop"))
    roles = app.synth().get_stack_by_name("shop-deploy-roles").template["Resources"]
    longest = roles["DeployDev"]["Properties"]["MaxSessionDuration"]
    asked = [
        step["with"]["role-duration-seconds"]
        for *_, step in STEPS
        if "role-duration-seconds" in step.get("with", {})
    ]
    assert asked
    assert max(asked) <= longest


def test_an_ephemeral_environment_is_destroyed_whatever_happened_before():
    steps = job_of("pull-request", "ephemeral")["steps"]
    verbs = [step["run"] for step in steps if "run" in step]
    assert verbs == ["make deploy", "make smoke", "make destroy"]
    assert steps[-1]["if"] == "always()"
    closing = job_of("pull-request", "closed")
    assert closing["if"].startswith("github.event.action == 'closed'")
    assert closing["concurrency"] == job_of("pull-request", "ephemeral")["concurrency"]
    assert closing["env"] == job_of("pull-request", "ephemeral")["env"]
    assert "closed" in WORKFLOWS["pull-request"][True]["pull_request"]["types"]  # YAML reads `on` as true


@pytest.mark.parametrize("suffix", ["", "-my"])
def test_the_names_of_ephemeral_environments_are_names_that_its_role_may_deploy(suffix: str):
    engine = {"": "postgresql", "-my": "mysql"}[suffix]
    deployment = Deployment.on_engine("ephemeral", engine, name=f"pr-12345{suffix}")
    assert choose(**deployment.context).name.startswith(ENVIRONMENTS["pull-request"].deployments.strip("*"))
    rows = job_of("pull-request", "ephemeral")["strategy"]["matrix"]["include"]
    assert {"engine": engine, "suffix": suffix} in rows


def test_code_of_a_fork_meets_no_credentials():
    assert "pull_request_target" not in (GITHUB / "workflows" / "pull-request.yml").read_text()
    for job in ("plan", "ephemeral", "closed"):
        condition = job_of("pull-request", job)["if"]
        assert "github.event.pull_request.head.repo.full_name == github.repository" in condition


def test_what_writes_a_comment_runs_nothing_of_the_branch():
    steps = job_of("pull-request", "comment")["steps"]
    assert [step["uses"].partition("@")[0] for step in steps] == [
        "actions/download-artifact",
        "actions/github-script",
    ]
    assert "${{" not in steps[1]["with"]["script"]  # nothing is put into the script


def test_production_comes_after_dev_and_behind_an_environment_and_is_guarded():
    production = job_of("main", "production")
    assert (production["needs"], production["environment"]) == ("dev", "production")
    assert job_of("main", "dev")["needs"] == "verify"
    verbs = [step["run"] for step in production["steps"] if "run" in step]
    assert verbs == ["make guard", "make deploy", "make smoke"]


# --- the linter itself


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("zizmor"), "--quiet", "--no-progress", "--offline",
         "--strict-collection", "--persona", "pedantic", folder],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def github(tmp_path: Path) -> Path:
    """A copy of the workflows that a test may spoil."""
    return Path(shutil.copytree(GITHUB, tmp_path / ".github"))


def test_the_workflows_have_no_finding(github: Path):
    done = zizmor(github)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("@8e8c483db84b4bee98b60c0593521ed34d9990e8 # v6.0.1", "@v6", "unpinned-uses"),
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("make destroy", "make destroy NAME=${{ github.head_ref }}", "template-injection"),
        ("  pull_request:", "  pull_request_target:", "dangerous-triggers"),
        ("runs-on: ubuntu-24.04", "runs-onn: ubuntu-24.04", "fatal"),
    ],
)
def test_what_is_wrong_is_found(github: Path, before: str, after: str, rule: str):
    path = github / "workflows" / "pull-request.yml"
    path.write_text(path.read_text().replace(before, after))
    done = zizmor(github)
    assert done.returncode != 0
    assert rule in done.stdout + done.stderr


def test_the_verb_lints_what_is_here():
    done = subprocess.run(
        ["make", "--silent", "lint-workflows", "--dry-run"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "zizmor" in done.stdout
    assert "--strict-collection" in done.stdout
