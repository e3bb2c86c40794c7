"""Security groups as EC2 evaluates them: by port, protocol, address, group and prefix list, on both sides.

https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

import re

import pytest
from moto.ec2.models import EC2Backend

from localcloud.network import security_groups
from localcloud.network.interfaces import Dropped, interface

PORT = 5432
ANYWHERE = {"ip_ranges": [{"CidrIp": "0.0.0.0/0"}]}


class World:
    """Two groups in one VPC that let nobody in and nobody out, and an interface in each."""

    def __init__(self):
        self.ec2 = EC2Backend("eu-west-1", "123456789012")
        self.vpc = self.ec2.create_vpc("10.9.0.0/16")
        self.subnets = [
            self.ec2.create_subnet(self.vpc.id, f"10.9.{n}.0/24", availability_zone=f"eu-west-1{zone}").id
            for n, zone in enumerate("ab")
        ]
        self.source, self.target = self.group("source"), self.group("target")

    def group(self, name):
        made = self.ec2.create_security_group(name, name, self.vpc.id)
        self.ec2.revoke_security_group_egress(made.id, "-1", None, None, **ANYWHERE)
        return made.id

    def allow(self, direction, group, *, protocol="tcp", ports=(PORT, PORT), **peer):
        getattr(self.ec2, f"authorize_security_group_{direction}")(
            group, protocol, *ports, **{"ip_ranges": [], **peer}
        )

    def check(self):
        function = interface(self.ec2, "function", self.subnets, [self.source])
        cluster = interface(self.ec2, "cluster", self.subnets, [self.target])
        security_groups.check(function, cluster, PORT)

    def reason(self):
        with pytest.raises(Dropped) as dropped:
            self.check()
        return str(dropped.value)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def out(world):
    """A world in which everything may go out."""
    world.allow("egress", world.source, protocol="-1", ports=(None, None), **ANYWHERE)
    return world


def test_nothing_passes_without_rules_and_egress_is_asked_first(world):
    reason = rf"no egress rule of {world.source} allows tcp/5432 to 10\.9\.0\.\d+ \({world.target}\)"
    assert re.fullmatch(reason, world.reason())


def test_egress_alone_does_not_suffice(out):
    reason = rf"no ingress rule of {out.target} allows tcp/5432 from 10\.9\.0\.\d+ \({out.source}\)"
    assert re.fullmatch(reason, out.reason())


def test_ingress_alone_does_not_suffice(world):
    world.allow("ingress", world.target, source_groups=[{"GroupId": world.source}])
    assert world.reason().startswith("no egress rule")


@pytest.mark.parametrize(
    "rule",
    [
        {"source_groups": [{"GroupId": "source"}]},
        {"ip_ranges": [{"CidrIp": "10.9.0.0/16"}]},
        {"ip_ranges": [{"CidrIp": "10.9.0.0/24"}, {"CidrIp": "10.9.1.0/24"}]},
        {"ports": (5000, 6000), **ANYWHERE},
        {"protocol": "6", **ANYWHERE},
        {"protocol": "-1", "ports": (None, None), **ANYWHERE},
    ],
    ids=["group", "network", "networks of both subnets", "range of ports", "protocol number", "all traffic"],
)
def test_a_rule_that_names_the_caller_and_the_port_admits(out, rule):
    groups = [{"GroupId": getattr(out, one["GroupId"])} for one in rule.get("source_groups", [])]
    out.allow("ingress", out.target, **{**rule, **({"source_groups": groups} if groups else {})})
    out.check()


@pytest.mark.parametrize(
    "rule",
    [
        {"ports": (5433, 5433), **ANYWHERE},
        {"ports": (1, 5431), **ANYWHERE},
        {"protocol": "udp", **ANYWHERE},
        {"protocol": "icmp", "ports": (-1, -1), **ANYWHERE},
        {"ip_ranges": [{"CidrIp": "10.8.0.0/16"}]},
        {"ip_ranges": [{"CidrIp": "10.9.0.0/24"}]},
        {"ip_ranges": [{"CidrIpv6": "::/0"}]},
    ],
    ids=["port", "ports", "udp", "icmp", "network", "network of one subnet of two", "IPv6"],
)
def test_a_rule_for_something_else_does_not_admit(out, rule):
    out.allow("ingress", out.target, **rule)
    assert out.reason().startswith("no ingress rule")


def test_a_rule_for_another_group_does_not_admit(out):
    out.allow("ingress", out.target, source_groups=[{"GroupId": out.group("other")}])
    assert out.reason().startswith("no ingress rule")


def test_a_group_that_names_itself_admits_its_own_members_only(out):
    out.allow("ingress", out.target, source_groups=[{"GroupId": out.target}])
    assert out.reason().startswith("no ingress rule")
    out.source = out.target
    out.allow("egress", out.target, protocol="-1", ports=(None, None), **ANYWHERE)
    out.check()


def test_rules_of_all_groups_of_an_interface_count(out):
    both = [out.target, out.group("second")]
    out.allow("ingress", both[1], source_groups=[{"GroupId": out.source}])
    function = interface(out.ec2, "function", out.subnets, [out.source])
    security_groups.check(function, interface(out.ec2, "cluster", out.subnets, both), PORT)


def test_a_prefix_list_admits_the_addresses_in_it(out):
    def listed(*networks):
        entries = [{"Cidr": network} for network in networks]
        return out.ec2.create_managed_prefix_list("IPv4", entries, prefix_list_name="own").id

    out.allow("ingress", out.target, prefix_list_ids=[{"PrefixListId": listed("10.9.0.0/24")}])
    assert out.reason().startswith("no ingress rule"), "the function may run in its other subnet"
    out.allow("ingress", out.target, prefix_list_ids=[{"PrefixListId": listed("10.9.0.0/23")}])
    out.check()


def test_without_a_group_the_default_group_of_the_vpc_counts(out):
    default = out.ec2.get_default_security_group(out.vpc.id).id
    out.allow("ingress", default, source_groups=[{"GroupId": out.source}])
    function = interface(out.ec2, "function", out.subnets, [out.source])
    security_groups.check(function, interface(out.ec2, "cluster", out.subnets, []), PORT)


def test_addresses_lie_in_their_subnets_and_stay(out):
    one, again, other = (interface(out.ec2, name, out.subnets, []).addresses for name in ("a", "a", "b"))
    assert one == again != other
    assert [str(one[subnet]).rpartition(".")[0] for subnet in out.subnets] == ["10.9.0", "10.9.1"]
