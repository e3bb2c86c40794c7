"""What a smoke test found: for CloudFormation, for the log, for a person."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class CheckResult:
    """One check's outcome; `detail` says what was seen, and of a failed check also what was expected."""

    name: str
    passed: bool
    milliseconds: float
    detail: str


@dataclass(frozen=True)
class Report:
    """The outcome of one smoke test."""

    database: str
    writer_version: str
    reader_version: str
    milliseconds: float
    checks: tuple[CheckResult, ...]

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def result(self) -> str:
        """`passed`, or `failed` where any check did, or where there was none."""
        return "passed" if self.checks and not self.failures else "failed"

    def as_json(self) -> dict[str, object]:
        """Return the whole report as JSON's types."""
        return {"result": self.result} | asdict(self) | {"checks": [asdict(check) for check in self.checks]}

    def as_resource_data(self) -> dict[str, object]:
        """Return what the custom resource hands to CloudFormation: well under its 4,096 bytes.

        `Report` gives each check's milliseconds; what each has seen stands in the log alone.
        """
        times = {check.name: check.milliseconds for check in self.checks}
        return {
            "Result": self.result,
            "Checks": len(self.checks),
            "Milliseconds": self.milliseconds,
            "ServerVersion": self.writer_version,
            "Report": json.dumps(times, separators=(",", ":")),
        }


class SmokeTestFailed(Exception):
    """Names each check that failed, with what was expected and what was seen."""

    def __init__(self, report: Report) -> None:
        failed = "; ".join(f"{check.name}: {check.detail}" for check in report.failures)
        super().__init__(
            f"{len(report.failures)} of {len(report.checks)} checks failed: {failed or 'none ran'}"
        )
        self.report = report
