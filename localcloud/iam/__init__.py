"""Would AWS allow this? A pure function of a request and its policies, after AWS's documentation.

evaluation.py  the decision: explicit denies, what a resource's policy grants, boundaries, sessions, accounts
policy.py      a policy document, parsed once and asked many times
principals.py  whom a Principal or NotPrincipal element names
conditions.py  the Condition element: every operator, IfExists, ForAllValues, ForAnyValue
variables.py   policy variables: ${aws:PrincipalTag/team, 'default'}
wildcards.py   * and ? in actions, strings and ARNs
actions.py     which resource types and condition keys an action has

It knows nothing of a cloud: what the request and its policies are is the caller's to say.
"""
