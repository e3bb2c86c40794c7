"""Reads a synthesized cloud assembly."""

import json
from pathlib import Path
from typing import Any


def resource_counts(assembly: Path) -> dict[str, int]:
    """Return how many resources each stack's template has, by the stack's name."""
    return {stack: len(template["Resources"]) for stack, template in templates(assembly).items()}


def templates(assembly: Path) -> dict[str, dict[str, Any]]:
    """Return each stack's template, by the stack's name."""
    manifest = json.loads((assembly / "manifest.json").read_text())
    return {
        artifact["properties"]["stackName"]: _template(assembly, artifact)
        for artifact in manifest["artifacts"].values()
        if artifact["type"] == "aws:cloudformation:stack"
    }


def _template(assembly: Path, artifact: dict[str, Any]) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((assembly / artifact["properties"]["templateFile"]).read_text())
    return template
