"""Which certificate authorities vouch for the database."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

from aurora.failures import CertificateRefused

PACKAGED = Path(__file__).with_name("certificates") / "bundle.pem"
SYSTEM = "system"


def ca_file(ca_bundle: str | None) -> str:
    """Return the bundle to verify against: the packaged one, the runtime's (`system`) or a file that exists.

    A missing file raises CertificateRefused: the driver must not be left to decide what to do without one.
    """
    if ca_bundle == SYSTEM:
        return SYSTEM
    path = Path(ca_bundle) if ca_bundle else PACKAGED
    if not path.is_file():
        raise CertificateRefused(
            f"CA_BUNDLE={str(path)!r} is no file: without it no certificate can be verified"
        )
    return str(path)


@functools.cache
def tls_context(ca_file: str) -> ssl.SSLContext:
    """Return TLS that verifies certificate and host name, the same for every connection of this process.

    Reading the authorities costs ten times what the rest of connecting does. Raises CertificateRefused where
    the file holds none.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file == SYSTEM else ca_file)
    except ssl.SSLError as error:
        raise CertificateRefused(f"CA_BUNDLE={ca_file!r} holds no certificates: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
