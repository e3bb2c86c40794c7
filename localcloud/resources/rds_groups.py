"""AWS::RDS subnet groups and parameter groups: records, whose parameters reach the servers that use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from moto.ec2.models import ec2_backends

from localcloud.aurora.engines import Engine
from localcloud.aurora.local_parameters import ParameterRefused
from localcloud.aurora.managed import AuroraService, ManagedCluster
from localcloud.notifications import rds_events
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import OnMoto, gone_is_deleted, tag_list
from localcloud.resources.rds_records import backend, tell_what_has_no_effect


class SubnetGroup(OnMoto):
    """The subnets that a cluster may use."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"DBSubnetGroupDescription", "DBSubnetGroupName", "SubnetIds", "Tags"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the group over existing subnets of two zones at least, as RDS demands."""
        given = request.properties
        name = (given.get("DBSubnetGroupName") or request.generated_name(longest=255)).lower()
        if name in backend(request).subnet_groups:
            raise ResourceFailed(f"The DB subnet group '{name}' already exists.")
        group = backend(request).create_subnet_group(
            name, given["DBSubnetGroupDescription"], _subnets(request), tag_list(given)
        )
        return Provisioned(name, {"DBSubnetGroupArn": group.arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change description, subnets and tags."""
        group = backend(request).subnet_groups[current.physical_id]
        group.description = request.properties["DBSubnetGroupDescription"]
        group.subnets = _subnets(request)
        group.tags = tag_list(request.properties)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the group."""
        with gone_is_deleted():
            backend(request).delete_subnet_group(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return description, subnets and tags."""
        group = backend(request).subnet_groups.get(current.physical_id)
        if group is None:
            return None
        return {
            "DBSubnetGroupDescription": group.description,
            "DBSubnetGroupName": group.name,
            "SubnetIds": [subnet.id for subnet in group._subnets],
            "Tags": group.tags,
        }


class ClusterParameterGroup(Handler):
    """Parameters of clusters; a change is in force at once, with a restart where one is needed."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"DBClusterParameterGroupName", "Description", "Family", "Parameters", "Tags"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the group; what is unknown, or nobody's to change, is refused."""
        given = request.properties
        name = _group_name(request, "DBClusterParameterGroupName")
        _refuse_unknown(given, of_cluster=True)
        group = backend(request).create_db_cluster_parameter_group(
            name, given["Family"], given["Description"], tag_list(given)
        )
        _fill(group, given)
        return Provisioned(name)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change the parameters, on every cluster that uses the group too."""
        _refuse_unknown(request.properties, of_cluster=True)
        group = backend(request).db_cluster_parameter_groups[current.physical_id]
        for managed in _users(request, lambda record: record.parameter_group == current.physical_id):
            parameters = _text(request.properties)
            tell_what_has_no_effect(managed.identifier, managed.cluster.without_effect(parameters))
            managed.cluster.change_parameters(parameters)
        _fill(group, request.properties)
        _tell_of_changes(request, current.physical_id, previous)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the group."""
        with gone_is_deleted():
            backend(request).delete_db_cluster_parameter_group(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return what the group sets."""
        group = backend(request).db_cluster_parameter_groups.get(current.physical_id)
        if group is None:
            return None
        family = {"Family": group.db_parameter_group_family, "DBClusterParameterGroupName": group.name}
        return {**_found(group), **family}


class InstanceParameterGroup(Handler):
    """Parameters of single instances; they go before the cluster's."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"DBParameterGroupName", "Description", "Family", "Parameters", "Tags"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the group; what is unknown, or nobody's to change, is refused."""
        given = request.properties
        name = _group_name(request, "DBParameterGroupName")
        _refuse_unknown(given, of_cluster=False)
        group = backend(request).create_db_parameter_group(
            {
                "db_parameter_group_name": name,
                "db_parameter_group_family": given["Family"],
                "description": given["Description"],
                "tags": tag_list(given),
            }
        )
        _fill(group, given)
        return Provisioned(name, {"DBParameterGroupArn": group.arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change the parameters, on every instance that uses the group too."""
        _refuse_unknown(request.properties, of_cluster=False)
        parameters = _text(request.properties)
        clusters = AuroraService.of(request.cloud).clusters
        for record in backend(request).databases.values():
            if record.db_parameter_group_name == current.physical_id:
                managed = clusters[record.db_cluster_identifier]
                tell_what_has_no_effect(
                    record.db_instance_identifier, managed.cluster.without_effect(parameters)
                )
                managed.cluster.change_instance_parameters(record.db_instance_identifier, parameters)
        _fill(backend(request).db_parameter_groups[current.physical_id], request.properties)
        _tell_of_changes(request, current.physical_id, previous)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the group."""
        with gone_is_deleted():
            backend(request).delete_db_parameter_group(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return what the group sets."""
        group = backend(request).db_parameter_groups.get(current.physical_id)
        if group is None:
            return None
        return {**_found(group), "Family": group.family, "DBParameterGroupName": group.name}


def _subnets(request: Request) -> list[Any]:
    ec2 = ec2_backends[request.account][request.region]
    subnets = [ec2.get_subnet(subnet_id) for subnet_id in request.properties["SubnetIds"]]
    zones = {subnet.availability_zone for subnet in subnets}
    if len(zones) < 2:
        raise ResourceFailed(
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement."
            " Current AZ coverage:"
            f" {', '.join(sorted(zones)) or 'none'}. Add subnets to cover at least 2 AZs."
        )
    return subnets


def _group_name(request: Request, property_name: str) -> str:
    name = request.properties.get(property_name) or request.generated_name(longest=255)
    return str(name).lower()


def _text(properties: Properties) -> dict[str, str]:
    """The parameters as RDS keeps them: text."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (properties.get("Parameters") or {}).items()
    }


def _refuse_unknown(properties: Properties, *, of_cluster: bool) -> None:
    found = Engine.of_family(properties["Family"])
    if found is None:
        raise ResourceFailed(
            f"DBParameterGroupFamily {properties['Family']} is not a valid parameter group family"
        )
    try:
        found[0].refuse_unknown(_text(properties), of_cluster=of_cluster)
    except ParameterRefused as error:
        raise ResourceFailed(str(error)) from error


def _tell_of_changes(request: Request, group: str, previous: Properties) -> None:
    """RDS tells of each parameter that has another value now; of one that is gone, it is the default's."""
    former, present = _text(previous), _text(request.properties)
    for name in sorted(former.keys() | present.keys()):
        if former.get(name) != present.get(name):
            rds_events.tell(
                request.cloud,
                request.region,
                rds_events.PARAMETER_UPDATED,
                group,
                name=name,
                value=present.get(name, "the default value"),
                method="immediate",
            )


def _fill(group: Any, properties: Properties) -> None:
    group.parameters.clear()
    for name, value in _text(properties).items():
        group.parameters[name] = {"ParameterName": name, "ParameterValue": value}
    group.tags = tag_list(properties)


def _found(group: Any) -> Properties:
    """Return what a parameter group of either kind has."""
    parameters = {name: entry.get("ParameterValue") for name, entry in group.parameters.items()}
    return {"Description": group.description, "Parameters": parameters, "Tags": group.tags}


def _users(request: Request, uses: Callable[[Any], bool]) -> list[ManagedCluster]:
    clusters = AuroraService.of(request.cloud).clusters
    records = backend(request).clusters
    return [clusters[name] for name, record in records.items() if uses(record) and name in clusters]
