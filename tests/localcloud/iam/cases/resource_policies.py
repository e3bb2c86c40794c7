"""Resource policies within an account: whom they name, and which limits what they grant then has."""

from tests.localcloud.iam.case import (
    ACCOUNT,
    ALLOWED,
    DENY_IN_IDENTITY,
    DENY_IN_RESOURCE,
    DENY_IN_SESSION,
    NO_BOUNDARY,
    NO_IDENTITY,
    NO_RESOURCE,
    NO_SESSION,
    OTHER_ACCOUNT,
    RESOURCE,
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

LOGIC = "reference_policies_evaluation-logic_policy-eval-denyallow.html"
BASICS = "reference_policies_evaluation-logic_policy-eval-basics.html"
BOUNDARIES = "access_policies_boundaries.html#access_policies_boundaries-eval-logic"
PRINCIPAL = "reference_policies_elements_principal.html"
NOT_PRINCIPAL = "reference_policies_elements_notprincipal.html"

_OTHER = [allow("s3:GetObject")]
_LIMITED = {"boundary": _OTHER, "session": _OTHER}


def _granted(name, named, expected, page=PRINCIPAL, **more):
    return case(f"resource-policy-{name}", page, expected, resource_policy=[allow(Principal=named)], **more)


ALLOWS = [
    _granted("names-the-session", {"AWS": SESSION_ARN}, ALLOWED),
    _granted("names-the-role", {"AWS": ROLE_ARN}, ALLOWED),
    _granted("names-the-role-among-others", {"AWS": ["999999999999", ROLE_ARN]}, ALLOWED),
    _granted("names-everybody", "*", ALLOWED),
    _granted("names-every-aws-principal", {"AWS": "*"}, ALLOWED),
    _granted("names-the-account-delegates", {"AWS": ROOT_ARN}, NO_IDENTITY),
    _granted("names-the-account-by-number", {"AWS": ACCOUNT}, NO_IDENTITY),
    _granted("names-the-account-and-identity-allows", {"AWS": ROOT_ARN}, ALLOWED, identity=[allow()]),
    _granted("names-another-role", {"AWS": ROLE_ARN + "2"}, NO_IDENTITY),
    _granted("names-another-session", {"AWS": SESSION_ARN + "2"}, NO_IDENTITY),
    _granted("names-no-part-of-a-role", {"AWS": ROLE_ARN[:-1] + "*"}, NO_IDENTITY),
    _granted("names-a-service", {"Service": "lambda.amazonaws.com"}, NO_IDENTITY),
    _granted("names-the-user", {"AWS": USER_ARN}, ALLOWED, principal=USER),
    _granted(
        "names-another-and-identity-allows", {"AWS": ROLE_ARN + "2"}, ALLOWED, BASICS, identity=[allow()]
    ),
    case(
        "resource-policy-for-another-action",
        LOGIC,
        NO_IDENTITY,
        resource_policy=[allow("s3:*", Principal={"AWS": ROLE_ARN})],
    ),
    case(
        "resource-policy-for-another-resource",
        LOGIC,
        NO_IDENTITY,
        resource_policy=[allow(resource=RESOURCE + "2", Principal={"AWS": ROLE_ARN})],
    ),
    case(
        "resource-policy-with-its-condition",
        PRINCIPAL,
        ALLOWED,
        context={"aws:PrincipalArn": ROLE_ARN},
        resource_policy=[allow(Principal="*", Condition={"ArnEquals": {"aws:PrincipalArn": ROLE_ARN}})],
    ),
    case(
        "resource-policy-with-another-condition",
        PRINCIPAL,
        NO_IDENTITY,
        context={"aws:PrincipalArn": ROLE_ARN},
        resource_policy=[allow(Principal="*", Condition={"ArnEquals": {"aws:PrincipalArn": ROLE_ARN + "2"}})],
    ),
]

LIMITS = [
    _granted("of-a-session-has-no-limits", {"AWS": SESSION_ARN}, ALLOWED, BOUNDARIES, **_LIMITED),
    _granted("of-a-session-has-no-boundary", {"AWS": SESSION_ARN}, ALLOWED, BOUNDARIES, boundary=_OTHER),
    _granted("of-a-session-has-no-session-policy", {"AWS": SESSION_ARN}, ALLOWED, BOUNDARIES, session=_OTHER),
    _granted("of-a-role-within-its-boundary", {"AWS": ROLE_ARN}, NO_BOUNDARY, BOUNDARIES, boundary=_OTHER),
    _granted("of-a-role-with-its-boundary", {"AWS": ROLE_ARN}, ALLOWED, BOUNDARIES, boundary=[allow()]),
    _granted("of-a-role-within-its-session", {"AWS": ROLE_ARN}, NO_SESSION, LOGIC, session=_OTHER),
    _granted("of-a-role-with-its-session", {"AWS": ROLE_ARN}, ALLOWED, LOGIC, session=[allow()]),
    _granted(
        "of-role-and-session-has-no-limits", {"AWS": [ROLE_ARN, SESSION_ARN]}, ALLOWED, BOUNDARIES, **_LIMITED
    ),
    _granted(
        "of-a-user-has-no-boundary", {"AWS": USER_ARN}, ALLOWED, BOUNDARIES, principal=USER, boundary=_OTHER
    ),
    _granted("of-everybody-has-no-limits", "*", ALLOWED, PRINCIPAL, **_LIMITED),
    _granted(
        "of-the-account-within-a-boundary",
        {"AWS": ROOT_ARN},
        NO_BOUNDARY,
        LOGIC,
        identity=[allow()],
        boundary=_OTHER,
    ),
    _granted(
        "of-a-session-denied-by-its-session",
        {"AWS": SESSION_ARN},
        DENY_IN_SESSION,
        LOGIC,
        session=[allow("*"), deny()],
    ),
    _granted("denied-by-identity", {"AWS": SESSION_ARN}, DENY_IN_IDENTITY, LOGIC, identity=[deny()]),
]


def _denied(name, elements, expected, page=PRINCIPAL, **more):
    policies = {"identity": [allow()], "resource_policy": [deny(**elements)], **more}
    return case(f"resource-policy-{name}", page, expected, **policies)


_AUDIT = {"AWS": [SESSION_ARN, ROLE_ARN, ROOT_ARN]}

DENIES = [
    _denied("denies-everybody", {"Principal": "*"}, DENY_IN_RESOURCE),
    _denied("denies-the-session", {"Principal": {"AWS": SESSION_ARN}}, DENY_IN_RESOURCE),
    _denied("denies-the-role", {"Principal": {"AWS": ROLE_ARN}}, DENY_IN_RESOURCE),
    _denied("denies-the-account", {"Principal": {"AWS": ACCOUNT}}, DENY_IN_RESOURCE),
    _denied("denies-another", {"Principal": {"AWS": ROLE_ARN + "2"}}, ALLOWED),
    _denied("denies-another-account", {"Principal": {"AWS": OTHER_ACCOUNT}}, ALLOWED),
    _denied("denies-a-service", {"Principal": {"Service": "lambda.amazonaws.com"}}, ALLOWED),
    _denied("denies-all-but-it", {"NotPrincipal": _AUDIT}, ALLOWED, NOT_PRINCIPAL),
    _denied("denies-all-but-others", {"NotPrincipal": {"AWS": USER_ARN}}, DENY_IN_RESOURCE, NOT_PRINCIPAL),
    _denied(
        "denies-all-but-it-without-its-account",
        {"NotPrincipal": {"AWS": [SESSION_ARN, ROLE_ARN]}},
        DENY_IN_RESOURCE,
        NOT_PRINCIPAL,
    ),
    _denied(
        "denies-all-but-it-without-its-role",
        {"NotPrincipal": {"AWS": [SESSION_ARN, ROOT_ARN]}},
        DENY_IN_RESOURCE,
        NOT_PRINCIPAL,
    ),
    _denied(
        "denies-all-but-a-user",
        {"NotPrincipal": {"AWS": [USER_ARN, ROOT_ARN]}},
        ALLOWED,
        NOT_PRINCIPAL,
        principal=USER,
    ),
    _denied(
        "denies-all-but-it-with-a-boundary",
        {"NotPrincipal": _AUDIT},
        DENY_IN_RESOURCE,
        "access_policies_boundaries.html",
        boundary=[allow()],
    ),
    case(
        "resource-policy-allows-all-but-others",
        NOT_PRINCIPAL,
        ALLOWED,
        resource_policy=[allow(NotPrincipal={"AWS": USER_ARN})],
    ),
    case(
        "resource-policy-allows-all-but-it",
        NOT_PRINCIPAL,
        NO_IDENTITY,
        resource_policy=[allow(NotPrincipal={"AWS": ROLE_ARN})],
    ),
    _denied(
        "denies-all-but-one-by-condition",
        {"Principal": "*", "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ROLE_ARN}}},
        ALLOWED,
        context={"aws:PrincipalArn": ROLE_ARN},
    ),
    _denied(
        "denies-without-tls",
        {"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        DENY_IN_RESOURCE,
        "reference_policies_elements_condition_operators.html#Conditions_Boolean",
        context={"aws:SecureTransport": "false"},
    ),
]

_FROM = {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:topic"}}}
_SERVICES = {"Service": ["ecs.amazonaws.com", "lambda.amazonaws.com"]}


def _service(name, elements, expected, **more):
    policies = {"resource_policy": [allow(**elements)], **more}
    return case(f"service-{name}", f"{PRINCIPAL}#principal-services", expected, principal=SERVICE, **policies)


SERVICES = [
    _service("named", {"Principal": {"Service": "lambda.amazonaws.com"}}, ALLOWED),
    _service("named-among-others", {"Principal": _SERVICES}, ALLOWED),
    _service("everybody", {"Principal": "*"}, ALLOWED),
    _service("another-named", {"Principal": {"Service": "rds.amazonaws.com"}}, NO_RESOURCE),
    _service("is-not-its-account", {"Principal": {"AWS": ACCOUNT}}, NO_RESOURCE),
    _service(
        "named-for-a-source",
        {"Principal": _SERVICES, **_FROM},
        ALLOWED,
        context={"aws:SourceArn": "arn:aws:sns:us-east-1:1:topic"},
    ),
    _service(
        "named-for-another-source",
        {"Principal": _SERVICES, **_FROM},
        NO_RESOURCE,
        context={"aws:SourceArn": "arn:aws:sns:us-east-1:1:other"},
    ),
    _service("named-for-a-missing-source", {"Principal": _SERVICES, **_FROM}, NO_RESOURCE),
    case(
        "service-without-resource-policy", f"{PRINCIPAL}#principal-services", NO_RESOURCE, principal=SERVICE
    ),
]

CASES = [*ALLOWS, *LIMITS, *DENIES, *SERVICES]
