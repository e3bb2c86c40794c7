"""How an API call leaves a VPC, if it does: interface endpoint, gateway endpoint, NAT gateway."""

import pytest
from moto.ec2.models import EC2Backend

from localcloud import moto_network_seams
from localcloud.network.interfaces import Dropped, interface
from localcloud.network.routes import path_to_service

REGION = "eu-west-1"
ANYWHERE = {"ip_ranges": [{"CidrIp": "0.0.0.0/0"}]}
S3_LIST = "pl-6da54004"
"""`aws ec2 describe-prefix-lists --region eu-west-1` says so."""


class World:
    """A function in two isolated subnets, each with a route table of its own, and in an open group."""

    def __init__(self):
        self.ec2 = EC2Backend(REGION, "123456789012")
        self.vpc = self.ec2.create_vpc("10.9.0.0/16")
        self.vpc.enable_dns_hostnames = True
        self.subnets = [self.subnet(n, zone) for n, zone in enumerate("ab")]
        self.tables = [self.table(subnet) for subnet in self.subnets]
        self.function_group = self.ec2.create_security_group("function", "f", self.vpc.id).id

    def subnet(self, number, zone):
        name = f"10.9.{number}.0/24"
        return self.ec2.create_subnet(self.vpc.id, name, availability_zone=f"{REGION}{zone}").id

    def table(self, subnet):
        table = self.ec2.create_route_table(self.vpc.id).id
        self.ec2.associate_route_table(table, subnet_id=subnet)
        return table

    def endpoint(self, service="secretsmanager", *, admits=True, private_dns=True, subnets=None):
        group = self.ec2.create_security_group(f"endpoint of {service}", "e", self.vpc.id).id
        if admits:
            self.ec2.authorize_security_group_ingress(
                group, "tcp", 443, 443, [], source_groups=[{"GroupId": self.function_group}]
            )
        made = self.ec2.create_vpc_endpoint(
            self.vpc.id,
            f"com.amazonaws.{REGION}.{service}",
            "Interface",
            '{"Statement": []}',
            [],
            self.subnets[:1] if subnets is None else subnets,
            security_group_ids=[group],
            private_dns_enabled=private_dns,
        )
        return made, group

    def gateway_endpoint(self, tables, service="s3"):
        name = f"com.amazonaws.{REGION}.{service}"
        return self.ec2.create_vpc_endpoint(self.vpc.id, name, "Gateway", None, list(tables))

    def internet_gateway(self, table):
        gateway = self.ec2.create_internet_gateway().id
        self.ec2.attach_internet_gateway(gateway, self.vpc.id)
        self.ec2.create_route(table, "0.0.0.0/0", gateway_id=gateway)
        return gateway

    def nat(self, *, tables, public=True, way_out=True):
        subnet = self.subnet(100, "c")
        table = self.table(subnet)
        if way_out:
            self.internet_gateway(table)
        address = self.ec2.allocate_address("vpc").allocation_id if public else None
        kind = "public" if public else "private"
        nat = self.ec2.create_nat_gateway(subnet, address, connectivity_type=kind).id
        for one in tables:
            self.ec2.create_route(one, "0.0.0.0/0", nat_gateway_id=nat)
        return nat

    def path(self, service="secretsmanager", region=REGION):
        function = interface(self.ec2, "function", self.subnets, [self.function_group])
        return path_to_service(function, service, region)

    def reason(self, service="secretsmanager", region=REGION):
        with pytest.raises(Dropped) as dropped:
            self.path(service, region)
        return str(dropped.value)

    def close_egress(self, **but):
        self.ec2.revoke_security_group_egress(self.function_group, "-1", None, None, **ANYWHERE)
        if but:
            self.ec2.authorize_security_group_egress(
                self.function_group, "tcp", 443, 443, **{"ip_ranges": [], **but}
            )


@pytest.fixture
def world():
    moto_network_seams.install()
    return World()


def test_an_isolated_subnet_leads_nowhere(world):
    assert world.reason() == (
        f"{world.vpc.id} has no endpoint of com.amazonaws.{REGION}.secretsmanager,"
        f" and {world.tables[0]} of {world.subnets[0]} has no route to the internet"
    )


def test_an_interface_endpoint_in_another_zone_does(world):
    endpoint, _ = world.endpoint(subnets=[world.subnets[1]])
    path = world.path()
    assert path.endpoint_id == endpoint.id
    assert path.endpoint_policy == '{"Statement": []}'
    assert path.context["aws:SourceVpce"] == endpoint.id
    assert path.context["aws:SourceVpc"] == world.vpc.id
    assert path.context["aws:VpcSourceIp"].startswith("10.9.0.")


def test_an_endpoint_of_another_service_or_region_does_not(world):
    world.endpoint("kms")
    assert "has no endpoint of com.amazonaws.eu-west-1.secretsmanager" in world.reason()
    assert "has no endpoint of com.amazonaws.us-east-1.kms" in world.reason("kms", "us-east-1")


def test_an_endpoint_of_another_vpc_does_not(world):
    endpoint, _ = world.endpoint()
    endpoint.vpc_id = world.ec2.create_vpc("10.8.0.0/16").id
    assert "has no endpoint" in world.reason()


def test_a_deleted_endpoint_does_not(world):
    endpoint, _ = world.endpoint()
    world.ec2.delete_vpc_endpoints([endpoint.id])  # moto goes on listing it
    assert "has no endpoint" in world.reason()


def test_endpoints_have_names_of_their_own(world):
    endpoint, _ = world.endpoint("ecr.api")
    assert world.path("ecr").endpoint_id == endpoint.id


def test_an_endpoint_that_does_not_admit_the_function(world):
    endpoint, group = world.endpoint(admits=False)
    name = f"{endpoint.id} (com.amazonaws.{REGION}.secretsmanager)"
    assert world.reason().startswith(f"{name}: no ingress rule of {group} allows tcp/443 from 10.9.0.")


def test_a_function_that_may_not_go_to_the_endpoint(world):
    endpoint, group = world.endpoint()
    world.close_egress()
    assert f"no egress rule of {world.function_group} allows tcp/443" in world.reason()
    world.ec2.authorize_security_group_egress(
        world.function_group, "tcp", 443, 443, [], source_groups=[{"GroupId": group}]
    )
    assert world.path().endpoint_id == endpoint.id


def test_an_endpoint_without_private_dns_is_not_found(world):
    endpoint, _ = world.endpoint(private_dns=False)
    assert f"{endpoint.id} (com.amazonaws.{REGION}.secretsmanager) has no private DNS, and" in world.reason()


def test_private_dns_needs_host_names_in_the_vpc(world):
    world.endpoint()
    world.vpc.enable_dns_hostnames = False
    assert f"no effect while EnableDnsHostnames of {world.vpc.id} is off" in world.reason()


def test_without_dns_nothing_is_found(world):
    world.endpoint()
    world.vpc.enable_dns_support = False
    assert world.reason() == f"EnableDnsSupport of {world.vpc.id} is off: no name is resolved in it"


def test_an_endpoint_in_no_subnet(world):
    world.endpoint(subnets=[])
    assert world.reason().endswith("is in no subnet")


def test_a_gateway_endpoint_on_every_route_table(world):
    endpoint = world.gateway_endpoint(world.tables)
    assert world.path("s3").endpoint_id == endpoint.id


def test_a_gateway_endpoint_that_one_route_table_lacks(world):
    endpoint = world.gateway_endpoint(world.tables[:1])
    assert world.reason("s3") == (
        f"{endpoint.id} (com.amazonaws.{REGION}.s3) is not on {world.tables[1]},"
        f" and {world.tables[1]} of {world.subnets[1]} has no route to the internet"
    )


def test_a_gateway_endpoint_is_of_one_service(world):
    world.gateway_endpoint(world.tables)
    assert "has no endpoint" in world.reason("secretsmanager")


@pytest.mark.parametrize(
    "rule",
    [{"prefix_list_ids": [{"PrefixListId": S3_LIST}]}, ANYWHERE],
    ids=["AWS's own list", "anywhere"],
)
def test_egress_to_a_gateway_endpoint_is_egress_to_the_services_addresses(world, rule):
    world.gateway_endpoint(world.tables)
    world.close_egress()
    assert f"allows tcp/443 to 52.216.0.0/15, 3.5.0.0/19, 54.231.0.0/16 ({S3_LIST})" in world.reason("s3")
    world.ec2.authorize_security_group_egress(
        world.function_group, "tcp", 443, 443, **{"ip_ranges": [], **rule}
    )
    assert world.path("s3").endpoint_id


def test_egress_to_a_part_of_the_services_addresses_does_not_suffice(world):
    world.gateway_endpoint(world.tables)
    world.close_egress(ip_ranges=[{"CidrIp": "52.216.0.0/15"}])
    assert "no egress rule" in world.reason("s3")


def test_a_nat_gateway_leads_everywhere(world):
    world.nat(tables=world.tables)
    path = world.path("iam", "us-east-1")
    assert (path.endpoint_id, path.context) == (None, {})


def test_a_nat_gateway_in_one_zone_of_two(world):
    world.nat(tables=world.tables[:1])
    assert f"{world.tables[1]} of {world.subnets[1]} has no route to the internet" in world.reason()


def test_a_nat_gateway_that_the_function_may_not_go_to(world):
    world.nat(tables=world.tables)
    world.close_egress(ip_ranges=[{"CidrIp": "10.0.0.0/8"}])
    assert world.reason() == f"no egress rule of {world.function_group} allows tcp/443 to 0.0.0.0/0"


def test_a_nat_gateway_without_a_way_out(world):
    nat = world.nat(tables=world.tables, way_out=False)
    assert f"{nat} stands in" in world.reason()
    assert "has no route to an internet gateway" in world.reason()


def test_a_private_nat_gateway(world):
    nat = world.nat(tables=world.tables, public=False)
    assert f"and {nat} is no public NAT gateway" in world.reason()


def test_a_deleted_nat_gateway(world):
    nat = world.nat(tables=world.tables)
    del world.ec2.nat_gateways[nat]
    assert f"and {nat} is no public NAT gateway" in world.reason()


def test_a_closed_endpoint_is_not_helped_by_nat(world):
    world.endpoint(admits=False)
    world.nat(tables=world.tables)
    assert "no ingress rule" in world.reason()


def test_a_public_subnet_is_none_for_a_function(world):
    gateway = world.internet_gateway(world.tables[0])
    assert f"leads to {gateway}: a function has no public address" in world.reason()


def test_a_subnet_without_a_table_of_its_own_follows_the_main_one(world):
    main = next(
        one
        for one in world.ec2.route_tables.values()
        if one.main_association_id and one.vpc_id == world.vpc.id
    )
    world.subnets = [world.subnet(7, "a")]
    assert f"{main.id} of {world.subnets[0]} has no route" in world.reason()
    world.nat(tables=[main.id])
    assert world.path().endpoint_id is None
