"""Whether security groups let a TCP connection pass, by the rules that moto's EC2 has on record.

Groups are stateful: what answers a connection needs no rule.
https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from moto.ec2.models import EC2Backend

from localcloud.network.interfaces import Dropped, Interface

ANYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True)
class Peer:
    """The other end of a connection: where it may be, and what rules can name it by beside its addresses."""

    networks: tuple[IPv4Network, ...]
    groups: tuple[str, ...] = ()
    prefix_list: str | None = None
    """What AWS calls these networks; for people."""

    def __str__(self) -> str:
        """Return it as a refusal names it."""
        known_as = ", ".join(self.groups) or self.prefix_list
        networks = ", ".join(str(network).removesuffix("/32") for network in self.networks)
        return f"{networks} ({known_as})" if known_as else networks


def check(source: Interface, target: Interface, port: int) -> None:
    """Let a connection pass that rules of both sides allow; else Dropped, naming the side that does not."""
    for address in target.addresses.values():
        leave(source, Peer((IPv4Network(address),), target.security_groups), port)
    for address in source.addresses.values():
        enter(target, Peer((IPv4Network(address),), source.security_groups), port)


def leave(source: Interface, peer: Peer, port: int) -> None:
    """Let out what an egress rule of the source allows; else Dropped."""
    if not _allow(source, "egress", peer, port):
        raise Dropped(f"no egress rule of {_groups(source)} allows tcp/{port} to {peer}")


def enter(target: Interface, peer: Peer, port: int) -> None:
    """Let in what an ingress rule of the target allows; else Dropped."""
    if not _allow(target, "ingress", peer, port):
        raise Dropped(f"no ingress rule of {_groups(target)} allows tcp/{port} from {peer}")


def _allow(side: Interface, direction: str, peer: Peer, port: int) -> bool:
    rules = [rule for rule in _rules(side.ec2, side.security_groups, direction) if _is_for(rule, port)]
    if any(rule.source_group.get("GroupId") in peer.groups for rule in rules):
        return True
    allowed = [network for rule in rules for network in _networks(side.ec2, rule)]
    return all(any(network.subnet_of(one) for one in allowed) for network in peer.networks)


def _rules(ec2: EC2Backend, groups: Sequence[str], direction: str) -> Iterator[Any]:
    for group_id in groups:
        group = ec2.get_security_group_from_id(group_id)
        if group is not None:
            yield from getattr(group, f"{direction}_rules")


def _is_for(rule: Any, port: int) -> bool:
    if rule.ip_protocol == "-1":
        return True
    return bool(rule.ip_protocol == "tcp" and rule.from_port <= port <= rule.to_port)


def _networks(ec2: EC2Backend, rule: Any) -> Iterator[IPv4Network]:
    if rule.cidr_ipv4:
        yield IPv4Network(rule.cidr_ipv4, strict=False)
    elif rule.prefix_list_id in ec2.managed_prefix_lists:
        yield from prefix_list_networks(ec2.managed_prefix_lists[rule.prefix_list_id])


def prefix_list_networks(prefix_list: Any) -> tuple[IPv4Network, ...]:
    """Return the networks of a prefix list's current version."""
    if prefix_list.address_family != "IPv4" or not prefix_list.entries:
        return ()
    entries = prefix_list.entries[prefix_list.version or max(prefix_list.entries)]
    return tuple(IPv4Network(entry["Cidr"]) for entry in entries)


def _groups(side: Interface) -> str:
    return ", ".join(side.security_groups)
