"""Which certificate authorities vouch for the database."""

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
