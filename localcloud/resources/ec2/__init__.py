"""Amazon EC2: networks, routes, security groups and endpoints. No instances: nothing boots here."""

from __future__ import annotations

from localcloud.resources.base import Handler
from localcloud.resources.ec2 import endpoints, networks, routes, security_groups

HANDLERS: dict[str, Handler] = {
    **endpoints.HANDLERS,
    **networks.HANDLERS,
    **routes.HANDLERS,
    **security_groups.HANDLERS,
}
