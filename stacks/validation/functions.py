"""Problems of the functions' settings."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.settings import FunctionSettings
from stacks.validation.logs import of_log_retention

MOST_RESERVED_CONCURRENCY = 100


def of_functions(functions: FunctionSettings) -> Iterator[str]:
    """Yield what Lambda, or the custom-resource framework, would not take."""
    if not 1 <= functions.timeout_minutes <= 14:
        yield (
            f"timeout_minutes={functions.timeout_minutes} is outside 1 to 14: the custom-resource framework "
            "around a function ends after 15 minutes, and has to answer CloudFormation; choose 14 or less"
        )
    if not 128 <= functions.memory_mib <= 10240:
        yield f"memory_mib={functions.memory_mib} is outside Lambda's 128 to 10240; choose for example 512"
    reserved = functions.reserved_concurrency
    if reserved is not None and not 1 <= reserved <= MOST_RESERVED_CONCURRENCY:
        yield (
            f"reserved_concurrency={reserved} is outside 1 to {MOST_RESERVED_CONCURRENCY}: each function has "
            "as many, and Lambda keeps 100 of an account's 1000 for all others; choose for example 2, or None"
        )
    for name, value, allowed in (
        ("platform", functions.platform, ("lambda", "host")),
        ("certificate_authorities", functions.certificate_authorities, ("packaged", "system")),
    ):
        if value not in allowed:
            yield f"{name}={value!r} is not known; choose {' or '.join(allowed)}"
    yield from of_log_retention("log_retention_days of the functions", functions.log_retention_days)
