"""Problems of the alarms' settings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stacks.settings import ObservabilitySettings

MOST_HOURS_OF_AN_ALARM = 7 * 24  # PutMetricAlarm: periods of an hour or longer make up seven days at most


def of_observability(observability: ObservabilitySettings) -> Iterator[str]:
    """Yield addresses and thresholds that no alarm can have."""
    email, hours = observability.alarm_email, observability.longest_without_orders_hours
    if email is not None and not re.fullmatch(
        r"[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}", email
    ):
        yield f"alarm_email={email!r} is no address that a message reaches; give one such as ops@example.com"
    if hours is not None and not 1 <= hours <= MOST_HOURS_OF_AN_ALARM:
        yield (
            f"longest_without_orders_hours={hours} is outside 1 to {MOST_HOURS_OF_AN_ALARM}: CloudWatch's "
            "alarms look back seven days at most; choose for example 48, or None for no alarm"
        )
    if not 1 <= observability.storage_growth_gib_a_day <= 10_240:
        yield (
            f"storage_growth_gib_a_day={observability.storage_growth_gib_a_day} is outside 1 to 10240: "
            "nothing, or everything, would be an alarm; choose for example 10"
        )
