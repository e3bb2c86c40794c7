"""AWS IAM: roles, inline and managed policies, users, groups, instance profiles.

Bound to moto's backend with everything that a policy evaluation needs: trust, boundary, inline and managed
policies, each changed in place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from moto.iam.models import IAMBackend, iam_backends

from localcloud.resources.base import Handler, Properties, Provisioned, Request
from localcloud.resources.on_moto import (
    OnMoto,
    document,
    error_code,
    found_tags,
    gone_is_deleted,
    removed_tags,
    tag_list,
)


class Role(OnMoto):
    """A role with its trust, permissions boundary, inline and attached policies."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "AssumeRolePolicyDocument",
            "Description",
            "ManagedPolicyArns",
            "MaxSessionDuration",
            "Path",
            "PermissionsBoundary",
            "Policies",
            "RoleName",
            "Tags",
        }
    )

    def create(self, request: Request) -> Provisioned:
        """Create the role; Ref yields its name."""
        backend, given = _backend(request), request.properties
        name = given.get("RoleName") or request.generated_name(longest=64)
        role = backend.create_role(
            role_name=name,
            assume_role_policy_document=document(given["AssumeRolePolicyDocument"]),
            path=given.get("Path", "/"),
            permissions_boundary=given.get("PermissionsBoundary"),
            description=given.get("Description", ""),
            tags=tag_list(given),
            max_session_duration=str(given.get("MaxSessionDuration", 3600)),
        )
        created = Provisioned(name, {"Arn": role.arn, "RoleId": role.id})
        try:
            _put_policies(backend, name, given)
        except Exception:
            self.delete(request, created)
            raise
        return created

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring trust, boundary, policies and tags to what the template says."""
        backend, given, name = _backend(request), request.properties, current.physical_id
        backend.update_assume_role_policy(name, document(given["AssumeRolePolicyDocument"]))
        backend.update_role(name, given.get("Description", ""), str(given.get("MaxSessionDuration", 3600)))
        if "PermissionsBoundary" in given:
            backend.put_role_permissions_boundary(name, given["PermissionsBoundary"])
        elif "PermissionsBoundary" in previous:
            backend.delete_role_permissions_boundary(name)
        _remove_policies(backend, name, previous, keep=given)
        _put_policies(backend, name, given)
        backend.untag_role(name, removed_tags(previous, given))
        backend.tag_role(name, tag_list(given))
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the role with its policies; one that an instance profile has fails."""
        backend, name = _backend(request), current.physical_id
        with gone_is_deleted():
            role = backend.get_role(name)
            for arn in list(role.managed_policies):
                backend.detach_role_policy(arn, name)
            for policy in list(role.policies):
                backend.delete_role_policy(name, policy)
            backend.delete_role(name)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return trust, boundary, policies and tags."""
        role = next(
            (one for one in _backend(request).roles.values() if one.name == current.physical_id), None
        )
        if role is None:
            return None
        return {
            "AssumeRolePolicyDocument": json.loads(role.assume_role_policy_document),
            "Description": role.description,
            "ManagedPolicyArns": list(role.managed_policies),
            "MaxSessionDuration": role.max_session_duration,
            "Path": role.path,
            "PermissionsBoundary": role.permissions_boundary_arn,
            "Policies": [
                {"PolicyName": name, "PolicyDocument": json.loads(text)}
                for name, text in role.policies.items()
            ],
            "RoleName": role.name,
            "Tags": found_tags({tag["Key"]: tag["Value"] for tag in role.tags}),
        }


class InlinePolicy(OnMoto):
    """AWS::IAM::Policy: one document, written into roles, users and groups."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"Groups", "PolicyDocument", "PolicyName", "Roles", "Users"}
    )

    def create(self, request: Request) -> Provisioned:
        """Write the policy; Ref yields a name of CloudFormation's."""
        self._put(request)
        name = request.generated_name(longest=128)
        return Provisioned(name, {"Id": name})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Write the new document, and take the old one away where it no longer belongs."""
        self._put(request)
        renamed = previous["PolicyName"] != request.properties["PolicyName"]
        for kind in ("Roles", "Users", "Groups"):
            stay = set() if renamed else set(request.properties.get(kind, []))
            self._remove(request, kind, sorted(set(previous.get(kind, [])) - stay), previous["PolicyName"])
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Take the policy away from everything that still exists."""
        for kind in ("Roles", "Users", "Groups"):
            names = request.properties.get(kind, [])
            self._remove(request, kind, names, request.properties["PolicyName"])

    def _put(self, request: Request) -> None:
        backend, given = _backend(request), request.properties
        put = {
            "Roles": backend.put_role_policy,
            "Users": backend.put_user_policy,
            "Groups": backend.put_group_policy,
        }
        for kind, write in put.items():
            for name in given.get(kind, []):
                write(name, given["PolicyName"], document(given["PolicyDocument"]))

    def _remove(self, request: Request, kind: str, names: list[str], policy: str) -> None:
        backend = _backend(request)
        remove = {
            "Roles": backend.delete_role_policy,
            "Users": backend.delete_user_policy,
            "Groups": backend.delete_group_policy,
        }[kind]
        for name in names:
            with gone_is_deleted():
                remove(name, policy)


class ManagedPolicy(OnMoto):
    """A policy of its own, attached to roles, users and groups."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"Description", "Groups", "ManagedPolicyName", "Path", "PolicyDocument", "Roles", "Users"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create and attach the policy; Ref yields its ARN."""
        given = request.properties
        policy = _backend(request).create_policy(
            given.get("Description", ""),
            given.get("Path", "/"),
            document(given["PolicyDocument"]),
            given.get("ManagedPolicyName") or request.generated_name(longest=128),
            [],
        )
        created = Provisioned(policy.arn, {"PolicyArn": policy.arn, "PolicyId": policy.id})
        try:
            self._attach(request, policy.arn, {})
        except Exception:
            self.delete(request, created)
            raise
        return created

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Make the new document the default version, and attach where the template says."""
        backend, arn = _backend(request), current.physical_id
        if previous["PolicyDocument"] != request.properties["PolicyDocument"]:
            for version in [one for one in backend.get_policy(arn).versions if not one.is_default]:
                backend.delete_policy_version(arn, version.version_id)  # at most five may exist
            backend.create_policy_version(arn, document(request.properties["PolicyDocument"]), True)
        self._attach(request, arn, previous)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Detach and delete the policy."""
        backend, arn = _backend(request), current.physical_id
        detach = _attachments(backend, "detach")
        for kind, remove in detach.items():
            for name in request.properties.get(kind, []):
                with gone_is_deleted():
                    remove(arn, name)
        with gone_is_deleted():
            backend.delete_policy(arn)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the default version's document, and where it is attached."""
        backend, arn = _backend(request), current.physical_id
        policy = backend.managed_policies.get(arn)
        if policy is None:
            return None
        holders = {"Groups": backend.groups, "Roles": backend.roles, "Users": backend.users}
        return {
            "Description": policy.description,
            "ManagedPolicyName": policy.name,
            "Path": policy.path,
            "PolicyDocument": json.loads(next(one.document for one in policy.versions if one.is_default)),
            **{
                kind: [one.name for one in all_of.values() if arn in one.managed_policies]
                for kind, all_of in holders.items()
            },
        }

    def _attach(self, request: Request, arn: str, previous: Properties) -> None:
        backend, given = _backend(request), request.properties
        attach, detach = _attachments(backend, "attach"), _attachments(backend, "detach")
        for kind in attach:
            old, new = set(previous.get(kind, [])), set(given.get(kind, []))
            for name in sorted(old - new):
                with gone_is_deleted():
                    detach[kind](arn, name)
            for name in sorted(new - old):
                attach[kind](arn, name)


class InstanceProfile(OnMoto):
    """A profile with its one role."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"InstanceProfileName", "Path", "Roles"})
    replaced_by: ClassVar[frozenset[str]] = frozenset({"Roles"})

    def create(self, request: Request) -> Provisioned:
        """Create the profile; Ref yields its name."""
        given = request.properties
        name = given.get("InstanceProfileName") or request.generated_name(longest=128)
        profile = _backend(request).create_instance_profile(name, given.get("Path", "/"), given["Roles"])
        return Provisioned(name, {"Arn": profile.arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Nothing of it changes in place."""
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the profile; the role stays."""
        backend, name = _backend(request), current.physical_id
        with gone_is_deleted():
            for role in request.properties.get("Roles", []):
                backend.remove_role_from_instance_profile(name, role)
            backend.delete_instance_profile(name)


def _backend(request: Request) -> IAMBackend:
    return iam_backends[request.account]["aws"]


def _put_policies(backend: IAMBackend, role: str, properties: Properties) -> None:
    for arn in properties.get("ManagedPolicyArns", []):
        try:
            backend.attach_role_policy(arn, role)
        except Exception as error:
            if error_code(error) != "EntityAlreadyExists":
                raise
    for policy in properties.get("Policies", []):
        backend.put_role_policy(role, policy["PolicyName"], document(policy["PolicyDocument"]))


def _remove_policies(backend: IAMBackend, role: str, previous: Properties, *, keep: Properties) -> None:
    for arn in set(previous.get("ManagedPolicyArns", [])) - set(keep.get("ManagedPolicyArns", [])):
        with gone_is_deleted():
            backend.detach_role_policy(arn, role)
    for name in _policy_names(previous) - _policy_names(keep):
        with gone_is_deleted():
            backend.delete_role_policy(role, name)


def _policy_names(properties: Properties) -> set[str]:
    return {policy["PolicyName"] for policy in properties.get("Policies", [])}


def _attachments(backend: IAMBackend, verb: str) -> dict[str, Callable[[str, str], Any]]:
    """Return IAM's three operations of one meaning, by the property that lists what they are for."""
    return {
        "Roles": getattr(backend, f"{verb}_role_policy"),
        "Users": getattr(backend, f"{verb}_user_policy"),
        "Groups": getattr(backend, f"{verb}_group_policy"),
    }


HANDLERS: dict[str, Handler] = {
    "AWS::IAM::InstanceProfile": InstanceProfile(),
    "AWS::IAM::ManagedPolicy": ManagedPolicy(),
    "AWS::IAM::Policy": InlinePolicy(),
    "AWS::IAM::Role": Role(),
}
