"""What an instance has room for, as AWS documents it: memory and connections, by capacity and engine."""

from __future__ import annotations

import re

from stacks.settings import Instances, ServerlessV2

GIB = 1024**3
ACU_BYTES = 2 * GIB
"""An Aurora capacity unit is about 2 GiB, with the processor and network that go with it."""

# "Maximum connections for Aurora Serverless v2", by the maximum of the capacity:
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
CONNECTIONS_BY_ACU = {
    "mysql": {1: 90, 4: 135, 8: 1000, 16: 2000, 32: 3000, 64: 4000, 128: 5000},
    "postgresql": {1: 189, 4: 823, 8: 1669, 16: 3360, 32: 5000, 64: 5000, 128: 5000},
}
POSTGRESQL_CONNECTIONS_FROM_HALF_AN_ACU = 2000
"""The cap where the capacity may go down to 0.5 ACU, from the same page."""

# From the table of classes at AuroraMySQL.Managing.Performance.html#AuroraMySQL.Managing.MaxConnections, by
# the memory of a class: the formula takes logarithms of what the system leaves of it, which is less.
_MYSQL_CONNECTIONS_BY_GIB = {4: 90, 8: 135, 16: 1000, 32: 2000, 64: 3000, 128: 4000, 256: 5000, 512: 6000}

_LARGE_GIB = {"r": 16, "x": 32}
"""Memory in GiB of the size "large", by a family's first letter; xlarge has twice that, 4xlarge 8 times."""
_T_GIB = {"medium": 4, "large": 8}


def memory_bytes(capacity: ServerlessV2 | Instances) -> int:
    """Return what one instance has, at its largest.

    FreeableMemory of a serverless instance counts against its maximum, too: what is free once it has grown.
    """
    if isinstance(capacity, ServerlessV2):
        return int(capacity.max_capacity_acu * ACU_BYTES)
    return _class_gib(capacity) * GIB


def max_connections(engine: str, capacity: ServerlessV2 | Instances) -> int:
    """Return how many connections an instance takes by default: our parameter groups do not set it.

    A capacity between two documented ones counts as the smaller; below the smallest, as that.
    """
    if isinstance(capacity, ServerlessV2):
        documented = CONNECTIONS_BY_ACU[engine]
        most = max(acu for acu in documented if acu <= max(capacity.max_capacity_acu, 1))
        if engine == "postgresql" and capacity.min_capacity_acu <= 0.5:
            return min(documented[most], POSTGRESQL_CONNECTIONS_FROM_HALF_AN_ACU)
        return documented[most]
    memory = _class_gib(capacity) * GIB
    if engine == "postgresql":
        # LEAST({DBInstanceClassMemory/9531392},5000); the class's memory is a little less than its GiB, by
        # what the system takes: AuroraPostgreSQL.Managing.html#AuroraPostgreSQL.Managing.MaxConnections
        return min(memory // 9531392, 5000)
    most = max(gib for gib in _MYSQL_CONNECTIONS_BY_GIB if gib <= max(memory // GIB, 4))
    return _MYSQL_CONNECTIONS_BY_GIB[most]


def class_gib(capacity: Instances) -> int | None:
    """Return the memory of a class in GiB, or None where it is not known."""
    family, _, size = capacity.instance_class.partition(".")
    if family.startswith("t"):
        return _T_GIB.get(size)
    doubled = re.fullmatch(r"(\d*)x?large", size)
    large = _LARGE_GIB.get(family[:1])
    if large is None or doubled is None:
        return None
    return large if size == "large" else large * 2 * int(doubled[1] or 1)


def _class_gib(capacity: Instances) -> int:
    gib = class_gib(capacity)
    if gib is None:
        raise ValueError(f"instance_class={capacity.instance_class}: its memory is not known")
    return gib
