"""Actions and resources: wildcards, cases of letters, NotAction, NotResource."""

from tests.localcloud.iam.case import (
    ACTION,
    ALLOWED,
    DENY_IN_IDENTITY,
    NO_IDENTITY,
    RESOURCE,
    allow,
    case,
    deny,
)

ACTION_PAGE = "reference_policies_elements_action.html"
NOT_ACTION_PAGE = "reference_policies_elements_notaction.html"
RESOURCE_PAGE = "reference_policies_elements_resource.html"
NOT_RESOURCE_PAGE = "reference_policies_elements_notresource.html"
ARN_PAGE = "reference-arns.html"
GRAMMAR_PAGE = "reference_policies_grammar.html"


def _actions(name, pattern, action, expected):
    return case(f"action-{name}", ACTION_PAGE, expected, action=action, identity=[allow(pattern)])


ACTIONS = [
    _actions("exact", ACTION, ACTION, ALLOWED),
    _actions("other", "secretsmanager:DescribeSecret", ACTION, NO_IDENTITY),
    _actions("case-is-ignored", "SecretsManager:getsecretvalue", ACTION, ALLOWED),
    _actions("case-of-the-request-is-ignored", "iam:ListAccessKeys", "IAM:listaccesskeys", ALLOWED),
    _actions("case-is-ignored-with-wildcard", "IAM:*accesskey*", "iam:ListAccessKeys", ALLOWED),
    _actions("everything", "*", ACTION, ALLOWED),
    _actions("every-action-of-a-service", "secretsmanager:*", ACTION, ALLOWED),
    _actions("every-action-of-another-service", "s3:*", ACTION, NO_IDENTITY),
    _actions("prefix", "secretsmanager:Get*", ACTION, ALLOWED),
    _actions("in-the-middle", "iam:*AccessKey*", "iam:UpdateAccessKey", ALLOWED),
    _actions("in-the-middle-other", "iam:*AccessKey*", "iam:CreateUser", NO_IDENTITY),
    _actions("suffix", "iam:*Report", "iam:GetCredentialReport", ALLOWED),
    _actions("question-mark", "ec2:Describe?pcs", "ec2:DescribeVpcs", ALLOWED),
    _actions("question-mark-is-one-character", "ec2:Describe?", "ec2:DescribeVpcs", NO_IDENTITY),
    _actions("no-wildcard-is-no-prefix", "secretsmanager:Get", ACTION, NO_IDENTITY),
    _actions("several", ["s3:GetObject", ACTION], ACTION, ALLOWED),
    _actions("several-others", ["s3:GetObject", "s3:Put*"], ACTION, NO_IDENTITY),
    _actions("a-dot-is-a-dot", "secretsmanager:Get.ecret*", ACTION, NO_IDENTITY),
]


def _not_actions(name, effect, pattern, expected):
    identity = [effect(NotAction=pattern)] + ([allow("*")] if effect is deny else [])
    return case(f"not-action-{name}", NOT_ACTION_PAGE, expected, identity=identity)


NOT_ACTIONS = [
    _not_actions("allows-the-others", allow, "iam:*", ALLOWED),
    _not_actions("does-not-allow-the-named", allow, "secretsmanager:*", NO_IDENTITY),
    _not_actions("of-several-does-not-allow-the-named", allow, ["iam:*", ACTION], NO_IDENTITY),
    _not_actions("denies-the-others", deny, "iam:*", DENY_IN_IDENTITY),
    _not_actions("does-not-deny-the-named", deny, ["iam:*", ACTION.upper()], ALLOWED),
]


def _resources(name, pattern, resource, expected, page=RESOURCE_PAGE):
    return case(f"resource-{name}", page, expected, resource=resource, identity=[allow(resource=pattern)])


_S3 = "arn:aws:s3:::amzn-s3-demo-bucket/*/test/*"
_OBJECT = "arn:aws:s3:::amzn-s3-demo-bucket/"
_LOGS = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/shop"

RESOURCES = [
    _resources("exact", RESOURCE, RESOURCE, ALLOWED),
    _resources("everything", "*", RESOURCE, ALLOWED),
    _resources("case-counts", RESOURCE.lower(), RESOURCE, NO_IDENTITY),
    _resources("suffix-of-six-marks", RESOURCE[:-6] + "??????", RESOURCE, ALLOWED),
    _resources("suffix-of-five-marks", RESOURCE[:-6] + "?????", RESOURCE, NO_IDENTITY),
    _resources("suffix-of-seven-marks", RESOURCE[:-6] + "???????", RESOURCE, NO_IDENTITY),
    _resources("name-without-its-suffix", RESOURCE[:-7], RESOURCE, NO_IDENTITY),
    _resources("a-dot-is-a-dot", RESOURCE.replace("shop/admin", "shop.a*"), RESOURCE, NO_IDENTITY),
    _resources("any-region", RESOURCE.replace("us-east-1", "*"), RESOURCE, ALLOWED),
    _resources("some-regions", RESOURCE.replace("us-east-1", "us-*-?"), RESOURCE, ALLOWED),
    _resources("other-region", RESOURCE.replace("us-east-1", "eu-*"), RESOURCE, NO_IDENTITY),
    _resources("any-account", RESOURCE.replace("111122223333", "*"), RESOURCE, ALLOWED),
    _resources("several", ["arn:aws:s3:::a", RESOURCE], RESOURCE, ALLOWED),
    _resources("several-others", ["arn:aws:s3:::a", "arn:aws:s3:::b/*"], RESOURCE, NO_IDENTITY),
    _resources("star-spans-slashes", _S3, _OBJECT + "1/2/test/3/object.jpg", ALLOWED),
    _resources("star-spans-empty-names", _S3, _OBJECT + "1///test///object.jpg", ALLOWED),
    _resources("star-is-nothing-too", _S3, _OBJECT + "1/test/", ALLOWED),
    _resources("star-before-a-leading-slash", _S3, _OBJECT + "/test/object.jpg", ALLOWED),
    _resources("star-needs-its-surroundings", _S3, _OBJECT + "1-test/object.jpg", NO_IDENTITY),
    _resources("star-needs-both-slashes", _S3, _OBJECT + "test/object.jpg", NO_IDENTITY),
    _resources("star-needs-the-end", _S3, _OBJECT + "1/2/test.jpg", NO_IDENTITY),
    _resources("bucket-is-not-its-objects", "arn:aws:s3:::bucket", "arn:aws:s3:::bucket/key", NO_IDENTITY),
    _resources("objects-are-not-the-bucket", "arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket", NO_IDENTITY),
    _resources("star-at-the-end-goes-beyond-a-colon", _LOGS + "*", _LOGS + ":log-stream:x", ALLOWED),
    _resources("star-at-the-end-of-a-part-goes-beyond", "arn:aws:logs:*:log-group:*", _LOGS, ALLOWED),
    _resources(
        "star-within-a-part-stays-in-it", "arn:aws:logs:us*1:shop", "arn:aws:logs:us-1:1:shop", NO_IDENTITY
    ),
    _resources("a-group-is-not-its-streams", _LOGS, _LOGS + ":log-stream:x", NO_IDENTITY, ARN_PAGE),
    _resources("a-line-break-is-a-character", "arn:aws:s3:::b/*", "arn:aws:s3:::b/a\nb", ALLOWED),
]


def _not_resources(name, effect, pattern, expected):
    identity = [effect(NotResource=pattern)] + ([allow()] if effect is deny else [])
    return case(f"not-resource-{name}", NOT_RESOURCE_PAGE, expected, identity=identity)


NOT_RESOURCES = [
    _not_resources("denies-the-others", deny, "arn:aws:s3:::HRBucket/*", DENY_IN_IDENTITY),
    _not_resources("does-not-deny-the-named", deny, ["arn:aws:s3:::HRBucket/*", RESOURCE], ALLOWED),
    _not_resources("allows-the-others", allow, "arn:aws:s3:::HRBucket/*", ALLOWED),
    _not_resources("does-not-allow-the-named", allow, RESOURCE[:-6] + "*", NO_IDENTITY),
]


def _without_resource(name, pattern, expected):
    """Return the case of an action that is about no resource: only * names what it is about."""
    return case(
        f"action-without-resource-{name}",
        RESOURCE_PAGE,
        expected,
        action="ec2:DescribeVpcs",
        resource="*",
        identity=[allow("ec2:*", pattern)],
    )


WITHOUT_RESOURCES = [
    _without_resource("under-a-star", "*", ALLOWED),
    _without_resource("under-an-arn", "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1", NO_IDENTITY),
    _without_resource("under-every-arn-of-its-service", "arn:aws:ec2:*:*:*", NO_IDENTITY),
]

CASES = [*ACTIONS, *NOT_ACTIONS, *RESOURCES, *NOT_RESOURCES, *WITHOUT_RESOURCES]
