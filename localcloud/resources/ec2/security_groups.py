"""Security groups and their rules, inline or as resources of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from localcloud.resources.base import Handler, Properties, Provisioned, Request
from localcloud.resources.ec2.backend import Fixed, backend, tag, tags_of
from localcloud.resources.on_moto import OnMoto, error_code, gone_is_deleted

_ANYWHERE = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}  # what AWS gives a group without egress rules
_RULE = {"CidrIp", "CidrIpv6", "Description", "FromPort", "IpProtocol", "ToPort"}


class SecurityGroup(OnMoto):
    """A group of a VPC with its inline rules; rules that are resources of their own are left alone."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"GroupDescription", "GroupName", "SecurityGroupEgress", "SecurityGroupIngress", "Tags", "VpcId"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the group; Ref yields its id."""
        ec2, given = backend(request), request.properties
        name = given.get("GroupName") or request.generated_name(longest=255)
        group = ec2.create_security_group(name, given["GroupDescription"], given.get("VpcId"))
        attributes = {"GroupId": group.id, "Id": group.id, "VpcId": group.vpc_id}
        created = Provisioned(group.id, attributes)
        try:
            return self.update(request, created, {})
        except Exception:
            self.delete(request, created)
            raise

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Take away the inline rules that are gone, and add the new ones."""
        for direction in ("Ingress", "Egress"):
            name, old = f"SecurityGroup{direction}", _inline(previous, direction)
            # template reference: "if you remove all egress rules that you added, we do not add egress rules"
            new = request.properties.get(name) or ([] if previous.get(name) else old)
            for rule in [rule for rule in old if rule not in new]:
                _revoke(request, direction, current.physical_id, rule)
            for rule in [rule for rule in new if rule not in old]:
                _authorize(request, direction, current.physical_id, rule)
        tag(request, current.physical_id, previous)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the group; one that is in use fails."""
        with gone_is_deleted():
            backend(request).delete_security_group(group_id=current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the group with all rules, those of other resources among them."""
        group = _group(request, current.physical_id)
        if group is None:
            return None
        return {
            "GroupDescription": group.description,
            "GroupName": group.name,
            "SecurityGroupEgress": [_found_rule(one) for one in group.egress_rules],
            "SecurityGroupIngress": [_found_rule(one) for one in group.ingress_rules],
            "Tags": tags_of(request, group.id),
            "VpcId": group.vpc_id,
        }


class Ingress(Fixed):
    """AWS::EC2::SecurityGroupIngress."""

    direction: ClassVar[str] = "Ingress"
    supported: ClassVar[frozenset[str] | None] = frozenset(
        {*_RULE, "GroupId", "SourcePrefixListId", "SourceSecurityGroupId"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"SourceSecurityGroupOwnerId"})
    replaced_by: ClassVar[frozenset[str]] = frozenset({"Description"})

    def create(self, request: Request) -> Provisioned:
        """Add the rule to its group; Ref yields the rule's id."""
        rule_id = _authorize(request, self.direction, request.properties["GroupId"], request.properties)
        return Provisioned(rule_id, {"Id": rule_id})

    def delete(self, request: Request, current: Provisioned) -> None:
        """Take the rule away; it went with its group when that is gone."""
        with gone_is_deleted():
            _revoke(request, self.direction, request.properties["GroupId"], request.properties)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the rule."""
        group = _group(request, request.properties["GroupId"])
        if group is None:
            return None
        rules = group.egress_rules if self.direction == "Egress" else group.ingress_rules
        rule = next((one for one in rules if one.id == current.physical_id), None)
        return rule and {**_found_rule(rule), "GroupId": group.id}


class Egress(Ingress):
    """AWS::EC2::SecurityGroupEgress: the same, the other way.

    The first one takes the place of the rule that EC2 gives a group without any
    (https://github.com/aws/aws-cdk/pull/998: CloudFormation strips it when another one gets added).
    """

    direction: ClassVar[str] = "Egress"
    supported: ClassVar[frozenset[str] | None] = frozenset(
        {*_RULE, "GroupId", "DestinationPrefixListId", "DestinationSecurityGroupId"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset()

    def create(self, request: Request) -> Provisioned:
        """Add the rule to its group, in place of the default; Ref yields the rule's id."""
        group_id = request.properties["GroupId"]
        if _has_default(backend(request), group_id):
            _revoke(request, self.direction, group_id, _ANYWHERE)
        return super().create(request)


def _group(request: Request, group_id: str) -> Any:
    """Return moto's group, or None."""
    groups = backend(request).groups.values()
    return next((of_vpc[group_id] for of_vpc in groups if group_id in of_vpc), None)


def _found_rule(rule: Any) -> dict[str, Any]:
    """Return a rule as a template writes it."""
    ends = "Destination" if rule.is_egress else "Source"
    peer = {**rule.ip_range, **rule.source_group}
    forgotten = getattr(rule, "description_given", None) if rule.prefix_list_id else None
    found = {
        "CidrIp": peer.get("CidrIp"),
        "CidrIpv6": peer.get("CidrIpv6"),
        "Description": peer.get("Description") or forgotten,
        "FromPort": rule.from_port,
        "IpProtocol": rule.ip_protocol,
        "ToPort": rule.to_port,
        f"{ends}PrefixListId": rule.prefix_list_id,
        f"{ends}SecurityGroupId": peer.get("GroupId"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _inline(properties: Properties, direction: str) -> list[dict[str, Any]]:
    """Return the inline rules. No rule for what goes out means that everything may."""
    given: list[dict[str, Any]] = properties.get(f"SecurityGroup{direction}", [])
    return given or ([_ANYWHERE] if direction == "Egress" else [])


def _authorize(request: Request, direction: str, group_id: str, rule: dict[str, Any]) -> str:
    ec2 = backend(request)
    authorize = getattr(ec2, f"authorize_security_group_{direction.lower()}")
    if direction == "Egress" and rule == _ANYWHERE and _has_default(ec2, group_id):
        return ""
    rules, _ = authorize(**_arguments(group_id, rule))
    rules[0].description_given = rule.get("Description")  # moto drops the one of a rule for a prefix list
    rule_id: str = rules[0].id
    return rule_id


def _revoke(request: Request, direction: str, group_id: str, rule: dict[str, Any]) -> None:
    revoke = getattr(backend(request), f"revoke_security_group_{direction.lower()}")
    try:
        revoke(**_arguments(group_id, rule))
    except Exception as error:
        if not error_code(error).startswith("InvalidPermission"):  # the rule is gone already
            raise


def _has_default(ec2: Any, group_id: str) -> bool:
    """Whether the rule is there with which moto, like AWS, creates a group: a rule of one's own says why."""
    return any(
        rule.ip_protocol == "-1" and rule.ip_range == {"CidrIp": "0.0.0.0/0"}
        for rule in ec2.get_security_group_from_id(group_id).egress_rules
    )


def _arguments(group_id: str, rule: dict[str, Any]) -> dict[str, Any]:
    """Translate a rule into the arguments of moto's operations."""
    described = {"Description": rule["Description"]} if "Description" in rule else {}
    peer = rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    prefix_list = rule.get("SourcePrefixListId") or rule.get("DestinationPrefixListId")
    ranges = [{name: rule[name], **described} for name in ("CidrIp", "CidrIpv6") if name in rule]
    return {
        "group_name_or_id": group_id,
        "ip_protocol": str(rule["IpProtocol"]),
        "from_port": rule.get("FromPort"),
        "to_port": rule.get("ToPort"),
        "ip_ranges": ranges,
        "source_groups": [{"GroupId": peer, **described}] if peer else [],
        "prefix_list_ids": [{"PrefixListId": prefix_list}] if prefix_list else [],
    }


HANDLERS: dict[str, Handler] = {
    "AWS::EC2::SecurityGroup": SecurityGroup(),
    "AWS::EC2::SecurityGroupEgress": Egress(),
    "AWS::EC2::SecurityGroupIngress": Ingress(),
}
