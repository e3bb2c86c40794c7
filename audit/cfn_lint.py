"""cfn-lint: errors and warnings, as the tests of the stacks have them."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from audit.assembly import Assembly, AuditFailed
from audit.findings import Finding, Scan

PROGRAM = Path(sys.executable).parent / "cfn-lint"
LEVELS = ("Error", "Warning")


def scan(assembly: Assembly) -> Scan:
    """Return what cfn-lint says. It tells findings alone, so what is compliant is a resource without any."""
    found, left = (_found(assembly, assembly.templates(d)) for d in (assembly.stripped, assembly.directory))
    compliant = assembly.resource_count - len({finding.resource for finding in found})
    return Scan("cfn-lint", compliant, found, left)


def _found(assembly: Assembly, templates: Sequence[Path]) -> frozenset[Finding]:
    command = [str(PROGRAM), "--format", "json", "--", *map(str, templates)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        matches = json.loads(result.stdout)
    except ValueError:
        raise AuditFailed(f"cfn-lint gave no report on {assembly.target}:\n{result.stderr.strip()}") from None
    findings = set()
    for match in matches:
        if match["Level"] not in LEVELS:
            continue
        template, where = Path(match["Filename"]).name, match["Location"]["Path"] or []
        in_resource = len(where) > 1 and where[0] == "Resources"
        resource = (
            assembly.path_of(template, where[1]) if in_resource else f"{template}/{'/'.join(map(str, where))}"
        )
        advice = f"{match['Message']} ({match['Rule']['ShortDescription']}; {match['Rule']['Source']})"
        findings.add(Finding(resource, match["Rule"]["Id"], advice))
    return frozenset(findings)
