"""Amazon S3: buckets and their policies."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from moto.s3.models import S3Backend, s3_backends

from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import OnMoto, document, found_tags, gone_is_deleted, tag_map


class Bucket(OnMoto):
    """A bucket; deleting one that holds objects fails, as on AWS."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "BucketEncryption",
            "BucketName",
            "ObjectLockEnabled",
            "OwnershipControls",
            "PublicAccessBlockConfiguration",
            "Tags",
            "VersioningConfiguration",
        }
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset(
        {
            "AccelerateConfiguration",
            "AccessControl",
            "AnalyticsConfigurations",
            "CorsConfiguration",
            "IntelligentTieringConfigurations",
            "InventoryConfigurations",
            "LifecycleConfiguration",
            "LoggingConfiguration",
            "MetricsConfigurations",
            "ObjectLockConfiguration",
        }
    )

    def create(self, request: Request) -> Provisioned:
        """Create the bucket under its name, or a new one."""
        name = request.properties.get("BucketName") or request.generated_name(longest=63, lower=True)
        backend = _backend(request)
        if name in backend.buckets:
            raise ResourceFailed(f"{name} already exists (Service: S3, Error Code: BucketAlreadyOwnedByYou)")
        bucket = backend.create_bucket(name, request.region)
        bucket.object_lock_enabled = str(request.properties.get("ObjectLockEnabled", "")).lower() == "true"
        _configure(backend, name, request.properties)
        return Provisioned(name, _attributes(name, request.region))

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring all settings to what the template says; what it no longer says goes."""
        _configure(_backend(request), current.physical_id, request.properties)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete an empty bucket."""
        backend, name = _backend(request), current.physical_id
        if name in backend.buckets and backend.delete_bucket(name) is None:
            raise ResourceFailed("The bucket you tried to delete is not empty (Error Code: BucketNotEmpty)")

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return encryption, versions, ownership, what is public, and tags."""
        backend, name = _backend(request), current.physical_id
        bucket = backend.buckets.get(name)
        if bucket is None:
            return None
        return {
            "BucketEncryption": _found_encryption(bucket.encryption),
            "BucketName": name,
            "ObjectLockEnabled": bucket.object_lock_enabled,
            "OwnershipControls": bucket.ownership_rule
            and {"Rules": [{"ObjectOwnership": bucket.ownership_rule}]},
            "PublicAccessBlockConfiguration": _found_public_access(bucket.public_access_block),
            "Tags": found_tags(backend.tagger.get_tag_dict_for_resource(bucket.arn)),
            "VersioningConfiguration": bucket.versioning_status and {"Status": bucket.versioning_status},
        }


class BucketPolicy(OnMoto):
    """A bucket's policy: kept and answered."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"Bucket", "PolicyDocument"})

    def create(self, request: Request) -> Provisioned:
        """Put the policy; Ref yields the bucket's name."""
        bucket = request.properties["Bucket"]
        _backend(request).put_bucket_policy(bucket, document(request.properties["PolicyDocument"]).encode())
        return Provisioned(bucket)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new policy."""
        return self.create(request)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Take the policy away."""
        with gone_is_deleted():
            _backend(request).delete_bucket_policy(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the policy; a bucket without one has lost it."""
        bucket = _backend(request).buckets.get(current.physical_id)
        if bucket is None or not bucket.policy:
            return None
        return {"Bucket": current.physical_id, "PolicyDocument": json.loads(bucket.policy)}


def _backend(request: Request) -> S3Backend:
    return s3_backends[request.account]["aws"]


def _configure(backend: S3Backend, name: str, properties: Properties) -> None:
    backend.delete_bucket_tagging(name)
    if tags := tag_map(properties):
        backend.put_bucket_tagging(name, tags)
    backend.get_bucket(name).encryption = _encryption(properties.get("BucketEncryption"))
    versioning = properties.get("VersioningConfiguration", {}).get("Status")
    if versioning or backend.get_bucket(name).is_versioned:
        backend.put_bucket_versioning(name, versioning or "Suspended")
    access = properties.get("PublicAccessBlockConfiguration")
    backend.delete_public_access_block(name)
    if access:
        backend.put_public_access_block(name, {key: str(value).lower() for key, value in access.items()})
    rules = properties.get("OwnershipControls", {}).get("Rules", [])
    backend.get_bucket(name).ownership_rule = rules[0]["ObjectOwnership"] if rules else None


def _encryption(given: Any) -> dict[str, Any] | None:
    """Translate the property into the shape that S3's own API has, of which moto keeps the XML's names."""
    rules = (given or {}).get("ServerSideEncryptionConfiguration", [])
    if not rules:
        return None
    default = rules[0].get("ServerSideEncryptionByDefault", {"SSEAlgorithm": "AES256"})
    rule = {"ApplyServerSideEncryptionByDefault": default}
    if "BucketKeyEnabled" in rules[0]:
        rule["BucketKeyEnabled"] = str(rules[0]["BucketKeyEnabled"]).lower()
    return {"Rule": rule}


def _found_encryption(kept: Any) -> dict[str, Any] | None:
    """The same the other way round; S3's API leaves one rule, or a list of them."""
    if not kept:
        return None
    rules = kept["Rule"] if isinstance(kept["Rule"], list) else [kept["Rule"]]
    names = {"ApplyServerSideEncryptionByDefault": "ServerSideEncryptionByDefault"}
    found = [{names.get(name, name): value for name, value in rule.items()} for rule in rules]
    return {"ServerSideEncryptionConfiguration": found}


def _found_public_access(block: Any) -> dict[str, bool] | None:
    return block and {name[:1].upper() + name[1:]: value for name, value in block.to_config_dict().items()}


def _attributes(name: str, region: str) -> dict[str, str]:
    return {
        "Arn": f"arn:aws:s3:::{name}",
        "DomainName": f"{name}.s3.amazonaws.com",
        "DualStackDomainName": f"{name}.s3.dualstack.{region}.amazonaws.com",
        "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
        "WebsiteURL": f"http://{name}.s3-website-{region}.amazonaws.com",
    }


HANDLERS: dict[str, Handler] = {"AWS::S3::Bucket": Bucket(), "AWS::S3::BucketPolicy": BucketPolicy()}
