"""S3: the actions of its requests, their buckets and objects, bucket policies, and the keys of objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends

from localcloud.authorization import denials, targets
from localcloud.authorization.api_calls import ApiCall, Target
from localcloud.authorization.authorizer import Authorizer
from localcloud.authorization.sessions import Session
from localcloud.enforcements import Enforcement
from localcloud.iam import actions
from localcloud.iam.policy import Policy
from localcloud.network.api_door import service_path


class S3Denied(S3ClientError):  # type: ignore[misc]
    """S3's AccessDenied."""

    code = "AccessDenied"

    def __init__(self, message: str) -> None:
        super().__init__("AccessDenied", message)


def check_s3(
    authorizer: Authorizer, session: Session, response: Any, bucket: str | None, key: str | None
) -> None:
    """Return for a request that S3 would serve; raise Denied."""
    call = ApiCall(
        "s3",
        response.data["Action"],
        {"Bucket": bucket, "Key": key},
        session.principal.account,
        session.region,
        service_path(response.normalized_request.environ),
    )
    about = list(_targets(call, response))
    if authorizer.cloud.enforces(Enforcement.IAM):
        authorizer.check_targets(session, call, about)
    if authorizer.cloud.enforces(Enforcement.KMS):
        authorizer.check_targets(session, call, list(_keys(call, response)))


def _targets(call: ApiCall, response: Any) -> Iterator[Target]:
    bucket, key = call.parameters["Bucket"], call.parameters["Key"]
    yield _target(call, _RENAMED.get(call.operation, call.operation), bucket, key, _context(response))
    source = response.headers.get("x-amz-copy-source")
    if call.operation == "PutObject" and source:
        name, _, copied = unquote(source).lstrip("/").partition("?")[0].partition("/")
        yield _target(call, "GetObject", name, copied, {})


def _target(
    call: ApiCall, operation: str, bucket: str | None, key: str | None, context: dict[str, str | list[str]]
) -> Target:
    action = actions.find(f"s3:{operation}")
    if action is None:
        raise denials.not_known(f"the action behind the operation {operation} of s3")
    if bucket is None:
        return Target(action.name, "*", context)
    arn = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
    return Target(action.name, arn, context, _policy(call.account, bucket))


def _context(response: Any) -> dict[str, str | list[str]]:
    """Return the condition keys that a request brings along as query and headers."""
    found = {
        "s3:prefix": response.querystring.get("prefix", [None])[0],
        "s3:delimiter": response.querystring.get("delimiter", [None])[0],
        "s3:x-amz-server-side-encryption": response.headers.get("x-amz-server-side-encryption"),
        "s3:x-amz-server-side-encryption-aws-kms-key-id": response.headers.get(
            "x-amz-server-side-encryption-aws-kms-key-id"
        ),
        "s3:x-amz-acl": response.headers.get("x-amz-acl"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _keys(call: ApiCall, response: Any) -> Iterator[Target]:
    """Return the use of the key that an object is, or will be, encrypted with."""
    action = {"GetObject": "kms:Decrypt", "PutObject": "kms:GenerateDataKey"}.get(call.operation)
    bucket = _bucket(call.account, call.parameters["Bucket"])
    if action is None or bucket is None:
        return
    key_id = response.headers.get("x-amz-server-side-encryption-aws-kms-key-id") or _default_key(bucket)
    if call.operation == "GetObject":
        found = bucket.keys.get(call.parameters["Key"])
        key_id = getattr(found, "kms_key_id", None)
    if key_id:
        context: dict[str, str | list[str]] = {
            "kms:ViaService": f"s3.{call.region}.amazonaws.com",
            "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket.name}/{call.parameters['Key']}",
        }
        target = targets.key_target(call, key_id, action, context)
        if target is not None:
            yield target


def _default_key(bucket: Any) -> str | None:
    rule = ((bucket.encryption or {}).get("Rule") or {}) if isinstance(bucket.encryption, dict) else {}
    default = rule.get("ApplyServerSideEncryptionByDefault", {}) if isinstance(rule, dict) else {}
    key: str | None = default.get("KMSMasterKeyID")
    return key


def _bucket(account: str, name: str | None) -> Any:
    try:
        return s3_backends[account]["aws"].get_bucket(name)
    except Exception:
        return None  # a bucket that is not there: S3 says so itself


def _policy(account: str, name: str) -> Policy | None:
    bucket = _bucket(account, name)
    policy = bucket.policy if bucket else None
    return Policy.parse(policy.decode() if isinstance(policy, bytes) else policy) if policy else None


# moto's names of operations, where the action has another one: "Actions, resources, and condition keys for
# Amazon S3" in the Service Authorization Reference.
_RENAMED = {
    "SelectObject": "GetObject",
    "HeadBucket": "ListBucket",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
}
