"""What an estimate assumes where no template can tell: two ways to use the same deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

HOURS_A_MONTH = 730
DAYS_A_MONTH = 30


@dataclass(frozen=True)
class Usage:
    """How much a deployment does in a month."""

    name: str
    storage_gb: Decimal
    io_millions: Decimal
    changed_gb_a_day: Decimal
    """What backups hold beyond the volume itself: it is free up to the volume's size."""
    million_records_an_hour: Decimal
    """Change records that backtrack keeps."""
    log_gb: Decimal
    """By log group."""
    endpoint_gb: Decimal
    invocations: Decimal
    """By function."""
    seconds_an_invocation: Decimal
    at_full_capacity: bool
    """Serverless instances at their largest capacity for all hours, or at their smallest."""


IDLE = Usage(
    name="idle",
    storage_gb=Decimal(1),
    io_millions=Decimal(1),
    changed_gb_a_day=Decimal(0),
    million_records_an_hour=Decimal(0),
    log_gb=Decimal("0.1"),
    endpoint_gb=Decimal(0),
    invocations=Decimal(30),
    seconds_an_invocation=Decimal(5),
    at_full_capacity=False,
)
BUSY = Usage(
    name="busy",
    storage_gb=Decimal(100),
    io_millions=Decimal(200),
    changed_gb_a_day=Decimal(1),
    million_records_an_hour=Decimal("0.5"),
    log_gb=Decimal(2),
    endpoint_gb=Decimal(1),
    invocations=Decimal(3000),
    seconds_an_invocation=Decimal(5),
    at_full_capacity=True,
)
BOTH = (IDLE, BUSY)


def assumptions() -> Mapping[str, tuple[str, str]]:
    """Return what is assumed, idle and busy, in words."""
    return {
        "hours a month": (str(HOURS_A_MONTH), str(HOURS_A_MONTH)),
        "serverless capacity": ("the smallest, all hours", "the largest, all hours"),
        **{what: (f"{idle:f}", f"{busy:f}") for what, (idle, busy) in _figures().items()},
    }


def _figures() -> Mapping[str, tuple[Decimal, Decimal]]:
    return {
        "data, GB": (IDLE.storage_gb, BUSY.storage_gb),
        "I/O requests, millions": (IDLE.io_millions, BUSY.io_millions),
        "data changed a day, GB": (IDLE.changed_gb_a_day, BUSY.changed_gb_a_day),
        "backtrack, million change records an hour": (
            IDLE.million_records_an_hour,
            BUSY.million_records_an_hour,
        ),
        "logs by log group, GB": (IDLE.log_gb, BUSY.log_gb),
        "through each interface endpoint, GB": (IDLE.endpoint_gb, BUSY.endpoint_gb),
        "invocations by function": (IDLE.invocations, BUSY.invocations),
        "seconds by invocation": (IDLE.seconds_an_invocation, BUSY.seconds_an_invocation),
    }
