"""Amazon CloudWatch Logs: groups, streams, filters, resource policies."""

from __future__ import annotations

from typing import ClassVar

from moto.logs.models import LogsBackend, logs_backends

from localcloud.authorization.services_using_keys import why_no_log_key
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


class LogGroup(OnMoto):
    """A log group; what functions write is in it. Its key is one that CloudWatch Logs may use for it."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"DeletionProtectionEnabled", "KmsKeyId", "LogGroupName", "RetentionInDays", "Tags"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset(
        {"DataProtectionPolicy", "FieldIndexPolicies", "LogGroupClass"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the group; Ref yields its name."""
        given = request.properties
        name = given.get("LogGroupName") or request.generated_name(longest=512)
        _refuse_key(request, name)
        group = _backend(request).create_log_group(name, tag_map(given), kmsKeyId=given.get("KmsKeyId"))
        return self.update(request, Provisioned(name, {"Arn": f"{group.arn}:*"}), {})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring key, retention and tags to what the template says."""
        backend, given, name = _backend(request), request.properties, current.physical_id
        if previous and given.get("KmsKeyId") != previous.get("KmsKeyId"):
            _refuse_key(request, name)
        group = backend.groups[name]
        group.kms_key_id = given.get("KmsKeyId")
        if "RetentionInDays" in given:
            backend.put_retention_policy(name, int(given["RetentionInDays"]))
        elif "RetentionInDays" in previous:
            backend.delete_retention_policy(name)
        backend.untag_log_group(name, removed_tags(previous, given))
        backend.tag_log_group(name, tag_map(given))
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the group with its streams; a protected one is left alone."""
        if flag(request.properties, "DeletionProtectionEnabled"):
            raise ResourceFailed(
                f"The log group {current.physical_id} has deletion protection enabled and cannot be deleted"
                " (OperationAbortedException)"
            )
        with gone_is_deleted():
            _backend(request).delete_log_group(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return key, retention and tags."""
        backend, name = _backend(request), current.physical_id
        if name not in backend.groups:
            return None
        group = backend.groups[name]
        return {
            "KmsKeyId": group.kms_key_id,
            "LogGroupName": name,
            "RetentionInDays": group.retention_in_days,
            "Tags": found_tags(backend.list_tags_log_group(name)),
        }


class LogStream(OnMoto):
    """A stream of a group."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"LogGroupName", "LogStreamName"})

    def create(self, request: Request) -> Provisioned:
        """Create the stream; Ref yields its name."""
        name = request.properties.get("LogStreamName") or request.generated_name(longest=512)
        _backend(request).create_log_stream(request.properties["LogGroupName"], name)
        return Provisioned(name)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Nothing of it changes in place."""
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the stream."""
        with gone_is_deleted():
            _backend(request).delete_log_stream(request.properties["LogGroupName"], current.physical_id)


class MetricFilter(OnMoto):
    """A filter, kept and answered. It counts nothing here."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"FilterName", "FilterPattern", "LogGroupName", "MetricTransformations"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the filter; Ref yields its name."""
        name = request.properties.get("FilterName") or request.generated_name(longest=512)
        return self._put(request, name)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new filter in the place of the old one."""
        return self._put(request, current.physical_id)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the filter."""
        with gone_is_deleted():
            group = request.properties["LogGroupName"]
            _backend(request).delete_metric_filter(current.physical_id, group)

    def _put(self, request: Request, name: str) -> Provisioned:
        given = request.properties
        transformations = [
            {key[0].lower() + key[1:]: value for key, value in one.items()}
            for one in given["MetricTransformations"]
        ]
        _backend(request).put_metric_filter(
            name, given["FilterPattern"], given["LogGroupName"], transformations
        )
        return Provisioned(name)


class ResourcePolicy(OnMoto):
    """Which services may write logs, kept and answered."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"PolicyDocument", "PolicyName"})

    def create(self, request: Request) -> Provisioned:
        """Put the policy; Ref yields its name."""
        name = request.properties["PolicyName"]
        _backend(request).put_resource_policy(name, document(request.properties["PolicyDocument"]))
        return Provisioned(name)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new policy."""
        return self.create(request)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the policy."""
        with gone_is_deleted():
            _backend(request).delete_resource_policy(current.physical_id)


def _refuse_key(request: Request, group: str) -> None:
    """Refuse what CloudWatch Logs refuses: a key whose policy does not let it encrypt this very group."""
    key = request.properties.get("KmsKeyId")
    if not key:
        return
    if not key.startswith("arn:"):
        raise ResourceFailed(f"#/KmsKeyId: {key}: failed validation constraint: it has to be an ARN")
    arn = f"arn:aws:logs:{request.region}:{request.account}:log-group:{group}"
    refused = why_no_log_key(request.cloud, key, request.region, arn)
    if refused:
        raise ResourceFailed(refused)


def _backend(request: Request) -> LogsBackend:
    return logs_backends[request.account][request.region]


HANDLERS: dict[str, Handler] = {
    "AWS::Logs::LogGroup": LogGroup(),
    "AWS::Logs::LogStream": LogStream(),
    "AWS::Logs::MetricFilter": MetricFilter(),
    "AWS::Logs::ResourcePolicy": ResourcePolicy(),
}
