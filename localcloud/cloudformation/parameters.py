"""A template's parameters: given, previous, default or from the Parameter Store, and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.cloudformation.template import Template, TemplateInvalid

_FROM_STORE = "AWS::SSM::Parameter::Value<"
HIDDEN = "****"


@dataclass(frozen=True)
class Parameter:
    """A parameter's value as given (`text`), and as Ref yields it (`value`)."""

    text: str
    value: Any
    from_store: bool = False
    no_echo: bool = False

    @property
    def shown(self) -> str:
        """What the API answers; a NoEcho value is never shown."""
        return HIDDEN if self.no_echo else self.text


def evaluate(
    template: Template, given: Mapping[str, str], fetch: Callable[[str], str]
) -> dict[str, Parameter]:
    """Return every parameter of the template; TemplateInvalid names those missing, unknown or not allowed.

    `fetch` reads the Parameter Store and raises for a name that it does not have.
    """
    declared = template.section("Parameters")
    if unknown := sorted(set(given) - set(declared)):
        raise TemplateInvalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    if missing := sorted(
        name for name, raw in declared.items() if name not in given and "Default" not in raw
    ):
        raise TemplateInvalid(f"Parameters: [{', '.join(missing)}] must have values")
    return {
        name: _parameter(name, raw, given.get(name, raw.get("Default")), fetch)
        for name, raw in declared.items()
    }


def _parameter(name: str, raw: Mapping[str, Any], given: Any, fetch: Callable[[str], str]) -> Parameter:
    text = ("true" if given else "false") if isinstance(given, bool) else str(given)
    kind = str(raw.get("Type", "String"))
    _check(name, raw, kind, text)
    no_echo = str(raw.get("NoEcho", "")).lower() == "true"
    if not kind.startswith(_FROM_STORE):
        return Parameter(text, _typed(kind, text), no_echo=no_echo)
    try:
        stored = fetch(text)
    except Exception:
        raise TemplateInvalid(
            f"Unable to fetch parameters [{text}] from parameter store for this account."
        ) from None
    return Parameter(text, _typed(kind[len(_FROM_STORE) : -1], stored), from_store=True, no_echo=no_echo)


def _typed(kind: str, text: str) -> Any:
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [part.strip() for part in text.split(",")] if text else []
    return text


def _check(name: str, raw: Mapping[str, Any], kind: str, text: str) -> None:
    def refuse(why: str) -> None:
        raise TemplateInvalid(raw.get("ConstraintDescription") or f"Parameter '{name}' must {why}")

    if "AllowedValues" in raw and text not in map(str, raw["AllowedValues"]):
        refuse(f"be one of AllowedValues {raw['AllowedValues']}")
    if "AllowedPattern" in raw and not re.fullmatch(raw["AllowedPattern"], text):
        refuse(f"match pattern {raw['AllowedPattern']}")
    if len(text) < int(raw.get("MinLength", 0)):
        refuse(f"contain at least {raw['MinLength']} characters")
    if "MaxLength" in raw and len(text) > int(raw["MaxLength"]):
        refuse(f"contain at most {raw['MaxLength']} characters")
    if kind == "Number":
        _check_number(refuse, raw, text)


def _check_number(refuse: Callable[[str], None], raw: Mapping[str, Any], text: str) -> None:
    try:
        number = float(text)
    except ValueError:
        refuse("be a number")
        return
    if "MinValue" in raw and number < float(raw["MinValue"]):
        refuse(f"be a number not less than {raw['MinValue']}")
    if "MaxValue" in raw and number > float(raw["MaxValue"]):
        refuse(f"be a number not greater than {raw['MaxValue']}")
