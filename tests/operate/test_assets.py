"""Files of the CDK's bucket that no stack uses are told, and none is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from operate import assets

BUCKET = "cdk-hnb659fds-assets-123456789012-us-east-1"
USED, OLD, TEMPLATE = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def bucket(session: Any) -> Any:
    """Return the bucket after two deployments of one function, of which the later stands."""
    s3 = session.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for key, size in {f"{USED}.zip": 10, f"{OLD}.zip": 2**20, f"{TEMPLATE}.json": 2**19}.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" * size)
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": f"{USED[:64]}.zip"}}
    session.client("cloudformation").create_stack(
        StackName="somebody-elses", TemplateBody=json.dumps({"Resources": {"Topic": topic}})
    )
    return s3


def test_what_no_stack_uses_is_told_with_its_size_and_the_next_step(session, bucket):
    found = assets.assets(session)
    assert (found.count, found.unused_count, found.unused_bytes) == (3, 2, 2**20 + 2**19)
    assert f"Of 3 files in the CDK's bucket {BUCKET}, 2 (1.5 MiB) are of no stack" in str(found)
    assert "cdk gc --unstable=gc --type s3 aws://123456789012/us-east-1" in str(found)


def test_nothing_is_touched(session, bucket):
    assets.told(session)
    assert len(bucket.list_objects_v2(Bucket=BUCKET)["Contents"]) == 3


def test_what_stacks_use_is_all_there_is(session, bucket):
    for key in (f"{OLD}.zip", f"{TEMPLATE}.json"):
        bucket.delete_object(Bucket=BUCKET, Key=key)
    assert assets.told(session) == f"All 1 files in the CDK's bucket {BUCKET} are of stacks that stand."


def test_without_a_bucket_nobody_could_look(session):
    assert "Nobody could look at the files in the CDK's bucket" in assets.told(session)
