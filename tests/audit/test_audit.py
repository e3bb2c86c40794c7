"""`make audit`: what it fails on, and that none of its scanners looks away."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import audit.__main__ as command_line
from audit import auditing, cdk_nag, checkov, page
from audit.assembly import ACKNOWLEDGED, Assembly, synthesize, without_acknowledgements
from audit.findings import CONTROL, Acknowledgement, Audit, Finding, Scan, Target, every_target
from audit.installed import missing
from audit.page import SCANNERS
from audit.report import to_do_of

DEV = Target("dev", "postgresql")
FOUND = Finding("Database/Cluster/Resource", "CKV_AWS_96", "Ensure all data is encrypted")
ACCEPTED = Acknowledgement(FOUND.resource, FOUND.rule, "a reason")

needs_scanners = pytest.mark.skipif(bool(missing()), reason=missing())
"""`.ci/run` audits before it tests, so that they are there."""


def scan(*, found=(), left=(), compliant=1, scanner="checkov") -> Scan:
    return Scan(scanner, compliant, frozenset(found), frozenset(left))


def audit_of(*scans: Scan, acknowledgements=(), target=DEV) -> Audit:
    return Audit(target, 1, scans, frozenset(acknowledgements))


def test_nothing_found_passes():
    assert audit_of(scan()).passed


def test_a_finding_fails():
    audit = audit_of(scan(found=[FOUND], left=[FOUND]))
    assert not audit.passed
    assert to_do_of([audit]) == {(FOUND.rule, FOUND.advice): {"Database/Cluster": ["dev-postgresql"]}}


def test_a_finding_acknowledged_with_a_reason_passes():
    assert audit_of(scan(found=[FOUND]), acknowledgements=[ACCEPTED]).passed


def test_a_finding_hidden_without_a_reason_fails():
    audit = audit_of(scan(found=[FOUND]))
    assert (audit.passed, audit.unexplained) == (False, [FOUND])
    assert "hidden without a reason" in str(to_do_of([audit]))


@pytest.mark.parametrize(
    "acknowledged",
    [ACCEPTED, replace(ACCEPTED, rule="CKV_AWS_97"), replace(ACCEPTED, resource="Database/Proxy/Resource")],
)
def test_an_acknowledgement_that_nothing_needs_fails(acknowledged):
    others = [] if acknowledged == ACCEPTED else [ACCEPTED]
    found = [] if acknowledged == ACCEPTED else [FOUND]
    audit = audit_of(scan(found=found), acknowledgements=[acknowledged, *others])
    assert (audit.passed, audit.stale) == (False, [acknowledged])
    assert "stale" in str(to_do_of([audit]))


def test_a_scanner_that_looks_at_nothing_fails():
    audit = audit_of(scan(), scan(scanner="cfn-guard", compliant=0))
    assert (audit.passed, audit.blind) == (False, ["cfn-guard"])


def test_a_scanner_that_finds_nothing_wrong_with_the_control_fails():
    audit = audit_of(scan(scanner="cfn-lint", compliant=7), target=Target(CONTROL, ""))
    assert (audit.passed, audit.blind) == (False, ["cfn-lint"])
    assert audit_of(scan(found=[FOUND], left=[FOUND]), target=Target(CONTROL, "")).passed


def test_templates_are_stripped_of_all_that_has_a_scanner_look_away():
    silent = {"checkov": {}, "cfn-lint": {}, "guard": {}, "cfn_nag": {}, "cdk_nag": {}}
    template = {
        "Metadata": dict(silent),
        "Resources": {"One": {"Type": "T", "Metadata": {**silent, "aws:cdk:path": "Stack/One"}}},
    }
    assert without_acknowledgements(template) == {
        "Metadata": {},
        "Resources": {"One": {"Type": "T", "Metadata": {"aws:cdk:path": "Stack/One"}}},
    }
    assert template["Metadata"] == silent


def test_the_audit_looks_at_every_deployment_on_both_engines():
    assert {str(target) for target in every_target()} == {
        f"{kind}-{engine}"
        for kind in ("local", "dev", "ephemeral", "production")
        for engine in ("postgresql", "mysql")
    }


def whole(target: Target, *acknowledgements: Acknowledgement) -> Audit:
    scans = [scan(scanner=scanner, found=[FOUND]) for scanner in SCANNERS]
    return audit_of(*scans, acknowledgements=acknowledgements, target=target)


def test_the_page_is_the_same_in_whichever_order_the_audits_are_done():
    audits = [whole(target, ACCEPTED) for target in every_target()]
    assert page.render(audits) == page.render(reversed(audits))


def test_the_page_tells_each_reason_once_and_where_it_holds():
    audits = [whole(target, *[ACCEPTED] * (target.kind == "dev")) for target in every_target()]
    rows = [line for line in page.render(audits).splitlines() if line.startswith("| a reason ")]
    assert rows == ["| a reason | CKV_AWS_96 | Database/Cluster | dev-mysql, dev-postgresql |"]


def test_a_page_that_is_not_current_is_told(tmp_path, monkeypatch, capsys):
    audits = [whole(target, ACCEPTED) for target in every_target()]
    written = tmp_path / "audit.md"
    written.write_text(page.render(audits[1:]))
    assert page.stale(page.render(audits), written)
    written.write_text(page.render(audits))
    assert not page.stale(page.render(audits), written)
    assert page.stale(page.render(audits), tmp_path / "missing.md")


def test_the_exit_code_tells_a_wrong_deployment_from_a_finding(capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_line, "missing", lambda: "")
        assert command_line.main(["staging"]) == 2
        patch.setattr(command_line, "missing", lambda: "make audit installs them")
        assert command_line.main(["dev"]) == 2
    assert "staging is not known" in capsys.readouterr().err.replace("\n", " ")


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The assembly of the stack that is wrong on purpose."""
    directory = tmp_path_factory.mktemp("control")
    synthesize(Target(CONTROL, ""), directory)
    return directory


@pytest.fixture
def as_dev(control: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have every target be what is wrong on purpose; returns the folder that its assembly is copied from."""
    source = tmp_path / "source"
    shutil.copytree(control, source)

    def copied(target: Target, directory: Path) -> Assembly:
        shutil.copytree(source, directory, dirs_exist_ok=True)
        return Assembly(target, directory)

    monkeypatch.setattr(auditing, "synthesize", copied)
    monkeypatch.setattr(command_line, "HOME", tmp_path)
    return source


@needs_scanners
def test_findings_make_it_exit_with_1_and_are_told_with_path_rule_and_what_to_do(as_dev, capsys):
    assert command_line.main(["dev", "--engine", "postgresql"]) == 1
    said = capsys.readouterr().out
    for rule, resource in (
        ("CKV_AWS_96", "Control/Wrong/Cluster"),
        ("CT.RDS.PR.26", "Control/Wrong/Proxy"),
        ("W2001", "Control.template.json/Parameters/Unused"),
        ("AwsSolutions-IAM5[Resource::*]", "Control/Wrong/Role"),
        ("NIST.800.53.R5-RDSStorageEncrypted", "Control/Wrong/Cluster"),
        ("HIPAA.Security-CloudWatchLogGroupEncrypted", "Control/Wrong/Logs"),
        ("PCI.DSS.321-LambdaInsideVPC", "Control/Wrong/Function"),
        ("Serverless-LambdaTracing", "Control/Wrong/Function"),
    ):
        told = said[said.index(f"\n{rule}: ") + 1 :].splitlines()
        places = itertools.takewhile(lambda line: line.startswith("    "), told[1:])
        assert f"    {resource} (dev-postgresql)" in places
    assert "Set the value of the RequireTLS property to true" in said


@needs_scanners
def test_a_stale_acknowledgement_is_told(as_dev, capsys):
    stale = {"/Control/Wrong/Cluster": [{"type": ACKNOWLEDGED, "data": {"CKV_AWS_158": "it was so once"}}]}
    (as_dev / "Stale.metadata.json").write_text(json.dumps(stale))
    assert command_line.main(["dev", "--engine", "mysql"]) == 1
    said = capsys.readouterr().out
    assert (
        "CKV_AWS_158: stale, for no scanner finds this any more\n    Control/Wrong/Cluster (dev-mysql)"
        in said
    )


@needs_scanners
def test_every_scanner_finds_the_control_wrong(control):
    assembly = Assembly(Target(CONTROL, ""), control)
    scans = [*(scanner.scan(assembly) for scanner in auditing.OF_TEMPLATES), *cdk_nag.scans(assembly)]
    assert [scan.scanner for scan in scans] == list(SCANNERS)
    assert [scan.scanner for scan in scans if not scan.left or not scan.found] == []


@needs_scanners
@pytest.mark.parametrize(
    ("says", "exit_code", "told"),
    [
        ('{"results": {"passed_checks": [], "failed_checks": []}}', 0, "checkov: found nothing to look at"),
        ('{"passed": 0, "failed": 0}', 0, "checkov gave no report on"),
        ("Killed", 137, "checkov gave no report on"),
    ],
)
def test_a_scanner_that_did_not_work_fails_the_audit(
    as_dev, monkeypatch, tmp_path, capsys, says, exit_code, told
):
    program = tmp_path / "checkov"
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit {exit_code}\n")
    program.chmod(0o755)
    monkeypatch.setattr(checkov, "CHECKOV", program)
    assert command_line.main(["dev", "--engine", "postgresql"]) == 1
    output = capsys.readouterr()
    assert told in output.out + output.err


@needs_scanners
def test_a_pack_that_says_nothing_is_told(control, tmp_path):
    shutil.copytree(control, tmp_path, dirs_exist_ok=True)
    assembly = Assembly(DEV, tmp_path)
    lines = assembly.evaluations.read_text().splitlines()
    assembly.evaluations.write_text("\n".join(line for line in lines if '"pack":"AwsSolutions"' not in line))
    with pytest.raises(auditing.AuditFailed, match="AwsSolutions reports what its rules did not come to"):
        cdk_nag.scans(assembly)
    report = assembly.directory / "validation-report.json"
    report.write_text(json.dumps({"pluginReports": []}))
    silent = [scan.scanner for scan in cdk_nag.scans(assembly) if not scan.looked]
    assert silent == ["AwsSolutions"]


@needs_scanners
@pytest.mark.skipif(sys.platform != "linux", reason="no network namespaces here: shown on Linux")
def test_no_scanner_needs_a_network(control):
    """Else what is found would depend on the day, and templates would go to whoever answers."""
    code = """
import sys
from pathlib import Path
from audit import auditing
from audit.assembly import Assembly
from audit.findings import Target
assembly = Assembly(Target("control", ""), Path(sys.argv[1]))
sys.exit(not all(scanner.scan(assembly).found for scanner in auditing.OF_TEMPLATES))
"""
    cut_off = [str(shutil.which("unshare")), "--map-root-user", "--net"]
    subprocess.run(
        [*cut_off, sys.executable, "-c", code, str(control)], check=True, cwd=page.PROJECT, timeout=120
    )
