"""One value of a request against one value of a policy, for each kind of condition operator.

A value that is not of its kind (a number that is none, an address that is none) matches nothing.
IAM User Guide, "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from localcloud.iam.variables import Context, Pattern, Template

Comparison = Callable[[str, Context], bool]
"""Compares a value of the request, whose other keys may fill in the policy's variables."""

Factory = Callable[[str, bool], Comparison]
"""Makes the comparison with a policy's value; the flag says whether the policy's version has variables."""

_W3C_DATE = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<time>\d\d:\d\d(:\d\d(\.\d+)?)?)(?P<zone>Z|[+-]\d\d:\d\d))?)?)?"
)


def equal(wanted: str, variables: bool) -> Comparison:
    """StringEquals: the same text."""
    template = Template.parse(wanted, variables=variables)
    return lambda value, context: template.filled(context) == value


def equal_in_any_case(wanted: str, variables: bool) -> Comparison:
    """StringEqualsIgnoreCase, Bool: the same text but for upper and lower case."""
    template = Template.parse(wanted, variables=variables)

    def matches(value: str, context: Context) -> bool:
        filled = template.filled(context)
        return filled is not None and filled.lower() == value.lower()

    return matches


def like(wanted: str, variables: bool) -> Comparison:
    """StringLike: wildcards anywhere."""
    return Pattern.of_text(wanted, variables=variables).matches


def arn_like(wanted: str, variables: bool) -> Comparison:
    """ArnLike, ArnEquals: the six parts of an ARN, each by itself. A lone * is every ARN."""
    return like(wanted, variables) if wanted == "*" else Pattern.of_arn(wanted, variables=variables).matches


def number(compare: Callable[[Decimal, Decimal], bool]) -> Factory:
    """Numeric…: integers or decimals, in the order of `compare`. They have no variables."""
    return _of_kind(_number, compare)


def date(compare: Callable[[float, float], bool]) -> Factory:
    """Date…: dates of the W3C's profile of ISO 8601, or seconds since 1970. They have no variables."""
    return _of_kind(_seconds, compare)


def binary(wanted: str, variables: bool) -> Comparison:
    """BinaryEquals: the same bytes; policy and request both have them in base64."""
    return _of_kind(_bytes, bytes.__eq__)(wanted, variables)


def in_network(wanted: str, variables: bool) -> Comparison:
    """IpAddress: an address in a network, of version 4 or 6; without prefix length it is a single address."""
    return _of_kind(
        _network, lambda address, network: address.version == network.version and address.subnet_of(network)
    )(wanted, variables)


def _of_kind(parse: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Factory:
    def factory(wanted: str, variables: bool) -> Comparison:
        bound = _or_none(parse, wanted)

        def matches(value: str, context: Context) -> bool:
            found = _or_none(parse, value)
            return bound is not None and found is not None and compare(found, bound)

        return matches

    return factory


def _or_none(parse: Callable[[str], Any], value: str) -> Any:
    try:
        return parse(value)
    except ValueError:
        return None


def _number(value: str) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(value) from None


def _seconds(value: str) -> float:
    if (found := _W3C_DATE.fullmatch(value)) is None:
        return float(_number(value))
    month, day, time, zone = (found[name] for name in ("month", "day", "time", "zone"))
    return (
        datetime.fromisoformat(
            f"{found['year']}-{month or '01'}-{day or '01'}T{time or '00:00'}{zone or 'Z'}"
        )
        .astimezone(UTC)
        .timestamp()
    )


def _bytes(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError(value) from None


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(value, strict=False)
