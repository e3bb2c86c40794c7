"""Amazon ECR: repositories of images."""

from __future__ import annotations

from typing import ClassVar

from moto.ecr.models import ECRBackend, ecr_backends

from localcloud.resources.base import Handler, Properties, Provisioned, Request
from localcloud.resources.on_moto import OnMoto, document, gone_is_deleted, removed_tags, tag_list


class Repository(OnMoto):
    """A repository."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "EmptyOnDelete",
            "EncryptionConfiguration",
            "ImageScanningConfiguration",
            "ImageTagMutability",
            "LifecyclePolicy",
            "RepositoryName",
            "RepositoryPolicyText",
            "Tags",
        }
    )

    def create(self, request: Request) -> Provisioned:
        """Create the repository; Ref yields its name."""
        given = request.properties
        name = given.get("RepositoryName") or request.generated_name(longest=256, lower=True)
        repository = _backend(request).create_repository(
            name,
            request.account,
            given.get("EncryptionConfiguration"),
            given.get("ImageScanningConfiguration"),
            given.get("ImageTagMutability", "MUTABLE"),
            tag_list(given),
        )
        attributes = {"Arn": repository.arn, "RepositoryUri": repository.uri}
        self._put_policies(request, name, {})
        return Provisioned(name, attributes)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring scanning, mutability, policies and tags to what the template says."""
        backend, given, name = _backend(request), request.properties, current.physical_id
        backend.put_image_tag_mutability(request.account, name, given.get("ImageTagMutability", "MUTABLE"))
        scanning = given.get("ImageScanningConfiguration", {"ScanOnPush": False})
        backend.put_image_scanning_configuration(request.account, name, scanning)
        arn = backend.repositories[name].arn
        backend.untag_resource(arn, removed_tags(previous, given))
        backend.tag_resource(arn, tag_list(given))
        self._put_policies(request, name, previous)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the repository; one with images fails unless EmptyOnDelete is set."""
        force = str(request.properties.get("EmptyOnDelete", "")).lower() == "true"
        with gone_is_deleted():
            _backend(request).delete_repository(current.physical_id, force=force)

    def _put_policies(self, request: Request, name: str, previous: Properties) -> None:
        backend, given = _backend(request), request.properties
        if "RepositoryPolicyText" in given:
            backend.set_repository_policy(request.account, name, document(given["RepositoryPolicyText"]))
        elif "RepositoryPolicyText" in previous:
            backend.delete_repository_policy(request.account, name)
        if text := given.get("LifecyclePolicy", {}).get("LifecyclePolicyText"):
            backend.put_lifecycle_policy(request.account, name, text)
        elif "LifecyclePolicy" in previous:
            backend.delete_lifecycle_policy(request.account, name)


def _backend(request: Request) -> ECRBackend:
    return ecr_backends[request.account][request.region]


HANDLERS: dict[str, Handler] = {"AWS::ECR::Repository": Repository()}
