"""Who asks what of which resource: from requests to localcloud.iam, and back in AWS's words.

sessions.py         an access key -> the role's session, its policies and its condition keys
api_calls.py        a request to an AWS API -> the action, its targets, their policies and condition keys
targets.py          the resources of a call, service by service
denials.py          a decision -> the error that the service would answer with
authorizer.py       asks: an API call, a login to a database, a service on behalf of a role
services_acting.py  what services do with roles: assume them, write their logs, read their secrets
"""
