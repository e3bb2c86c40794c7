"""The regions that a deployment may choose, with what cannot be looked up without an account."""

from __future__ import annotations

from collections.abc import Mapping

S3_PREFIX_LISTS: Mapping[str, str] = {
    "ap-northeast-1": "pl-61a54008",
    "ap-southeast-1": "pl-6fa54006",
    "ap-southeast-2": "pl-6ca54005",
    "eu-central-1": "pl-6ea54007",
    "eu-north-1": "pl-c3aa4faa",
    "eu-west-1": "pl-6da54004",
    "eu-west-2": "pl-7ca54015",
    "us-east-1": "pl-63a5400a",
    "us-east-2": "pl-7ba54012",
    "us-west-2": "pl-68a54001",
}
"""AWS's list of S3's addresses in each region, which a security group has to name to let S3 through.

For another region: aws ec2 describe-managed-prefix-lists --filters Name=prefix-list-name,Values='*s3'
"""

WITHOUT_BACKTRACK = frozenset({"eu-north-1"})
"""Of these, the regions where Aurora cannot rewind a cluster.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.Aurora_Fea_Regions_DB-eng.Feature.Backtrack.html
"""
