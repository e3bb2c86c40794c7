"""Files in the CDK's bucket that no stack of the account uses any more.

They belong to no environment: they are stored once, by content, for all. So none is deleted here: `cdk gc`
does that, and spares what is so new that a deployment may be about to use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from operate import cdk
from operate.deployment import PROJECT

if TYPE_CHECKING:
    import boto3

QUALIFIER = "hnb659fds"


@dataclass(frozen=True)
class Assets:
    """What lies in the bucket of one account and region."""

    account: str
    region: str
    bucket: str
    count: int
    unused_count: int
    unused_bytes: int

    def __str__(self) -> str:
        """Say how much could go, and by which command."""
        if not self.unused_count:
            return f"All {self.count} files in the CDK's bucket {self.bucket} are of stacks that stand."
        command = f"{cdk.CLI.relative_to(PROJECT)} gc --unstable=gc --type s3"
        return (
            f"Of {self.count} files in the CDK's bucket {self.bucket}, {self.unused_count} "
            f"({self.unused_bytes / 2**20:.1f} MiB) are of no stack that stands. They are stored once for "
            f"all deployments; to take them away: {command} aws://{self.account}/{self.region}"
        )


def told(session: boto3.Session) -> str:
    """Return what there is to say of the bucket, or why nobody could look."""
    try:
        return str(assets(session))
    except (BotoCoreError, ClientError) as error:
        return f"Nobody could look at the files in the CDK's bucket: {error}"


def assets(session: boto3.Session) -> Assets:
    """Return what lies in the bucket, and how much of it is in no template of the region."""
    account = session.client("sts").get_caller_identity()["Account"]
    bucket = f"cdk-{QUALIFIER}-assets-{account}-{session.region_name}"
    files = {
        one["Key"]: one["Size"] for one in _pages(session, "s3", "list_objects_v2", "Contents", Bucket=bucket)
    }
    hashes = {key: key.rpartition("/")[2].partition(".")[0] for key in files}
    used: set[str] = set()
    for template in _templates(session):
        used |= {key for key in files.keys() - used if hashes[key] in template}
    unused = files.keys() - used
    return Assets(
        account, session.region_name, bucket, len(files), len(unused), sum(files[key] for key in unused)
    )


def _templates(session: boto3.Session) -> Iterator[str]:
    """Yield the template of each stack that stands, also of those that are none of ours."""
    cloudformation = session.client("cloudformation")
    for stack in _pages(session, "cloudformation", "describe_stacks", "Stacks"):
        if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            continue  # it has none yet
        yield str(cloudformation.get_template(StackName=stack["StackId"])["TemplateBody"])


def _pages(session: boto3.Session, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    for page in cast(Any, session).client(service).get_paginator(operation).paginate(**arguments):
        yield from page.get(key, [])
