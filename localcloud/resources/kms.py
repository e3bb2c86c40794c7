"""AWS KMS: keys and aliases."""

from __future__ import annotations

import json
from typing import ClassVar

from moto.kms.models import KmsBackend, kms_backends

from localcloud.enforcements import Enforcement
from localcloud.iam.evaluation import AccessRequest, Policies, Principal, evaluate
from localcloud.iam.policy import Policy
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import (
    OnMoto,
    document,
    flag,
    found_tags,
    gone_is_deleted,
    removed_tags,
    tag_map,
)


class Key(OnMoto):
    """A key. Deleting it schedules its deletion, as on AWS."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "BypassPolicyLockoutSafetyCheck",
            "Description",
            "EnableKeyRotation",
            "Enabled",
            "KeyPolicy",
            "KeySpec",
            "KeyUsage",
            "MultiRegion",
            "PendingWindowInDays",
            "Tags",
        }
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"RotationPeriodInDays"})
    replaced_by: ClassVar[frozenset[str]] = frozenset({"KeySpec", "KeyUsage", "MultiRegion"})

    def create(self, request: Request) -> Provisioned:
        """Create the key; Ref yields its id."""
        given = request.properties
        _refuse_lockout(request)
        key = _backend(request).create_key(
            document(given["KeyPolicy"]) if "KeyPolicy" in given else None,
            given.get("KeyUsage", "ENCRYPT_DECRYPT"),
            given.get("KeySpec", "SYMMETRIC_DEFAULT"),
            given.get("Description", ""),
            [{"TagKey": key, "TagValue": value} for key, value in tag_map(given).items()],
            multi_region=flag(given, "MultiRegion"),
        )
        self._configure(request, key.id)
        return Provisioned(key.id, {"Arn": key.arn, "KeyId": key.id})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring policy, description, rotation and tags to what the template says."""
        backend, given, key_id = _backend(request), request.properties, current.physical_id
        if "KeyPolicy" in given:
            _refuse_lockout(request)
            backend.put_key_policy(key_id, document(given["KeyPolicy"]))
        backend.update_key_description(key_id, given.get("Description", ""))
        backend.untag_resource(key_id, removed_tags(previous, given))
        backend.tag_resource(key_id, tag_map(given))
        self._configure(request, key_id)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Schedule the deletion."""
        with gone_is_deleted():
            days = int(request.properties.get("PendingWindowInDays", 30))
            _backend(request).schedule_key_deletion(current.physical_id, days)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the key; one whose deletion is scheduled is gone."""
        key = _backend(request).keys.get(current.physical_id)
        if key is None or key.key_state == "PendingDeletion":
            return None
        tags = _backend(request).list_resource_tags(key.id)["Tags"]
        return {
            "Description": key.description,
            "EnableKeyRotation": key.key_rotation_status,
            "Enabled": key.enabled,
            "KeyPolicy": json.loads(key.policy),
            "KeySpec": key.key_spec,
            "KeyUsage": key.key_usage,
            "MultiRegion": key.multi_region,
            "Tags": found_tags({tag["TagKey"]: tag["TagValue"] for tag in tags}),
        }

    def _configure(self, request: Request, key_id: str) -> None:
        backend, given = _backend(request), request.properties
        if flag(given, "Enabled", default=True):
            backend.enable_key(key_id)
        else:
            backend.disable_key(key_id)
        if not flag(given, "EnableKeyRotation"):
            backend.disable_key_rotation(key_id)
        else:
            backend.enable_key_rotation(key_id)


class Alias(OnMoto):
    """A name for a key."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"AliasName", "TargetKeyId"})

    def create(self, request: Request) -> Provisioned:
        """Create the alias; Ref yields its name."""
        name, backend = request.properties["AliasName"], _backend(request)
        if not name.startswith("alias/") or name.startswith("alias/aws/"):
            raise ResourceFailed(f"{name}: an alias begins with alias/ and not with alias/aws/")
        if backend.alias_exists(name):
            raise ResourceFailed(f"An alias with the name {name} already exists (AlreadyExistsException)")
        backend.create_alias(request.properties["TargetKeyId"], name)
        return Provisioned(name, {"AliasName": name})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Point it at another key."""
        _backend(request).update_alias(request.properties["TargetKeyId"], current.physical_id)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Take the name away; the key stays."""
        with gone_is_deleted():
            _backend(request).delete_alias(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the key that it names, by ARN where the template does so."""
        name, by_arn = current.physical_id, str(request.properties["TargetKeyId"]).startswith("arn:")
        for key in _backend(request).keys.values():
            if name in key.aliases:
                return {"AliasName": name, "TargetKeyId": key.arn if by_arn else key.id}
        return None


def _refuse_lockout(request: Request) -> None:
    """Refuse what KMS refuses: a policy that would let nobody of this account change it ever again."""
    given = request.properties
    if "KeyPolicy" not in given or flag(given, "BypassPolicyLockoutSafetyCheck"):
        return
    if not request.cloud.enforces(Enforcement.KMS):
        return
    administrator = Principal(f"arn:aws:iam::{request.account}:user/administrator", request.account)
    policy = Policy.parse(json.loads(document(given["KeyPolicy"])))
    policies = Policies(identity=[_EVERYTHING], resource=policy, resource_policy_decides=True)
    if not evaluate(AccessRequest(administrator, "kms:PutKeyPolicy", "*", {}), policies).allowed:
        raise ResourceFailed(
            "The new key policy will not allow you to update the key policy in the future."
            " (MalformedPolicyDocumentException)"
        )


_EVERYTHING = Policy.parse({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def _backend(request: Request) -> KmsBackend:
    return kms_backends[request.account][request.region]


HANDLERS: dict[str, Handler] = {"AWS::KMS::Key": Key(), "AWS::KMS::Alias": Alias()}
