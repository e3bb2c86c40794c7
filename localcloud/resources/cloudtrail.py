"""AWS CloudTrail: trails. Recorded and answered; no call is written down, nothing reaches the bucket."""

from __future__ import annotations

from typing import ClassVar

from moto.cloudtrail.models import CloudTrailBackend, cloudtrail_backends
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.s3.models import s3_backends

from localcloud.authorization.service_calls import ServiceCall
from localcloud.authorization.services_using_keys import key_named
from localcloud.iam.policy import Policy
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import OnMoto, flag, gone_is_deleted, tag_list


class Trail(OnMoto):
    """A trail into a bucket that lets CloudTrail write."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "AdvancedEventSelectors", "CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn",
            "EnableLogFileValidation", "EventSelectors", "IncludeGlobalServiceEvents", "IsLogging",
            "IsMultiRegionTrail", "KMSKeyId", "S3BucketName", "S3KeyPrefix", "SnsTopicName", "Tags",
            "TrailName",
        }
    )  # fmt: skip
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"InsightSelectors", "IsOrganizationTrail"})

    def create(self, request: Request) -> Provisioned:
        """Create the trail; Ref yields its name."""
        return self._put(request, request.properties.get("TrailName") or request.generated_name(longest=128))

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new trail in the place of the old one."""
        return self._put(request, current.physical_id)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the trail; its bucket stays."""
        with gone_is_deleted():
            _backend(request).delete_trail(current.physical_id)

    def _put(self, request: Request, name: str) -> Provisioned:
        given = request.properties
        _refuse_bucket(request, name)
        key = given.get("KMSKeyId")
        if key and key_named(request.account, request.region, key) is None:
            raise ResourceFailed(f"KMS key {key} was not found (KmsKeyDoesNotExistException)")
        try:
            trail = _backend(request).create_trail(
                name,
                given["S3BucketName"],
                given.get("S3KeyPrefix"),
                given.get("SnsTopicName"),
                flag(given, "IncludeGlobalServiceEvents", default=True),
                flag(given, "IsMultiRegionTrail"),
                flag(given, "EnableLogFileValidation"),
                False,
                given.get("CloudWatchLogsLogGroupArn"),
                given.get("CloudWatchLogsRoleArn"),
                key,
                tag_list(given),
            )
        except (JsonRESTError, ServiceException) as error:
            raise ResourceFailed(str(error.message)) from error
        trail.put_event_selectors(given.get("EventSelectors", []), given.get("AdvancedEventSelectors", []))
        if flag(given, "IsLogging"):
            trail.start_logging()
        attributes = {"Arn": trail.arn}
        if trail.topic_arn:
            attributes["SnsTopicArn"] = trail.topic_arn
        return Provisioned(name, attributes)


def _refuse_bucket(request: Request, name: str) -> None:
    """Refuse what CreateTrail refuses: a bucket whose policy does not let it look and write."""
    given = request.properties
    bucket, prefix = given["S3BucketName"], given.get("S3KeyPrefix")
    try:
        found = s3_backends[request.account]["aws"].get_bucket(bucket)
    except Exception as error:
        raise ResourceFailed(f"S3 bucket {bucket} does not exist! (S3BucketDoesNotExistException)") from error
    policy = Policy.parse(found.policy.decode()) if found.policy else Policy(())
    trail = f"arn:aws:cloudtrail:{request.region}:{request.account}:trail/{name}"
    arn = f"arn:aws:s3:::{bucket}"
    log = f"{arn}/{prefix + '/' if prefix else ''}AWSLogs/{request.account}/CloudTrail/log"
    call = ServiceCall(request.cloud, "cloudtrail.amazonaws.com", trail)
    looks = call.may("s3:GetBucketAcl", arn, policy)
    writes = call.may("s3:PutObject", log, policy, {"s3:x-amz-acl": "bucket-owner-full-control"})
    if not (looks.allowed and writes.allowed):
        raise ResourceFailed(
            f"Incorrect S3 bucket policy is detected for bucket: {bucket}"
            " (InsufficientS3BucketPolicyException)"
        )


def _backend(request: Request) -> CloudTrailBackend:
    return cloudtrail_backends[request.account][request.region]


HANDLERS: dict[str, Handler] = {"AWS::CloudTrail::Trail": Trail()}
