"""checkov --framework cloudformation, without a network."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from audit.assembly import Assembly, AuditFailed
from audit.findings import Finding, Scan
from audit.installed import CHECKOV


def scan(assembly: Assembly) -> Scan:
    """Return what checkov says of each rule on each resource that it applies to."""
    stripped, as_deployed = (_run(assembly, d) for d in (assembly.stripped, assembly.directory))
    return Scan(
        "checkov", len(stripped["passed_checks"]), _failed(assembly, stripped), _failed(assembly, as_deployed)
    )


def _run(assembly: Assembly, directory: Path) -> dict[str, Any]:
    files = [part for path in assembly.templates(directory) for part in ("--file", path.name)]
    command = [
        str(CHECKOV),
        "--framework",
        "cloudformation",
        "--output",
        "json",
        "--compact",
        "--skip-download",
    ]
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("BC_", "PRISMA_", "CKV_", "CHECKOV_"))
    }
    result = subprocess.run(
        [*command, *files],
        cwd=directory, env={**environment, "LOG_LEVEL": "ERROR"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        report = json.loads(result.stdout)
        results: dict[str, Any] = report["results"]
    except (ValueError, TypeError, KeyError):
        raise AuditFailed(f"checkov gave no report on {assembly.target}:\n{result.stderr.strip()}") from None
    if results.get("parsing_errors"):
        raise AuditFailed(f"checkov could not read {results['parsing_errors']} of {assembly.target}")
    return results


def _failed(assembly: Assembly, results: dict[str, Any]) -> frozenset[Finding]:
    return frozenset(
        Finding(
            assembly.path_of(Path(check["file_path"]).name, check["resource"].partition(".")[2]),
            check["check_id"],
            check["check_name"],
        )
        for check in results["failed_checks"]
    )
