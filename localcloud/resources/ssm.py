"""AWS Systems Manager: parameters of the Parameter Store."""

from __future__ import annotations

from typing import ClassVar

from moto.ssm.models import SimpleSystemManagerBackend, ssm_backends

from localcloud.resources.base import Handler, Properties, Provisioned, Request
from localcloud.resources.on_moto import OnMoto, gone_is_deleted, removed_tags, tag_list, tag_map


class Parameter(OnMoto):
    """A parameter of type String or StringList; CloudFormation makes no SecureString."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"AllowedPattern", "DataType", "Description", "Name", "Tags", "Tier", "Type", "Value"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"Policies"})

    def create(self, request: Request) -> Provisioned:
        """Create the parameter; Ref yields its name."""
        name = request.properties.get("Name") or request.generated_name(longest=512)
        self._put(request, name, overwrite=False)
        return Provisioned(name, self._attributes(request))

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new value as a new version."""
        name, backend, given = current.physical_id, _backend(request), request.properties
        self._put(request, name, overwrite=True)
        backend.remove_tags_from_resource("Parameter", name, removed_tags(previous, given))
        backend.add_tags_to_resource("Parameter", name, tag_map(given))
        return Provisioned(name, self._attributes(request))

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the parameter with all versions."""
        with gone_is_deleted():
            _backend(request).delete_parameter(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the latest version."""
        name, backend = current.physical_id, _backend(request)
        found = backend.get_parameter(name)
        if found is None:
            return None
        return {
            "DataType": found.data_type,
            "Name": found.name,
            "Tags": dict(backend.list_tags_for_resource("Parameter", name)),
            "Type": found.parameter_type,
            "Value": found.value,
        }

    def _put(self, request: Request, name: str, *, overwrite: bool) -> None:
        given = request.properties
        _backend(request).put_parameter(
            name=name,
            description=given.get("Description", ""),
            value=str(given["Value"]),
            parameter_type=given["Type"],
            allowed_pattern=given.get("AllowedPattern", ""),
            keyid="",
            overwrite=overwrite,
            tags=[] if overwrite else tag_list(given),
            data_type=given.get("DataType", "text"),
            tier=given.get("Tier", "Standard"),
            policies=None,
        )

    def _attributes(self, request: Request) -> dict[str, str]:
        return {"Type": request.properties["Type"], "Value": str(request.properties["Value"])}


def _backend(request: Request) -> SimpleSystemManagerBackend:
    return ssm_backends[request.account][request.region]


HANDLERS: dict[str, Handler] = {"AWS::SSM::Parameter": Parameter()}
