"""The trail of invocations: of this deployment's functions, encrypted, kept, and out of anybody's reach."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.stacks.conftest import chosen
from tests.stacks.synthesized import as_list, referred, synthesize


@pytest.fixture(scope="module")
def recorded():
    return synthesize(replace(chosen("production", "postgresql"), invocation_trail_days=400))


def test_no_deployment_has_a_trail_unless_its_settings_ask(synthesized):
    assert not synthesized.has_type("AWS::CloudTrail::Trail")


def test_every_invocation_of_this_deployment_s_functions_is_recorded_and_nothing_else(recorded):
    _, trail = recorded.the_one("AWS::CloudTrail::Trail")
    (selector,) = trail["AdvancedEventSelectors"]
    fields = {one["Field"]: one for one in selector["FieldSelectors"]}
    assert fields["eventCategory"]["Equals"] == ["Data"]
    assert fields["resources.type"]["Equals"] == ["AWS::Lambda::Function"]
    (functions,) = fields["resources.ARN"]["StartsWith"]
    assert json.dumps(functions).endswith(':function:shop-production-"]]}')
    assert trail["IsLogging"] is True


def test_the_files_prove_that_nobody_changed_them(recorded):
    _, trail = recorded.the_one("AWS::CloudTrail::Trail")
    assert trail["EnableLogFileValidation"] is True


def test_trail_and_files_are_encrypted_with_a_key_that_only_this_trail_uses(recorded):
    key_id, key = recorded.key("TrailKey")
    _, trail = recorded.the_one("AWS::CloudTrail::Trail")
    _, bucket = recorded.the_one("AWS::S3::Bucket")
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert referred(trail["KMSKeyId"]) == {key_id}
    assert referred(rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]) == {key_id}
    (leave,) = [s for s in key["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
    assert "trail/shop-production" in json.dumps(leave["Condition"]["StringEquals"]["aws:SourceArn"])


def test_files_are_private_kept_and_then_forgotten(recorded):
    bucket_id, bucket = recorded.the_one("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 400
    key_id, _ = recorded.key("TrailKey")
    for kept in (bucket_id, key_id):
        assert recorded.resources[kept]["DeletionPolicy"] == "Retain"


def test_only_this_trail_writes_and_only_by_tls(recorded):
    policy_id, policy = recorded.the_one("AWS::S3::BucketPolicy")
    trail_id, _ = recorded.the_one("AWS::CloudTrail::Trail")
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    (denied,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert {action for s in allowed for action in as_list(s["Action"])} == {"s3:GetBucketAcl", "s3:PutObject"}
    for statement in allowed:
        assert statement["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        assert "aws:SourceArn" in statement["Condition"]["StringEquals"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert policy_id in as_list(recorded.resources[trail_id]["DependsOn"])
