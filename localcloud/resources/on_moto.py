"""What the handlers that keep their resources in moto's backends share.

moto has CloudFormation classes of its own. They are not used: most of them drop tags and whatever property
their author did not need, and update by deleting first.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from localcloud.resources.base import Handler, Properties


class OnMoto(Handler):
    """A handler whose calls are short and all go to moto's backends."""

    one_at_a_time: ClassVar[bool] = True


def error_code(error: Exception) -> str:
    """Return AWS's code of an error of moto's services; "" when it has none."""
    for name in ("code", "error_type"):
        code = getattr(error, name, None)
        if isinstance(code, str):
            return code
    return ""


@contextlib.contextmanager
def gone_is_deleted() -> Iterator[None]:
    """Let a deletion succeed when what it deletes does not exist any more."""
    try:
        yield
    except Exception as error:
        if "NotFound" not in error_code(error) and "NoSuch" not in error_code(error):
            raise


def flag(properties: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Return a boolean property; templates write it as a boolean or as text."""
    return str(properties.get(name, default)).lower() == "true"


def tag_map(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the property Tags, a list of keys and values or a map, as a map."""
    tags = properties.get("Tags") or {}
    if isinstance(tags, list):
        return {tag["Key"]: str(tag["Value"]) for tag in tags}
    return {key: str(value) for key, value in tags.items()}


def tag_list(properties: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the property Tags as a list of keys and values."""
    return [{"Key": key, "Value": value} for key, value in tag_map(properties).items()]


def found_tags(tags: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a resource's tags as a template lists them; those of AWS's own making are not among them."""
    return [{"Key": key, "Value": value} for key, value in tags.items() if not key.startswith("aws:")]


def removed_tags(previous: Properties, properties: Properties) -> list[str]:
    """Return the keys of the tags that an update takes away."""
    return sorted(tag_map(previous).keys() - tag_map(properties).keys())


def document(value: Any) -> str:
    """Return a policy document as text: templates write it as an object or as a string."""
    return value if isinstance(value, str) else json.dumps(value)
