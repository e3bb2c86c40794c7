"""The functions' environment is complete and well formed, or one error names all that is wrong with it."""

import dataclasses
import ssl
from datetime import UTC, datetime, timedelta

import certifi
import pytest
from cryptography import x509

from aurora.environment import DatabaseEnvironment, EnvironmentIncomplete
from aurora.failures import CertificateRefused
from aurora.trust import PACKAGED, ca_file

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/admin-AbCdEf"
COMPLETE = {
    "DATABASE_ENGINE": "postgresql",
    "DATABASE_NAME": "shop",
    "DATABASE_PORT": "5433",
    "CLUSTER_ENDPOINT": "shop.cluster-abc.eu-central-1.rds.amazonaws.com",
    "CLUSTER_READER_ENDPOINT": "shop.cluster-ro-abc.eu-central-1.rds.amazonaws.com",
    "PROXY_ENDPOINT": "shop.proxy-abc.eu-central-1.rds.amazonaws.com",
    "PROXY_READ_ONLY_ENDPOINT": "127.0.0.12",
    "AWS_REGION": "eu-central-1",
}


def test_a_complete_environment_is_read():
    environment = DatabaseEnvironment.from_environment(
        {
            **COMPLETE,
            "ADMIN_SECRET_ARN": SECRET,
            "AWS_LAMBDA_FUNCTION_NAME": "shop-dev-schema",
            "PATH": "/bin",
        }
    )
    assert (environment.port, environment.database, environment.engine) == (5433, "shop", "postgresql")
    assert environment.admin_secret_arn == SECRET
    assert environment.application_name == "shop-dev-schema"
    assert environment.ca_bundle is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        environment.port = 5432


def test_only_secret_and_bundle_may_be_missing():
    for name in COMPLETE:
        variables = {key: value for key, value in COMPLETE.items() if key != name}
        with pytest.raises(EnvironmentIncomplete, match=f"^{name} is not set"):
            DatabaseEnvironment.from_environment(variables)
    assert DatabaseEnvironment.from_environment(COMPLETE).admin_secret_arn is None


def test_everything_missing_is_named_at_once():
    with pytest.raises(EnvironmentIncomplete) as incomplete:
        DatabaseEnvironment.from_environment({})
    assert all(f"{name} is not set" in str(incomplete.value) for name in COMPLETE)


MALFORMED = [
    ("DATABASE_ENGINE", "oracle"),
    ("DATABASE_ENGINE", ""),
    ("DATABASE_NAME", "shop; DROP TABLE orders"),
    ("DATABASE_NAME", "x" * 64),
    ("DATABASE_PORT", "0"),
    ("DATABASE_PORT", "65536"),
    ("DATABASE_PORT", "5432 "),
    ("DATABASE_PORT", "-5432"),
    ("DATABASE_PORT", "٥٤٣٢"),
    ("DATABASE_PORT", "9" * 5000),
    ("CLUSTER_ENDPOINT", ""),
    ("CLUSTER_ENDPOINT", "host with spaces"),
    ("CLUSTER_READER_ENDPOINT", "host\0"),
    ("PROXY_ENDPOINT", "host,other"),
    ("PROXY_READ_ONLY_ENDPOINT", "https://host"),
    ("AWS_REGION", "Frankfurt"),
    ("ADMIN_SECRET_ARN", ""),
    ("ADMIN_SECRET_ARN", "shop/admin"),
    ("ADMIN_SECRET_ARN", SECRET.replace("secretsmanager", "rds")),
    ("ADMIN_SECRET_ARN", SECRET.replace("123456789012", "1234")),
    ("CA_BUNDLE", "../certificates"),
    ("CA_BUNDLE", ""),
]


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_a_malformed_value_is_named_with_what_was_expected(name, value):
    with pytest.raises(EnvironmentIncomplete, match=f"^{name}=.*: expected ") as incomplete:
        DatabaseEnvironment.from_environment({**COMPLETE, name: value})
    assert len(str(incomplete.value)) < 250


def test_the_bundle_is_the_packaged_one_or_what_the_environment_names(tmp_path):
    assert ca_file(None) == str(PACKAGED)
    assert ca_file("system") == "system"
    own = tmp_path / "own.pem"
    with pytest.raises(CertificateRefused, match="is no file"):
        ca_file(str(own))
    own.write_text("")
    assert ca_file(str(own)) == str(own)


def packaged_roots():
    return x509.load_pem_x509_certificates(PACKAGED.read_bytes())


def names(certificates):
    return {
        attribute.value
        for certificate in certificates
        for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    }


def test_the_packaged_bundle_is_one_that_tls_can_load():
    context = ssl.create_default_context(cafile=str(PACKAGED))
    assert len(context.get_ca_certs()) == len(packaged_roots())


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "eu-west-1", "ap-southeast-2", "sa-east-1"])
@pytest.mark.parametrize("key", ["RSA2048", "RSA4096", "ECC384"])
def test_the_packaged_bundle_has_the_roots_of_aurora(region, key):
    assert f"Amazon RDS {region} Root CA {key} G1" in names(packaged_roots())


def test_the_packaged_bundle_has_the_roots_of_the_proxy_as_mozilla_publishes_them():
    with open(certifi.where(), "rb") as file:
        published = x509.load_pem_x509_certificates(file.read())
    amazon = [root for root in published if any(name.startswith("Amazon Root CA") for name in names([root]))]
    assert len(amazon) == 4
    assert set(amazon) <= set(packaged_roots())


def test_every_packaged_root_signs_certificates_and_outlives_the_next_years():
    for root in packaged_roots():
        constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert constraints.ca and root.issuer == root.subject, root.subject
        assert root.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3 * 365), root.subject
