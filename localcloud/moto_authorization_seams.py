"""Where IAM's decisions come between a request and moto's own code: reasons to pin moto exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model
from moto.sts.models import STSBackend
from moto.sts.responses import TokenResponse

from localcloud.authorization import services_acting
from localcloud.authorization.api_calls import ApiCall
from localcloud.authorization.authorizer import Authorizer
from localcloud.authorization.denials import Denied
from localcloud.authorization.s3_calls import S3Denied, check_s3
from localcloud.authorization.sessions import ADMINISTRATOR, ISSUED_AT, Session
from localcloud.cloud import Cloud
from localcloud.network.api_door import service_path

_CREDENTIAL = re.compile(r"Credential=([A-Z0-9]+)/\d{8}/([^/]+)/")
_administrator_assumes: ContextVar[bool] = ContextVar("administrator_assumes", default=False)


def install(cloud: Cloud) -> None:
    """Have every call with a role's credentials judged before moto sees it."""
    authorizer = Authorizer.of(cloud)
    _judge_roles_of_functions(cloud)
    _mark_sessions_of_administrators(authorizer)
    if authorizer.enforced:
        _judge_calls(authorizer)
        _judge_calls_to_s3(authorizer)


def _judge_calls(authorizer: Authorizer) -> None:
    """moto's own access control knows resource "*" alone for most services; it stays off."""
    call_action = BaseResponse.call_action

    def judged(response: Any) -> Any:
        session = _session(authorizer, response)
        if session is not None and response.boto3_service_name != "s3":
            try:
                authorizer.check(session, _call(response, session))
            except Denied as denial:
                status, headers, body = response.serialized(ActionResult(denial))
                return status, {**response.response_headers, **headers, "status": str(status)}, body
        return call_action(response)

    BaseResponse.call_action = judged


def _judge_calls_to_s3(authorizer: Authorizer) -> None:
    """S3 is dispatched by moto in a way of its own, and asks at a place of its own."""

    def judged(response: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
        session = _session(authorizer, response)
        if session is not None:
            try:
                check_s3(authorizer, session, response, bucket_name, key_name)
            except Denied as denial:
                raise S3Denied(denial.message) from None

    BaseResponse._authenticate_and_authorize_s3_action = judged


def _judge_roles_of_functions(cloud: Cloud) -> None:
    """Lambda looks at a role when a function gets it; moto looks whether there is one."""
    create, update = LambdaBackend.create_function, LambdaFunction.update_configuration

    def refuse(given: Mapping[str, Any]) -> None:
        refused = services_acting.why_no_function(
            cloud,
            given["Role"],
            in_vpc=bool((given.get("VpcConfig") or {}).get("SubnetIds")),
            traced=(given.get("TracingConfig") or {}).get("Mode") == "Active",
            dead_letters=(given.get("DeadLetterConfig") or {}).get("TargetArn"),
        )
        if refused:
            raise InvalidParameterValueException(refused)

    def create_function(backend: Any, spec: dict[str, Any]) -> Any:
        refuse(spec)
        return create(backend, spec)

    def update_configuration(function: Any, updates: dict[str, Any]) -> Any:
        present = {
            "Role": function.role,
            "VpcConfig": function.vpc_config,
            "TracingConfig": function.tracing_config,
            "DeadLetterConfig": getattr(function, "dead_letter_config", None),
        }
        refuse({**present, **updates})
        return update(function, updates)

    LambdaBackend.create_function = create_function
    LambdaFunction.update_configuration = update_configuration


def _mark_sessions_of_administrators(authorizer: Authorizer) -> None:
    """A role that an administrator assumes acts as an administrator: so the CDK CLI takes its roles."""
    assume_role, answer = STSBackend.assume_role, TokenResponse.assume_role

    def marking(backend: Any, *arguments: Any, **more: Any) -> Any:
        session = assume_role(backend, *arguments, **more)
        setattr(session, ADMINISTRATOR, _administrator_assumes.get())
        setattr(session, ISSUED_AT, datetime.now(UTC))
        return session

    def answering(response: Any) -> Any:
        token = _administrator_assumes.set(_session(authorizer, response) is None)
        try:
            return answer(response)
        finally:
            _administrator_assumes.reset(token)

    STSBackend.assume_role = marking
    TokenResponse.assume_role = answering


def _session(authorizer: Authorizer, response: Any) -> Session | None:
    """Return whose call it is; None for an administrator's, and for one without a signature."""
    request = response.normalized_request
    signed = request.headers.get("Authorization") or unquote(request.environ.get("QUERY_STRING", ""))
    credential = _CREDENTIAL.search(signed)
    return authorizer.session_of_key(credential[1], credential[2]) if credential else None


def _call(response: Any, session: Session) -> ApiCall:
    return ApiCall(
        service=response.boto3_service_name,
        operation=response._get_action(),
        parameters=_parameters(response),
        account=session.principal.account,
        region=session.region,
        path=service_path(response.normalized_request.environ),
    )


def _parameters(response: Any) -> Mapping[str, Any]:
    """Return the request's parameters by the names of the service's model."""
    model = get_service_model(response.boto3_service_name)
    request = response.normalized_request
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](
        model.operation_model(response._get_action()), map_type=dict
    )
    parsed: Mapping[str, Any] = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data,
            "url_path": request.path,
            "url_params": response.uri_match,
        }
    )
    return parsed
