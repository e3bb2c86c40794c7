"""cdk-nag's packs, which look at constructs while they are synthesized (audit/app.py)."""

import json
from typing import Any

from audit.assembly import Assembly, AuditFailed
from audit.findings import Finding, Scan

PACKS = ("AwsSolutions", "NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321", "Serverless")


def scans(assembly: Assembly) -> list[Scan]:
    """Return what each pack says of each rule on each resource that it applies to.

    What it finds is what its rules came to (audit/evaluations.cjs), what is left of it, its own report.
    """
    report = json.loads((assembly.directory / "validation-report.json").read_text())
    left: dict[str, set[tuple[str, str]]] = {pack: set() for pack in PACKS}
    for plugin in report["pluginReports"]:
        if "error" in (plugin.get("metadata") or {}):
            raise AuditFailed(f"{plugin['pluginName']} of cdk-nag: {plugin['metadata']['error']}")
        if plugin["pluginName"] in left:
            left[plugin["pluginName"]] |= {
                (construct["constructPath"], violation["ruleName"])
                for violation in plugin["violations"]
                for construct in violation["violatingConstructs"]
            }
    lines = assembly.evaluations.read_text().splitlines() if assembly.evaluations.is_file() else []
    came_to = {line["pack"]: line for line in map(json.loads, lines)}
    return [_of_pack(pack, came_to.get(pack, {"compliant": 0, "found": []}), left[pack]) for pack in PACKS]


def _of_pack(pack: str, came_to: dict[str, Any], left: set[tuple[str, str]]) -> Scan:
    found = frozenset(Finding(f["resource"], f["rule"], f["advice"]) for f in came_to["found"])
    unseen = left - {(finding.resource, finding.rule) for finding in found}
    if unseen:
        raise AuditFailed(f"{pack} reports what its rules did not come to: {sorted(unseen)}")
    return Scan(
        pack, came_to["compliant"], found, frozenset(f for f in found if (f.resource, f.rule) in left)
    )
