"""RDS IAM authentication tokens: presigned requests for rds-db:connect, verified as Aurora verifies them.

Source: "Signature Version 4, presigned URLs" and "IAM database authentication for Aurora" in AWS's
documentation. A token names host, port and user, holds for 15 minutes and is signed by a key of IAM or STS.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qsl, quote, urlsplit

LIFETIME_SECONDS = 900
_CLOCK_SKEW = timedelta(minutes=5)  # what SigV4 forgives a clock that runs ahead
_EMPTY_BODY_SHA256 = hashlib.sha256(b"").hexdigest()


class SigningKey(Protocol):
    """What is known of an access key: its secret, and the session it belongs to."""

    @property
    def secret_access_key(self) -> str:
        """The secret that signs."""

    @property
    def session_token(self) -> str | None:
        """The token that must come along; None for a key without a session."""


KeyLookup = Callable[[str], SigningKey | None]


class TokenRefused(Exception):
    """The token does not admit; the message says why (for our log: Aurora tells its client less)."""


@dataclass(frozen=True)
class Expected:
    """What a token must have been made for."""

    host: str
    port: int
    user: str
    region: str


def verify(token: str, expected: Expected, key_of: KeyLookup, *, now: datetime | None = None) -> str:
    """The access key that signed the token for exactly this host, port, user and region, just now.

    Raises TokenRefused for anything else, and for a token older than 15 minutes.
    """
    signed = _parse(token)
    _check(signed.endpoint == f"{expected.host}:{expected.port}", f"it is for {signed.endpoint}")
    _check(signed.fields.get("Action") == "connect", "its Action is not connect")
    _check(signed.fields.get("DBUser") == expected.user, f"it is for user {signed.fields.get('DBUser')}")
    _check(signed.service == "rds-db", f"it is signed for the service {signed.service}")
    _check(signed.region == expected.region, f"it is for the region {signed.region}")
    _check_age(signed, now or datetime.now(UTC))
    key = key_of(signed.access_key_id)
    if key is None:
        raise TokenRefused(f"its access key {signed.access_key_id} is unknown")
    _check(
        signed.fields.get("X-Amz-Security-Token") == (key.session_token or None), "its session token is wrong"
    )
    signature = _signature(signed, key.secret_access_key)
    _check(hmac.compare_digest(signature, signed.signature), "its signature is wrong")
    return signed.access_key_id


@dataclass(frozen=True)
class _SignedRequest:
    endpoint: str
    path: str
    fields: dict[str, str]
    access_key_id: str
    date: str
    region: str
    service: str
    signed_at: datetime
    lifetime: timedelta

    @property
    def signature(self) -> str:
        return self.fields["X-Amz-Signature"]

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def _parse(token: str) -> _SignedRequest:
    try:
        url = urlsplit("https://" + token)
        pairs = parse_qsl(url.query, strict_parsing=True, keep_blank_values=True)
        fields = dict(pairs)
        access_key_id, date, region, service, end = fields["X-Amz-Credential"].split("/")
        signed_at = datetime.strptime(fields["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        lifetime = timedelta(seconds=int(fields["X-Amz-Expires"]))
    except (KeyError, ValueError, OverflowError) as error:
        raise TokenRefused("it is no IAM token (a password?)") from error
    _check(len(fields) == len(pairs), "a field comes twice")
    _check(fields.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256", "its algorithm is not AWS4-HMAC-SHA256")
    _check(fields.get("X-Amz-SignedHeaders") == "host", "it signs other headers than the host")
    _check("X-Amz-Signature" in fields, "it is not signed")
    _check(end == "aws4_request" and fields["X-Amz-Date"].startswith(date), "its scope does not fit its date")
    return _SignedRequest(
        url.netloc, url.path or "/", fields, access_key_id, date, region, service, signed_at, lifetime
    )


def _check_age(signed: _SignedRequest, now: datetime) -> None:
    lifetime = min(signed.lifetime, timedelta(seconds=LIFETIME_SECONDS))
    age = now - signed.signed_at
    _check(age <= lifetime, f"it expired {(age - lifetime).total_seconds():.0f} s ago")
    _check(age >= -_CLOCK_SKEW, f"it is dated {-age.total_seconds():.0f} s ahead")


def _signature(signed: _SignedRequest, secret_access_key: str) -> str:
    query = "&".join(
        sorted(
            f"{_encoded(name)}={_encoded(value)}"
            for name, value in signed.fields.items()
            if name != "X-Amz-Signature"
        )
    )
    request = f"GET\n{signed.path}\n{query}\nhost:{signed.endpoint}\n\nhost\n{_EMPTY_BODY_SHA256}"
    timestamp = signed.fields["X-Amz-Date"]
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{timestamp}\n{signed.scope}\n{digest}"
    key = b"AWS4" + secret_access_key.encode()
    for part in (*signed.scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise TokenRefused(otherwise)
