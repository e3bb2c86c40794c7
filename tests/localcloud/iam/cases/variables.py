"""Policy variables, in resources and conditions."""

from tests.localcloud.iam.case import ALLOWED, DENY_IN_IDENTITY, NO_IDENTITY, allow, case, deny, policy

PAGE = "reference_policies_variables.html"
VERSION_PAGE = "reference_policies_elements_version.html"
MULTIVALUED_PAGE = "reference_policies_condition-single-vs-multi-valued-context-keys.html"

_BUCKET = "arn:aws:s3:::amzn-s3-demo-bucket"
_TEAM = "${aws:PrincipalTag/team}"
_DEFAULT = "${aws:PrincipalTag/team, 'company-wide'}"
_YELLOW = {"aws:PrincipalTag/team": "yellow"}


def _resource(
    name, pattern, resource, expected, context=_YELLOW, page=f"{PAGE}#policy-vars-resourceelement", **more
):
    identity = [policy(allow("s3:GetObject", pattern), **more)]
    return case(
        f"variable-{name}",
        page,
        expected,
        action="s3:GetObject",
        resource=resource,
        context=context,
        identity=identity,
    )


def _condition(name, operator, value, expected, context, page=f"{PAGE}#policy-vars-conditionelement"):
    return case(
        f"variable-{name}",
        page,
        expected,
        context=context,
        identity=[allow(Condition={operator: {"s3:prefix": value}})],
    )


_NO_VALUE = f"{PAGE}#policy-vars-no-value"
_DEFAULTS = f"{PAGE}#policy-vars-default-values"
_SPECIAL = f"{PAGE}#policy-vars-specialchars"

CASES = [
    _resource("in-a-resource", f"{_BUCKET}/{_TEAM}/*", f"{_BUCKET}/yellow/a", ALLOWED),
    _resource("in-a-resource-of-another", f"{_BUCKET}/{_TEAM}/*", f"{_BUCKET}/green/a", NO_IDENTITY),
    _resource("name-in-any-case", f"{_BUCKET}/{_TEAM.upper()}/*", f"{_BUCKET}/yellow/a", ALLOWED),
    _resource(
        "two-of-them",
        f"{_BUCKET}/{_TEAM}/${{aws:username}}",
        f"{_BUCKET}/yellow/bob",
        ALLOWED,
        {**_YELLOW, "aws:username": "bob"},
    ),
    _resource("beside-a-wildcard", f"{_BUCKET}/*/{_TEAM}-?", f"{_BUCKET}/a/b/yellow-1", ALLOWED),
    _resource(
        "without-value-matches-nothing", f"{_BUCKET}/{_TEAM}*", f"{_BUCKET}/a", NO_IDENTITY, {}, _NO_VALUE
    ),
    _resource(
        "without-value-is-not-its-own-text", f"{_BUCKET}/{_TEAM}", f"{_BUCKET}/{_TEAM}", NO_IDENTITY, {}
    ),
    _resource("default-unused", f"{_BUCKET}-{_DEFAULT}", f"{_BUCKET}-yellow", ALLOWED, page=_DEFAULTS),
    _resource("default", f"{_BUCKET}-{_DEFAULT}", f"{_BUCKET}-company-wide", ALLOWED, {}, _DEFAULTS),
    _resource("default-only-without-value", f"{_BUCKET}-{_DEFAULT}", f"{_BUCKET}-company-wide", NO_IDENTITY),
    _resource("default-of-nothing", f"{_BUCKET}-{_DEFAULT}", f"{_BUCKET}-yellow", NO_IDENTITY, {}, _DEFAULTS),
    _resource(
        "not-before-the-fifth-colon",
        "arn:aws:s3:${aws:region}:1:x",
        "arn:aws:s3:eu:1:x",
        NO_IDENTITY,
        {"aws:region": "eu"},
    ),
    _resource(
        "not-in-version-2008",
        f"{_BUCKET}/{_TEAM}",
        f"{_BUCKET}/yellow",
        NO_IDENTITY,
        page=VERSION_PAGE,
        version="2008-10-17",
    ),
    _resource(
        "literal-in-version-2008",
        f"{_BUCKET}/{_TEAM}",
        f"{_BUCKET}/{_TEAM}",
        ALLOWED,
        page=VERSION_PAGE,
        version="2008-10-17",
    ),
    _resource(
        "of-a-multivalued-key",
        f"{_BUCKET}/${{aws:TagKeys}}",
        f"{_BUCKET}/a",
        NO_IDENTITY,
        {"aws:TagKeys": ["a"]},
        MULTIVALUED_PAGE,
    ),
    _resource(
        "value-with-a-star-is-no-wildcard",
        f"{_BUCKET}/{_TEAM}/x",
        f"{_BUCKET}/any/x",
        NO_IDENTITY,
        {"aws:PrincipalTag/team": "*"},
    ),
    _resource("star-as-itself", f"{_BUCKET}/${{*}}", f"{_BUCKET}/*", ALLOWED, page=_SPECIAL),
    _resource(
        "star-as-itself-is-no-wildcard", f"{_BUCKET}/${{*}}", f"{_BUCKET}/a", NO_IDENTITY, page=_SPECIAL
    ),
    _resource("mark-as-itself", f"{_BUCKET}/${{?}}", f"{_BUCKET}/?", ALLOWED, page=_SPECIAL),
    _resource(
        "mark-as-itself-is-no-wildcard", f"{_BUCKET}/${{?}}", f"{_BUCKET}/a", NO_IDENTITY, page=_SPECIAL
    ),
    _resource("dollar-as-itself", f"{_BUCKET}/${{$}}", f"{_BUCKET}/$", ALLOWED, page=_SPECIAL),
    _condition(
        "in-StringLike",
        "StringLike",
        "home/${aws:username}/*",
        ALLOWED,
        {"s3:prefix": "home/bob/x", "aws:username": "bob"},
    ),
    _condition(
        "in-StringLike-of-another",
        "StringLike",
        "home/${aws:username}/*",
        NO_IDENTITY,
        {"s3:prefix": "home/bob/x", "aws:username": "ann"},
    ),
    _condition(
        "in-StringEquals",
        "StringEquals",
        "${aws:username}",
        ALLOWED,
        {"s3:prefix": "bob", "aws:username": "bob"},
    ),
    _condition(
        "in-StringEqualsIgnoreCase",
        "StringEqualsIgnoreCase",
        "${aws:username}",
        ALLOWED,
        {"s3:prefix": "BOB", "aws:username": "bob"},
    ),
    _condition(
        "in-ArnLike",
        "ArnLike",
        "arn:aws:iam::*:user/${aws:username}",
        ALLOWED,
        {"s3:prefix": "arn:aws:iam::111122223333:user/bob", "aws:username": "bob"},
    ),
    _condition(
        "in-ArnLike-with-colons-in-its-name",
        "ArnLike",
        "arn:aws:iam::${aws:PrincipalAccount}:user/*",
        ALLOWED,
        {"s3:prefix": "arn:aws:iam::111122223333:user/bob", "aws:PrincipalAccount": "111122223333"},
    ),
    _condition(
        "not-in-NumericEquals", "NumericEquals", "${aws:n}", NO_IDENTITY, {"s3:prefix": "1", "aws:n": "1"}
    ),
    _condition(
        "without-value-in-a-condition",
        "StringLike",
        "*${aws:username}",
        NO_IDENTITY,
        {"s3:prefix": "x"},
        _NO_VALUE,
    ),
    _condition(
        "without-value-in-a-negated-condition",
        "StringNotEquals",
        "${aws:username}",
        ALLOWED,
        {"s3:prefix": "x"},
        _NO_VALUE,
    ),
    case(
        "variable-without-value-denies-by-a-negated-operator",
        _NO_VALUE,
        DENY_IN_IDENTITY,
        context={"s3:ExistingObjectTag/Team": "yellow"},
        identity=[
            allow("*"),
            deny(Condition={"StringNotEquals": {"s3:ExistingObjectTag/Team": "${aws:PrincipalTag/Team}"}}),
        ],
    ),
    case(
        "variable-without-value-in-NotResource-names-nothing",
        _NO_VALUE,
        ALLOWED,
        identity=[allow(NotResource="arn:aws:secretsmanager:*:*:secret:${aws:username}*")],
    ),
]
