"""docs/audit.md is current, as far as that shows without the scanners."""

from __future__ import annotations

import pytest

from audit import page
from audit.assembly import synthesize
from audit.findings import every_target


@pytest.mark.slow
@pytest.mark.parametrize("target", [pytest.param(target, id=str(target)) for target in every_target()])
def test_the_page_has_the_acknowledgements_of_this_commit(target, tmp_path):
    """The counts need the scanners, and `make audit` compares them; the reasons are here without."""
    assembly = synthesize(target, tmp_path, packs=False)
    written = page.PAGE.read_text()
    for reason, resources, rules in page.grouped(assembly.acknowledgements):
        (row,) = [
            line for line in written.splitlines() if line.startswith(page.row(reason, rules, resources))
        ]
        assert "everywhere" in row or str(target) in row
    assert f"| {target.kind} | {target.engine} | {assembly.resource_count} |" in written
