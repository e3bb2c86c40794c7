"""A synthesized target: its templates as they are deployed and stripped, and what is acknowledged in it."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from audit.findings import Acknowledgement, Target
from audit.installed import PYTHON_PACKAGES
from stacks.acknowledgements import scanner_of
from stacks.assets import PROJECT

SCANNERS_METADATA = ("checkov", "cfn-lint", "guard", "cfn_nag", "cdk_nag")
"""Where scanners look in a resource, and in a whole template, for what they shall not find."""
ACKNOWLEDGED = "aws:cdk:acknowledged-rules"


class AuditFailed(Exception):
    """A scanner, or a synth, did not do its work; the message has its words."""


@dataclass(frozen=True)
class Assembly:
    """The cloud assembly of one target, and its templates once more in a folder beside it, stripped."""

    target: Target
    directory: Path

    @property
    def stripped(self) -> Path:
        """The folder of the templates without what would have a scanner look away."""
        return self.directory / "stripped"

    @property
    def evaluations(self) -> Path:
        """What cdk-nag's packs came to, a line each; audit/evaluations.cjs writes it."""
        return self.directory / "evaluations.jsonl"

    def templates(self, directory: Path | None = None) -> list[Path]:
        """The templates as they are deployed, or those of another folder."""
        return sorted((directory or self.directory).glob("*.template.json"))

    @cached_property
    def resource_count(self) -> int:
        """How many resources the stacks have."""
        return sum(len(json.loads(path.read_text())["Resources"]) for path in self.templates())

    @cached_property
    def acknowledgements(self) -> frozenset[Acknowledgement]:
        """What stacks/acknowledgements.py recorded."""
        return frozenset(
            Acknowledgement(path, rule, reason)
            for path, entry in self._metadata
            if entry["type"] == ACKNOWLEDGED
            for rule, reason in entry["data"].items()
            if scanner_of(rule)  # the CDK acknowledges what its own validation finds in its own constructs
        )

    def path_of(self, template: str, logical_id: str) -> str:
        """Return the construct's path of a resource, by the name of its template and its logical id."""
        return self._paths.get((template.removesuffix(".template.json"), logical_id), logical_id)

    @cached_property
    def _paths(self) -> dict[tuple[str, str], str]:
        return {
            (path.partition("/")[0], entry["data"]): path
            for path, entry in self._metadata
            if entry["type"] == "aws:cdk:logicalId"
        }

    @cached_property
    def _metadata(self) -> list[tuple[str, dict[str, Any]]]:
        """What stands beside the templates, by the construct's path."""
        return [
            (path.removeprefix("/"), entry)
            for file in sorted(self.directory.glob("*.metadata.json"))
            for path, entries in json.loads(file.read_text()).items()
            for entry in entries
        ]


def synthesize(target: Target, directory: Path, *, packs: bool = True) -> Assembly:
    """Return the assembly of a target, synthesized under cdk-nag's packs into an empty `directory`.

    Without the packs, cdk-nag does not have to be there.

    Raises AuditFailed with the words of the synth.
    """
    assembly = Assembly(target, directory)
    preload = f'--require "{PROJECT / "audit" / "evaluations.cjs"}"'
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (PROJECT, PYTHON_PACKAGES))),
        "AUDIT_EVALUATIONS": str(assembly.evaluations),
        "NODE_OPTIONS": f"{os.environ.get('NODE_OPTIONS', '')} {preload}".strip(),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    }
    command = [
        sys.executable,
        "-m",
        "audit.app",
        target.kind,
        target.engine,
        str(directory),
        *["--without-packs"] * (not packs),
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if not (directory / ("validation-report.json" if packs else "manifest.json")).is_file():
        raise AuditFailed(f"{target} could not be synthesized:\n{result.stderr.strip()[-4000:]}")
    strip(assembly)
    return assembly


def strip(assembly: Assembly) -> None:
    """Write the templates once more, without what would have a scanner look away."""
    assembly.stripped.mkdir(exist_ok=True)
    for path in assembly.templates():
        template = json.loads(path.read_text())
        (assembly.stripped / path.name).write_text(json.dumps(without_acknowledgements(template), indent=1))


def without_acknowledgements(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template in which every scanner finds what it would find without us."""
    stripped = copy.deepcopy(template)
    for part in (stripped, *stripped["Resources"].values()):
        for key in SCANNERS_METADATA:
            part.get("Metadata", {}).pop(key, None)
    return stripped
