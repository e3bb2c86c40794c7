"""Runs the synths and the scanners, several targets at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from audit import cdk_nag, cfn_guard, cfn_lint, checkov
from audit.assembly import AuditFailed, synthesize
from audit.findings import CONTROL, Audit, Target

__all__ = ["AuditFailed", "audit", "audit_all"]

OF_TEMPLATES = (cfn_lint, checkov, cfn_guard)
Scanned = Callable[[Target, str], None]


def audit_all(
    targets: Sequence[Target], directory: Path, *, progress: Scanned = lambda _target, _what: None
) -> Iterator[Audit]:
    """Yield the audit of each target as it is done, and that of the control, which must be found wrong.

    `progress` is told what is done. Raises AuditFailed when a scanner or a synth could not do its work.
    """
    shutil.rmtree(directory, ignore_errors=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        under_way = [
            pool.submit(audit, target, directory / str(target), progress)
            for target in (*targets, Target(CONTROL, ""))
        ]
        try:
            for done in as_completed(under_way):
                yield done.result()
        finally:
            for future in under_way:
                future.cancel()  # after the first failure the others would only be waited for


def audit(target: Target, directory: Path, progress: Scanned) -> Audit:
    """Return what all scanners say of one target, synthesized into `directory`."""
    directory.mkdir(parents=True)
    assembly = synthesize(target, directory)
    progress(target, "synthesized")
    scans = []
    for scanner in OF_TEMPLATES:
        scans.append(scanner.scan(assembly))
        progress(target, scans[-1].scanner)
    scans += cdk_nag.scans(assembly)
    return Audit(target, assembly.resource_count, tuple(scans), assembly.acknowledgements)
