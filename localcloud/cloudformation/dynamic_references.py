"""{{resolve:…}}: values fetched when a property is handed to a service, and stored nowhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.resources.base import ResourceFailed

_REFERENCE = re.compile(r"\{\{resolve:([^:}]+):([^}]+)\}\}")


@dataclass(frozen=True)
class DynamicReferences:
    """Fetches from a region's Secrets Manager and Parameter Store.

    `secret` takes a secret's id, a version's stage and a version's id and returns the string; `parameter`
    takes a name that may end in ":version". Both raise ResourceFailed for what does not exist.
    """

    secret: Callable[[str, str, str], str]
    parameter: Callable[[str], str]

    def resolve(self, value: Any) -> Any:
        """Return `value` with every reference in its strings replaced; ResourceFailed names which cannot."""
        if isinstance(value, dict):
            return {name: self.resolve(element) for name, element in value.items()}
        if isinstance(value, list):
            return [self.resolve(element) for element in value]
        if isinstance(value, str) and "{{resolve:" in value:
            return _REFERENCE.sub(lambda match: self._fetch(match[1], match[2]), value)
        return value

    def _fetch(self, service: str, reference: str) -> str:
        if service == "secretsmanager":
            return self._secret(reference)
        if service in ("ssm", "ssm-secure"):
            return self.parameter(reference)
        raise ResourceFailed(f"Could not resolve {{{{resolve:{service}:{reference}}}}}: unknown service")

    def _secret(self, reference: str) -> str:
        """Resolve id[:SecretString[:json-key[:version-stage[:version-id]]]], where the id may be an ARN."""
        secret_id, _, rest = reference.partition(":SecretString")
        key, stage, version, *_ = [*rest.lstrip(":").split(":"), "", "", ""]
        text = self.secret(secret_id, stage, version)
        if not key:
            return text
        try:
            return str(json.loads(text)[key])
        except (ValueError, KeyError, TypeError):
            raise ResourceFailed(
                f"Could not find a value associated with JSONKey {key} in {secret_id}"
            ) from None
