"""Identity policies, permissions boundaries, session policies and endpoint policies within an account."""

from tests.localcloud.iam.case import (
    ALLOWED,
    DENY_IN_BOUNDARY,
    DENY_IN_ENDPOINT,
    DENY_IN_IDENTITY,
    DENY_IN_SESSION,
    NO_BOUNDARY,
    NO_ENDPOINT,
    NO_IDENTITY,
    NO_SESSION,
    RESOURCE,
    USER,
    allow,
    case,
    deny,
    policy,
)

LOGIC = "reference_policies_evaluation-logic_policy-eval-denyallow.html"
DENIES = "reference_policies_evaluation-logic_AccessPolicyLanguage_Interplay.html"
BOUNDARIES = "access_policies_boundaries.html#access_policies_boundaries-eval-logic"
SESSIONS = "access_policies.html#policies_session"
MESSAGES = "troubleshoot_access-denied.html"
ENDPOINTS = "https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html"

_REPORTS = policy(allow(["iam:Get*", "iam:List*"]), deny("iam:*Report"))
_S3 = [allow(["s3:*", "cloudwatch:*", "ec2:*"])]
_CARLOS = policy(
    allow("s3:ListAllMyBuckets", "arn:aws:s3:::*"),
    allow("s3:*", ["arn:aws:s3:::carlossalazar/*", "arn:aws:s3:::carlossalazar"]),
    deny("s3:*", "arn:aws:s3:::*log*"),
)
_OTHER = allow("s3:GetObject")

IDENTITY = [
    case("no-policy", LOGIC, NO_IDENTITY),
    case("one-allow", LOGIC, ALLOWED, identity=[allow()]),
    case("no-statement-about-it", LOGIC, NO_IDENTITY, identity=[_OTHER]),
    case("one-of-several-policies-allows", LOGIC, ALLOWED, identity=[_OTHER, allow()]),
    case("one-of-several-statements-allows", LOGIC, ALLOWED, identity=[policy(_OTHER, allow())]),
    case("a-user", LOGIC, ALLOWED, principal=USER, identity=[allow()]),
    case("deny-outweighs-allow", DENIES, DENY_IN_IDENTITY, identity=[policy(allow(), deny())]),
    case("deny-first-outweighs-allow", DENIES, DENY_IN_IDENTITY, identity=[policy(deny(), allow())]),
    case("deny-of-another-policy-outweighs", DENIES, DENY_IN_IDENTITY, identity=[allow(), deny()]),
    case("deny-without-allow", DENIES, DENY_IN_IDENTITY, identity=[deny()]),
    case("deny-of-something-else", DENIES, ALLOWED, identity=[allow(), deny(resource=RESOURCE + "2")]),
    case("allowed-action", DENIES, ALLOWED, action="iam:GetUser", identity=[_REPORTS]),
    case("implicitly-denied-action", DENIES, NO_IDENTITY, action="iam:CreatePolicy", identity=[_REPORTS]),
    case(
        "explicitly-denied-action",
        DENIES,
        DENY_IN_IDENTITY,
        action="iam:GetCredentialReport",
        identity=[_REPORTS],
    ),
    case(
        "carlos-saves-a-log",
        "reference_policies_evaluation-logic_policy-eval-basics.html",
        DENY_IN_IDENTITY,
        principal=USER,
        action="s3:PutObject",
        resource="arn:aws:s3:::carlossalazar-logs/file",
        identity=[_CARLOS],
    ),
    case(
        "message-names-the-action-as-asked",
        MESSAGES,
        "because no identity-based policy allows the codecommit:ListRepositories action",
        action="codecommit:ListRepositories",
        resource="*",
    ),
]

LIMITS = [
    case(
        "boundary-and-identity-allow",
        BOUNDARIES,
        ALLOWED,
        action="s3:GetObject",
        identity=[allow("*")],
        boundary=_S3,
    ),
    case(
        "boundary-does-not-allow",
        BOUNDARIES,
        NO_BOUNDARY,
        action="iam:CreateUser",
        identity=[allow("iam:CreateUser")],
        boundary=_S3,
    ),
    case("boundary-alone-gives-nothing", BOUNDARIES, NO_IDENTITY, action="s3:GetObject", boundary=_S3),
    case("boundary-of-a-user", BOUNDARIES, NO_BOUNDARY, principal=USER, identity=[allow()], boundary=_S3),
    case("boundary-denies", BOUNDARIES, DENY_IN_BOUNDARY, identity=[allow()], boundary=[allow("*"), deny()]),
    case(
        "boundary-for-another-resource",
        BOUNDARIES,
        NO_BOUNDARY,
        identity=[allow()],
        boundary=[allow(resource=RESOURCE + "2")],
    ),
    case(
        "boundary-with-its-condition",
        BOUNDARIES,
        NO_BOUNDARY,
        identity=[allow()],
        context={"aws:RequestedRegion": "eu-west-1"},
        boundary=[allow("*", Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}})],
    ),
    case("session-and-identity-allow", SESSIONS, ALLOWED, identity=[allow("*")], session=[allow()]),
    case("session-does-not-allow", SESSIONS, NO_SESSION, identity=[allow()], session=[_OTHER]),
    case("session-alone-gives-nothing", SESSIONS, NO_IDENTITY, session=[allow()]),
    case("session-denies", SESSIONS, DENY_IN_SESSION, identity=[allow()], session=[allow("*"), deny()]),
    case(
        "all-three-allow",
        BOUNDARIES,
        ALLOWED,
        identity=[allow()],
        boundary=[allow("*")],
        session=[allow("*")],
    ),
    case(
        "session-within-a-boundary",
        BOUNDARIES,
        NO_SESSION,
        identity=[allow()],
        boundary=[allow()],
        session=[_OTHER],
    ),
    case(
        "boundary-around-a-session",
        BOUNDARIES,
        NO_BOUNDARY,
        identity=[allow()],
        boundary=[_OTHER],
        session=[allow()],
    ),
    case(
        "deny-in-identity-despite-all",
        LOGIC,
        DENY_IN_IDENTITY,
        identity=[allow(), deny()],
        boundary=[allow()],
        session=[allow()],
    ),
]

_ANYBODY = {"Principal": "*"}

ENDPOINT = [
    case("endpoint-allows", ENDPOINTS, ALLOWED, identity=[allow()], endpoint=[allow("*", **_ANYBODY)]),
    case(
        "endpoint-does-not-allow",
        MESSAGES,
        NO_ENDPOINT,
        identity=[allow()],
        endpoint=[allow("s3:GetObject", **_ANYBODY)],
    ),
    case(
        "endpoint-denies",
        MESSAGES,
        DENY_IN_ENDPOINT,
        identity=[allow()],
        endpoint=[allow("*", **_ANYBODY), deny(**_ANYBODY)],
    ),
    case("endpoint-alone-gives-nothing", ENDPOINTS, NO_IDENTITY, endpoint=[allow("*", **_ANYBODY)]),
    case(
        "endpoint-for-others",
        ENDPOINTS,
        NO_ENDPOINT,
        identity=[allow()],
        endpoint=[allow("*", Principal={"AWS": "999999999999"})],
    ),
]

CASES = [*IDENTITY, *LIMITS, *ENDPOINT]
