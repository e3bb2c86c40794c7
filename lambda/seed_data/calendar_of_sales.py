"""When a generator's invoices are made: on working days, in working hours, each later than the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta

from seed_data import real_shape as real
from seed_data.catalogue import picks

FIRST_DAY = date(2010, 12, 1)
_SATURDAY = 5
_HOLIDAYS = ((12, 24), (12, 25), (12, 26), (12, 31), (1, 1), (1, 2), (1, 3))


def moments(random: Callable[[], float]) -> Iterator[str]:
    """Yield moments without end, written as the file does: 2010-12-01 08:26:00."""
    hours = picks(list(real.INVOICES_OF_AN_HOUR.items()), 1024)
    day = FIRST_DAY
    while True:
        if day.weekday() != _SATURDAY and (day.month, day.day) not in _HOLIDAYS:
            usual = real.INVOICES_OF_A_DAY[day.month - 1]
            invoices = round(usual * (0.7 + 0.6 * random()))
            minutes = sorted(hours[int(random() * 1024)] * 60 + int(random() * 60) for _ in range(invoices))
            for minute in minutes:
                yield f"{day} {minute // 60:02}:{minute % 60:02}:00"
        day += timedelta(days=1)
