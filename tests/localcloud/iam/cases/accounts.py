"""Where the resource's policy has to speak: keys, roles that are assumed, resources of another account."""

from tests.localcloud.iam.case import (
    ACCOUNT,
    ALLOWED,
    DENY_IN_IDENTITY,
    DENY_IN_RESOURCE,
    DENY_IN_TRUST,
    NO_BOUNDARY,
    NO_IDENTITY,
    NO_RESOURCE,
    NO_SESSION,
    NO_TRUST,
    OTHER_ACCOUNT,
    ROLE_ARN,
    ROOT_ARN,
    SERVICE,
    SESSION_ARN,
    USER,
    USER_ARN,
    allow,
    case,
    deny,
)

KEYS = "https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html"
DEFAULT_KEY = "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"
VIA_SERVICE = "https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html"
LOGIC = "reference_policies_evaluation-logic_policy-eval-denyallow.html"
TRUST = "id_roles_compare-resource-policies.html"
MESSAGES = "troubleshoot_access-denied.html"
CROSS = "reference_policies_evaluation-logic-cross-account.html"

_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_DECRYPT = allow("kms:Decrypt", _KEY)
_ENABLE_IAM = allow("kms:*", "*", Principal={"AWS": ROOT_ARN})
_VIA = {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}
_OTHER = [allow("s3:GetObject")]


def _key(name, expected, policy, page=KEYS, **more):
    return case(
        f"key-{name}",
        page,
        expected,
        action="kms:Decrypt",
        resource=_KEY,
        resource_policy=policy,
        resource_policy_decides=True,
        **more,
    )


def _to_role(**elements):
    return allow("kms:Decrypt", "*", Principal={"AWS": ROLE_ARN}, **elements)


KEY_POLICIES = [
    _key("enables-iam", ALLOWED, [_ENABLE_IAM], DEFAULT_KEY, identity=[_DECRYPT]),
    _key("enables-iam-that-does-not-allow", NO_IDENTITY, [_ENABLE_IAM], DEFAULT_KEY),
    _key(
        "enables-iam-for-another-key",
        NO_IDENTITY,
        [_ENABLE_IAM],
        DEFAULT_KEY,
        identity=[allow("kms:Decrypt", _KEY + "2")],
    ),
    _key("enables-no-iam", NO_RESOURCE, [allow("kms:*", Principal={"AWS": USER_ARN})], identity=[_DECRYPT]),
    _key(
        "enables-iam-of-another-account",
        NO_RESOURCE,
        [allow("kms:*", Principal={"AWS": OTHER_ACCOUNT})],
        identity=[_DECRYPT],
    ),
    _key("names-the-role", ALLOWED, [_to_role()]),
    _key(
        "names-the-role-for-another-action",
        NO_RESOURCE,
        [allow("kms:Encrypt", Principal={"AWS": ROLE_ARN})],
        identity=[_DECRYPT],
    ),
    _key("names-the-role-within-a-boundary", NO_BOUNDARY, [_to_role()], LOGIC, boundary=_OTHER),
    _key(
        "enables-iam-within-a-boundary",
        NO_BOUNDARY,
        [_ENABLE_IAM],
        LOGIC,
        identity=[_DECRYPT],
        boundary=_OTHER,
    ),
    _key(
        "denies",
        DENY_IN_RESOURCE,
        [_ENABLE_IAM, deny("kms:Decrypt", Principal={"AWS": ROLE_ARN})],
        identity=[_DECRYPT],
    ),
    _key("denied-by-iam", DENY_IN_IDENTITY, [_to_role()], identity=[deny("kms:*")]),
    _key(
        "for-a-service-used", ALLOWED, [_to_role(Condition={"StringEquals": _VIA})], VIA_SERVICE, context=_VIA
    ),
    _key(
        "for-another-service",
        NO_RESOURCE,
        [_to_role(Condition={"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}})],
        VIA_SERVICE,
        context=_VIA,
    ),
    _key("for-a-service-not-used", NO_RESOURCE, [_to_role(Condition={"StringEquals": _VIA})], VIA_SERVICE),
    _key(
        "by-iam-for-another-service",
        NO_IDENTITY,
        [_ENABLE_IAM],
        VIA_SERVICE,
        context=_VIA,
        identity=[allow("kms:Decrypt", Condition={"StringLike": {"kms:ViaService": "s3.*"}})],
    ),
    _key(
        "of-another-account-both-allow",
        ALLOWED,
        [_ENABLE_IAM],
        CROSS,
        resource_account=OTHER_ACCOUNT,
        identity=[_DECRYPT],
    ),
    _key(
        "of-another-account-names-the-role-only",
        NO_IDENTITY,
        [_to_role()],
        CROSS,
        resource_account=OTHER_ACCOUNT,
    ),
    case(
        "key-without-policy",
        KEYS,
        NO_RESOURCE,
        action="kms:Decrypt",
        resource=_KEY,
        identity=[_DECRYPT],
        resource_policy_decides=True,
    ),
]

_TARGET = f"arn:aws:iam::{ACCOUNT}:role/target"
_ASSUME = allow("sts:AssumeRole", _TARGET)


def _trust(name, expected, named, page=TRUST, effect=allow, more_trust=(), **more):
    return case(
        f"trust-{name}",
        page,
        expected,
        action="sts:AssumeRole",
        resource=_TARGET,
        resource_policy=[effect("sts:AssumeRole", None, Principal=named), *more_trust],
        resource_policy_decides=True,
        **more,
    )


_LAMBDA = {"Service": "lambda.amazonaws.com"}
_EXTERNAL = {"StringEquals": {"sts:ExternalId": "12345"}}
_TO_ALL = allow("sts:AssumeRole", None, Principal="*")

TRUST_POLICIES = [
    _trust("names-the-service", ALLOWED, _LAMBDA, principal=SERVICE),
    _trust("names-another-service", NO_TRUST, {"Service": "rds.amazonaws.com"}, principal=SERVICE),
    _trust("names-the-service-not-the-role", NO_TRUST, _LAMBDA, MESSAGES, identity=[_ASSUME]),
    _trust("names-the-role", ALLOWED, {"AWS": ROLE_ARN}, LOGIC),
    _trust("names-the-account-and-identity-allows", ALLOWED, {"AWS": ROOT_ARN}, LOGIC, identity=[_ASSUME]),
    _trust("names-the-account-only", NO_IDENTITY, {"AWS": ROOT_ARN}, LOGIC),
    _trust("names-another-role", NO_TRUST, {"AWS": ROLE_ARN + "2"}, LOGIC, identity=[_ASSUME]),
    _trust(
        "denies",
        DENY_IN_TRUST,
        {"AWS": ROLE_ARN},
        MESSAGES,
        effect=deny,
        more_trust=[_TO_ALL],
        identity=[_ASSUME],
    ),
    _trust(
        "of-another-account-both-allow",
        ALLOWED,
        {"AWS": ROLE_ARN},
        CROSS,
        identity=[_ASSUME],
        resource_account=OTHER_ACCOUNT,
    ),
    _trust(
        "of-another-account-without-identity",
        NO_IDENTITY,
        {"AWS": ROLE_ARN},
        CROSS,
        resource_account=OTHER_ACCOUNT,
    ),
    case(
        "trust-with-external-id",
        "id_roles_common-scenarios_third-party.html",
        ALLOWED,
        action="sts:AssumeRole",
        resource=_TARGET,
        context={"sts:ExternalId": "12345"},
        resource_policy_decides=True,
        resource_policy=[allow("sts:AssumeRole", None, Principal={"AWS": ROLE_ARN}, Condition=_EXTERNAL)],
    ),
    case(
        "trust-without-external-id",
        "id_roles_common-scenarios_third-party.html",
        NO_TRUST,
        action="sts:AssumeRole",
        resource=_TARGET,
        resource_policy_decides=True,
        identity=[_ASSUME],
        resource_policy=[allow("sts:AssumeRole", None, Principal={"AWS": ROLE_ARN}, Condition=_EXTERNAL)],
    ),
]

_OBJECT = "arn:aws:s3:::Production/file"
_BUCKET_POLICY = [
    allow(["s3:GetObject*", "s3:PutObject*"], "arn:aws:s3:::Production/*", Principal={"AWS": USER_ARN})
]
_CARLOS = [
    allow("s3:ListAllMyBuckets"),
    allow("s3:*Object*", "arn:aws:s3:::Production/*"),
    deny("s3:*", ["arn:aws:s3:::*log*", "arn:aws:s3:::*log*/*"]),
]


def _bucket(name, expected, action="s3:PutObject", resource=_OBJECT, **more):
    more = {"principal": USER, "identity": _CARLOS, **more}
    return case(
        f"cross-account-{name}",
        CROSS,
        expected,
        action=action,
        resource=resource,
        resource_account=OTHER_ACCOUNT,
        **more,
    )


def _for(*arns):
    return [allow("s3:*", Principal={"AWS": list(arns)})]


_S3 = [allow("s3:*")]

CROSS_ACCOUNT = [
    _bucket("both-allow", ALLOWED, resource_policy=_BUCKET_POLICY),
    _bucket("log-denied", DENY_IN_IDENTITY, resource="arn:aws:s3:::Production-logs/file"),
    _bucket("bucket-allows-less", NO_RESOURCE, action="s3:DeleteObject", resource_policy=_BUCKET_POLICY),
    _bucket(
        "identity-allows-less", NO_IDENTITY, identity=[allow("s3:GetObject")], resource_policy=_BUCKET_POLICY
    ),
    _bucket("no-resource-policy", NO_RESOURCE),
    _bucket("no-identity-policy", NO_IDENTITY, identity=(), resource_policy=_BUCKET_POLICY),
    _bucket(
        "bucket-denies", DENY_IN_RESOURCE, resource_policy=[*_BUCKET_POLICY, deny("s3:*", Principal="*")]
    ),
    _bucket("bucket-names-the-account", ALLOWED, resource_policy=_for(ACCOUNT)),
    _bucket(
        "bucket-names-everybody", NO_IDENTITY, identity=(), resource_policy=[allow("s3:*", Principal="*")]
    ),
]

SESSIONS_ACROSS = [
    case(
        f"cross-account-session-{name}",
        CROSS,
        expected,
        action="s3:GetObject",
        resource=_OBJECT,
        resource_account=OTHER_ACCOUNT,
        **policies,
    )
    for name, expected, policies in [
        ("named-needs-identity", NO_IDENTITY, {"resource_policy": _for(SESSION_ARN)}),
        ("named-and-allowed", ALLOWED, {"resource_policy": _for(SESSION_ARN), "identity": _S3}),
        ("role-named-and-allowed", ALLOWED, {"resource_policy": _for(ROLE_ARN), "identity": _S3}),
        (
            "within-boundary",
            NO_BOUNDARY,
            {"resource_policy": _for(SESSION_ARN), "identity": _S3, "boundary": [allow("ec2:*")]},
        ),
        (
            "within-session",
            NO_SESSION,
            {"resource_policy": _for(SESSION_ARN), "identity": _S3, "session": [allow("ec2:*")]},
        ),
        ("of-an-unnamed-account", NO_RESOURCE, {"resource_policy": _for(OTHER_ACCOUNT), "identity": _S3}),
    ]
]

CASES = [*KEY_POLICIES, *TRUST_POLICIES, *CROSS_ACCOUNT, *SESSIONS_ACROSS]
