"""docs/audit.md is current, as far as that shows without the scanners."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audit import page
from audit.assembly import Assembly, synthesize
from audit.findings import Target, every_target


@pytest.mark.slow
def test_the_page_has_the_acknowledgements_and_the_resources_of_this_commit(tmp_path):
    """The counts of checks need the scanners, and `.ci/run` compares them; this needs a synth."""

    def synthesized(target: Target) -> Assembly:
        directory: Path = tmp_path / str(target)
        directory.mkdir()
        return synthesize(target, directory, packs=False)

    with ThreadPoolExecutor(2) as pool:
        assemblies = list(pool.map(synthesized, every_target()))
    written = page.PAGE.read_text()
    now = page.acknowledgements_of({each.target: each.acknowledgements for each in assemblies})
    assert "\n".join(now) in written, "run make audit, look at what changed, and commit its page"
    for each in assemblies:
        assert f"| {each.target.kind} | {each.target.engine} | {each.resource_count} |" in written
