"""Roles for tests: what a service may assume, with the rights that a test gives."""

from __future__ import annotations

import json
import uuid
from typing import Any

from moto.iam.models import iam_backends

SERVICES = ("lambda.amazonaws.com", "rds.amazonaws.com")


def role_with(account: str, *rights: dict[str, Any], trusted: tuple[str, ...] = SERVICES) -> str:
    """Create a role with an inline policy of these statements; return its ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": list(trusted)}, "Action": "sts:AssumeRole"}
    iam = iam_backends[account]["aws"]
    role = iam.create_role(f"role-{uuid.uuid4().hex[:12]}", document(trust), "/", None, "", [], 3600)
    if rights:
        role.policies["rights"] = document(*rights)
    return str(role.arn)


def allow(action: str, resource: str = "*") -> dict[str, Any]:
    """Return a statement."""
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def document(*statements: dict[str, Any]) -> str:
    """Return a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
