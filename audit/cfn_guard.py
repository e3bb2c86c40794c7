"""cfn-guard with the rules of AWS Control Tower's proactive controls, as their package bundles them."""

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from audit.assembly import Assembly, AuditFailed
from audit.findings import Finding, Scan
from audit.installed import CFN_GUARD

RULES = CFN_GUARD / "rules" / "control-tower" / "cfn-guard"
CONTROL_ID = re.compile(r"\[(CT\.[A-Z0-9]+\.PR\.\d+)\]")
DONE, RULES_FAILED = 0, 19
"""cfn-guard's exit codes for a run that looked at everything."""


def scan(assembly: Assembly) -> Scan:
    """Return what cfn-guard says of each rule on each stack that it applies to.

    These rules know no word in a template by which they would look away, so that what is acknowledged is
    taken off here.
    """
    compliant, found = 0, set()
    for report in _run(assembly):
        template = Path(report["name"]).name
        compliant += len(report["compliant"])
        for failed in report["not_compliant"]:
            found |= set(_findings(assembly, template, failed["Rule"]))
    accepted = {(a.resource, a.rule) for a in assembly.acknowledgements}
    left = frozenset(f for f in found if (f.resource, f.rule) not in accepted)
    return Scan("cfn-guard", compliant, frozenset(found), left)


def _run(assembly: Assembly) -> list[dict[str, Any]]:
    data = [part for path in assembly.templates(assembly.stripped) for part in ("--data", str(path))]
    how = ["--structured", "--output-format", "json", "--show-summary", "none"]
    command = [str(_program()), "validate", "--rules", str(RULES), *data, *how]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode not in (DONE, RULES_FAILED):
        raise AuditFailed(f"cfn-guard failed on {assembly.target}:\n{result.stderr.strip()[-4000:]}")
    reports: list[dict[str, Any]] = json.loads(result.stdout)
    return reports


@cache
def _program() -> Path:
    system = {"linux": "ubuntu", "darwin": "macos"}.get(sys.platform, sys.platform)
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
    program = CFN_GUARD / "bin" / system / machine / "cfn-guard"
    program.chmod(0o755)  # its package does not say that it is a program
    return program


def _findings(assembly: Assembly, template: str, rule: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each resource that a failed rule names in its report, or for the template."""
    text = json.dumps(rule)
    control = CONTROL_ID.search(text)
    name = control[1] if control else rule["name"]
    message = next(_strings(rule, "custom_message", "message"), "")
    named = sorted(set(re.findall(r'"/Resources/([A-Za-z0-9]+)', text)))
    for resource in [assembly.path_of(template, logical_id) for logical_id in named] or [template]:
        yield Finding(resource, name, " ".join(message.split()))


def _strings(value: Any, *keys: str) -> Iterator[str]:
    """Yield the texts that stand anywhere in a report under one of `keys`."""
    if isinstance(value, dict):
        yield from (value[key] for key in keys if isinstance(value.get(key), str) and "[CT." in value[key])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _strings(item, *keys)
