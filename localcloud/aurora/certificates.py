"""The certificate authority of one cloud: a certificate for every endpoint, one bundle for every client."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

_VALID_FOR = timedelta(days=365)
_BACKDATED = timedelta(days=1)  # for clients whose clock is behind


class CertificateAuthority:
    """Signs the endpoints' certificates. Its key stays in this process; its certificate is `bundle`."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("localcloud certificate authority")
        self._certificate = self._self_signed()
        bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    @classmethod
    def of(cls, cloud: Cloud) -> CertificateAuthority:
        """The one authority of a cloud."""
        return cloud.part(cls, lambda cloud: cls(cloud.ca_bundle))

    def server_context(self, address: str) -> ssl.SSLContext:
        """TLS for a server at an IP address: clients that trust `bundle` verify it in full (verify-full)."""
        pem = self.server_pem(address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # the module reads files only; mkstemp's is ours alone (mode 0600) and gone again at once
        descriptor, path = tempfile.mkstemp(suffix=".pem")
        try:
            os.write(descriptor, pem)
            context.load_cert_chain(path)
        finally:
            os.close(descriptor)
            os.unlink(path)
        return context

    def server_pem(self, address: str) -> bytes:
        """A new private key and its certificate for a server at an IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed_for(address, key.public_key())
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + certificate.public_bytes(serialization.Encoding.PEM)

    def _self_signed(self) -> x509.Certificate:
        return (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _signed_for(self, address: str, public_key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        # libpq before 15 looks for an address in the common name, all others among the alternative names
        alternative_names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        return (
            _builder(_name(address), self._name, public_key)
            .add_extension(alternative_names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
