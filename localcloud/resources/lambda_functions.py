"""AWS::Lambda: functions as processes (localcloud/functions), and what belongs to them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.utils import get_backend, make_function_arn
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

from localcloud.authorization.services_using_keys import key_named
from localcloud.functions.code_store import refusal_of_archive
from localcloud.functions.inline_code import LARGEST_SOURCE_BYTES, archive_of
from localcloud.functions.runner import Functions
from localcloud.functions.runtimes import refusal_of_runtime
from localcloud.functions.variables import refusal_of_variables
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import found_tags

CONCURRENT_EXECUTIONS = 1000
"""Of an account in a region, before anybody asks for more:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

UNRESERVED_EXECUTIONS = 100
"""What reservations have to leave:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""


class Function(Handler):
    """A function whose code runs as a process from the moment it is invoked."""

    one_at_a_time = True
    supported = frozenset(
        {
            "Code", "DeadLetterConfig", "Description", "Environment", "FunctionName", "Handler", "KmsKeyArn",
            "Layers", "LoggingConfig", "MemorySize", "PackageType", "ReservedConcurrentExecutions", "Role",
            "Runtime", "Tags", "Timeout", "TracingConfig", "VpcConfig",
        }
    )  # fmt: skip
    no_local_effect = frozenset(
        {
            "Architectures", "CodeSigningConfigArn", "EphemeralStorage", "RecursiveLoop",
            "RuntimeManagementConfig", "SnapStart",
        }
    )  # fmt: skip

    def create(self, request: Request) -> Provisioned:
        """Create the function and have it loaded in the background."""
        name = request.properties.get("FunctionName") or request.generated_name(longest=64)
        backend = _backend(request)
        if any(function.function_name == name for function in backend.list_functions(None)):
            raise ResourceFailed(f"{name} already exists in stack or account")
        specification = _specification(request, name) | {"FunctionName": name}
        with _refusals():
            function = backend.create_function(specification)
        _complete(function, specification)
        _functions(request).prepare(function)
        return Provisioned(name, {"Arn": function.function_arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change code and configuration; processes of the earlier state end."""
        function = _backend(request).get_function(current.physical_id)
        specification = _specification(request, current.physical_id)
        with _refusals():
            if request.properties["Code"] != previous["Code"]:
                function.update_function_code(dict(specification["Code"]))
            function.update_configuration(specification)
        function.tags = specification["Tags"]
        _complete(function, specification)
        _functions(request).prepare(function)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the function with its versions and aliases, and end its idle processes."""
        with _gone_is_fine():
            _backend(request).delete_function(current.physical_id)
        arn = make_function_arn(request.region, request.account, current.physical_id)
        _functions(request).forget(arn)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the configuration; Lambda tells no more where its code came from."""
        try:
            function = _backend(request).get_function(current.physical_id)
        except LambdaClientError:
            return None
        return _found(function, request.properties)


class Version(Handler):
    """The function's present code and configuration, kept under a number."""

    one_at_a_time = True
    supported = frozenset({"CodeSha256", "Description", "FunctionName"})
    no_local_effect = frozenset({"ProvisionedConcurrencyConfig", "RuntimePolicy"})

    def create(self, request: Request) -> Provisioned:
        """Publish a version."""
        properties = request.properties
        with _refusals():
            version = _backend(request).publish_version(
                properties["FunctionName"], properties.get("Description", "")
            )
        expected = properties.get("CodeSha256")
        if expected and expected != version.code_sha_256:
            raise ResourceFailed(f"CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST")
        arn = version.function_arn
        return Provisioned(arn, {"Version": str(version.version), "FunctionArn": arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change nothing: what can change in place has no local effect."""
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the version; gone with its function is fine."""
        arn, _, number = current.physical_id.rpartition(":")
        with _gone_is_fine():
            _backend(request).delete_function(arn, number)


class Alias(Handler):
    """A name for a version."""

    one_at_a_time = True
    supported = frozenset({"Description", "FunctionName", "FunctionVersion", "Name", "RoutingConfig"})
    no_local_effect = frozenset({"ProvisionedConcurrencyConfig"})

    def create(self, request: Request) -> Provisioned:
        """Create the alias of an existing version."""
        properties = request.properties
        with _refusals():
            alias = _backend(request).create_alias(
                properties["Name"], *_alias_target(properties), _routing(properties)
            )
        return Provisioned(alias.arn, {"AliasArn": alias.arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Point the alias to another version."""
        properties = request.properties
        with _refusals():
            _backend(request).update_alias(
                properties["Name"], *_alias_target(properties), _routing(properties)
            )
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the alias; gone with its function is fine."""
        with _gone_is_fine():
            function = _function_name(request.properties["FunctionName"])
            _backend(request).delete_alias(request.properties["Name"], function)


class Permission(Handler):
    """A statement of the function's resource policy."""

    one_at_a_time = True
    supported = frozenset(
        {
            "Action",
            "FunctionName",
            "FunctionUrlAuthType",
            "Principal",
            "PrincipalOrgID",
            "SourceAccount",
            "SourceArn",
        }
    )
    no_local_effect = frozenset({"EventSourceToken", "InvokedViaFunctionUrl"})
    replaced_by = supported

    def create(self, request: Request) -> Provisioned:
        """Add the statement."""
        statement = {k: v for k, v in request.properties.items() if k != "FunctionName"}
        statement["StatementId"] = request.generated_name(longest=100)
        function, qualifier = _qualified(request.properties["FunctionName"])
        with _refusals():
            _backend(request).add_permission(function, qualifier, json.dumps(statement))
        return Provisioned(statement["StatementId"], {"Id": statement["StatementId"]})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change nothing: every property that matters needs a new statement."""
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Remove the statement; gone with its function is fine."""
        function, _ = _qualified(request.properties["FunctionName"])
        with _gone_is_fine():
            _backend(request).remove_permission(function, current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return who may do what by the statement."""
        function, _ = _qualified(request.properties["FunctionName"])
        try:
            statements = _backend(request).get_function(function).policy.statements
        except LambdaClientError:
            return None
        found = next((one for one in statements if one["Sid"] == current.physical_id), None)
        if found is None:
            return None
        principal = found["Principal"]
        named = next(iter(principal.values())) if isinstance(principal, dict) else principal
        return {"Action": found["Action"], "Principal": named}


class EventInvokeConfig(Handler):
    """What Lambda does with asynchronous invocations that fail. Recorded: here each is tried once."""

    one_at_a_time = True
    supported = frozenset()
    no_local_effect = frozenset(
        {"DestinationConfig", "FunctionName", "MaximumEventAgeInSeconds", "MaximumRetryAttempts", "Qualifier"}
    )

    def create(self, request: Request) -> Provisioned:
        """Record the configuration."""
        self._record(request)
        return Provisioned(request.generated_name(longest=100))

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Record another configuration."""
        self._record(request)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Forget the configuration; gone with its function is fine."""
        with _gone_is_fine():
            _backend(request).get_function(request.properties["FunctionName"]).event_invoke_config.clear()

    def _record(self, request: Request) -> None:
        function = request.properties["FunctionName"]
        backend = _backend(request)
        numbers = ("MaximumEventAgeInSeconds", "MaximumRetryAttempts")
        config = {name: int(request.properties[name]) for name in numbers if name in request.properties}
        if "DestinationConfig" in request.properties:
            config["DestinationConfig"] = request.properties["DestinationConfig"]
        with _refusals():
            backend.get_function(function).event_invoke_config.clear()  # moto appends, and reads the first
            backend.put_function_event_invoke_config(function, config)


class LayerVersion(Handler):
    """Files that functions have beside their own."""

    one_at_a_time = True
    supported = frozenset({"Content", "Description", "LayerName"})
    no_local_effect = frozenset({"CompatibleArchitectures", "CompatibleRuntimes", "LicenseInfo"})

    def create(self, request: Request) -> Provisioned:
        """Publish the next version of the layer."""
        properties = request.properties
        specification = {
            "LayerName": properties.get("LayerName") or request.generated_name(longest=64),
            "Content": _location(request, properties["Content"]),
            "Description": properties.get("Description", ""),
        }
        with _refusals():
            layer = _backend(request).publish_layer_version(specification)
        return Provisioned(layer.arn, {"LayerVersionArn": layer.arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change nothing: every property that matters needs a new version."""
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the version; functions that have it keep it until they change."""
        *_, name, number = current.physical_id.split(":")
        with _gone_is_fine():
            _backend(request).delete_layer_version(name, number)


HANDLERS: dict[str, Handler] = {
    "AWS::Lambda::Alias": Alias(),
    "AWS::Lambda::EventInvokeConfig": EventInvokeConfig(),
    "AWS::Lambda::Function": Function(),
    "AWS::Lambda::LayerVersion": LayerVersion(),
    "AWS::Lambda::Permission": Permission(),
    "AWS::Lambda::Version": Version(),
}


def _backend(request: Request) -> Any:
    return get_backend(request.account, request.region)


def _functions(request: Request) -> Functions:
    return request.cloud.part(Functions, Functions)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what moto refuses into the resource's failure."""
    try:
        yield
    except (JsonRESTError, ServiceException) as error:
        raise ResourceFailed(str(error.message)) from error


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    with suppress(LambdaClientError):
        yield


def _specification(request: Request, name: str) -> dict[str, Any]:
    """Return the function as moto takes it, with Lambda's defaults; ResourceFailed for what is refused."""
    properties = request.properties
    runtime = properties.get("Runtime")
    variables = {
        name: str(value) for name, value in properties.get("Environment", {}).get("Variables", {}).items()
    }
    reason = refusal_of_runtime(runtime, properties.get("PackageType", "Zip")) or refusal_of_variables(
        variables
    )
    if reason:
        raise ResourceFailed(reason)
    _refuse_key(request)
    return {
        "Code": _code(request),
        "DeadLetterConfig": properties.get("DeadLetterConfig"),
        "Description": properties.get("Description", ""),
        "Environment": {"Variables": variables},
        "Handler": properties["Handler"],
        "KMSKeyArn": properties.get("KmsKeyArn"),
        "Layers": properties.get("Layers", []),
        "LoggingConfig": properties.get("LoggingConfig", {}),
        "MemorySize": _within("MemorySize", properties.get("MemorySize", 128), 128, 10_240),
        "ReservedConcurrentExecutions": _reserved_concurrency(request, name),
        "Role": properties["Role"],
        "Runtime": runtime,
        "Tags": {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])},
        "Timeout": _within("Timeout", properties.get("Timeout", 3), 1, 900),
        "VpcConfig": _vpc_config(properties.get("VpcConfig")),
        "Architectures": properties.get("Architectures", ["x86_64"]),
        "EphemeralStorage": {"Size": int(properties.get("EphemeralStorage", {}).get("Size", 512))},
        "TracingConfig": properties.get("TracingConfig"),
    }


def _refuse_key(request: Request) -> None:
    """Refuse what Lambda refuses: a key for the environment that is not there, or not enabled."""
    named = request.properties.get("KmsKeyArn")
    key = key_named(request.account, request.region, named) if named else None
    if named and (key is None or key.key_state != "Enabled"):
        raise ResourceFailed(
            "Lambda was unable to configure access to your environment variables because the KMS key is"
            " invalid for CreateGrant. Please check your KMS key settings."
        )


def _reserved_concurrency(request: Request, name: str) -> int | None:
    """Return how many invocations at once are the function's own; the rest of the account has to keep 100."""
    given = request.properties.get("ReservedConcurrentExecutions")
    if given is None:
        return None
    others = sum(
        int(function.reserved_concurrency or 0)
        for function in _backend(request).list_functions(None)
        if function.function_name != name
    )
    if CONCURRENT_EXECUTIONS - others - int(given) < UNRESERVED_EXECUTIONS:
        raise ResourceFailed(
            "Specified ReservedConcurrentExecutions for function decreases account's"
            f" UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_EXECUTIONS}]."
        )
    return int(given)


def _within(name: str, value: Any, least: int, most: int) -> int:
    number = int(value)
    if not least <= number <= most:
        raise ResourceFailed(f"{name}={number}: must be from {least} to {most}")
    return number


def _vpc_config(given: Properties | None) -> Properties | None:
    if not given or not given.get("SubnetIds"):
        return None
    return {"SecurityGroupIds": given.get("SecurityGroupIds", []), "SubnetIds": given["SubnetIds"]}


def _code(request: Request) -> dict[str, Any]:
    """Return where the code is, after a look at it: Lambda refuses what it cannot unpack."""
    code = request.properties["Code"]
    if "ZipFile" in code:
        if len(code["ZipFile"].encode()) > LARGEST_SOURCE_BYTES:
            raise ResourceFailed(f"Code.ZipFile is larger than {LARGEST_SOURCE_BYTES} bytes")
        archive = archive_of(code["ZipFile"], request.properties["Runtime"])
        return {"ZipFile": base64.b64encode(archive)}
    return _location(request, code)


def _location(request: Request, code: Properties) -> dict[str, Any]:
    if "S3Bucket" not in code or "S3Key" not in code:
        raise ResourceFailed("Please provide a source for function code.")
    bucket, key = code["S3Bucket"], code["S3Key"]
    try:
        stored = s3_backends[request.account][get_partition(request.region)].get_object(bucket, key)
    except S3ClientError as error:
        raise ResourceFailed(_s3_failure(error.code, error.message)) from error
    if stored is None:
        raise ResourceFailed(_s3_failure("NoSuchKey", "The specified key does not exist."))
    if reason := refusal_of_archive(stored.value):
        raise ResourceFailed(reason)
    return {"S3Bucket": bucket, "S3Key": key}


def _s3_failure(code: str, message: str) -> str:
    return f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"


def _complete(function: Any, specification: Properties) -> None:
    """Give the function what moto's model does not know, or does not change."""
    named = specification["LoggingConfig"].get("LogGroup")
    function.logs_group_name = named or f"/aws/lambda/{function.function_name}"
    function.dead_letter_config = specification["DeadLetterConfig"]
    function.kms_key_arn = specification["KMSKeyArn"]
    function.reserved_concurrency = specification["ReservedConcurrentExecutions"]
    function.tracing_config = specification["TracingConfig"] or {"Mode": "PassThrough"}


def _found(function: Any, given: Properties) -> Properties:
    """Return a function as a template writes it."""
    vpc = function.vpc_config
    return {
        "Architectures": function.architectures,
        "DeadLetterConfig": getattr(function, "dead_letter_config", None),
        "Description": function.description,
        "Environment": {"Variables": function.environment_vars},
        "EphemeralStorage": {"Size": function.ephemeral_storage},
        "FunctionName": function.function_name,
        "Handler": function.handler,
        "KmsKeyArn": function.kms_key_arn,
        "Layers": [layer["Arn"] for layer in function.layers],
        # formats and levels are not kept: nothing but the group can be told
        "LoggingConfig": {**given.get("LoggingConfig", {}), "LogGroup": function.logs_group_name},
        "MemorySize": function.memory_size,
        "PackageType": function.package_type,
        "ReservedConcurrentExecutions": function.reserved_concurrency,
        "Role": function.role,
        "Runtime": function.run_time,
        "Tags": found_tags(function.tags),
        "Timeout": function.timeout,
        "TracingConfig": function.tracing_config,
        "VpcConfig": vpc and {name: vpc[name] for name in ("SecurityGroupIds", "SubnetIds")},
    }


def _function_name(name_or_arn: str) -> str:
    return _qualified(name_or_arn)[0]


def _qualified(name_or_arn: str) -> tuple[str, str | None]:
    """Return the function's name and the version or alias, of a name or an ARN, with or without either."""
    parts = name_or_arn.rsplit(":function:", maxsplit=1)[-1].split(":")
    return parts[0], parts[1] if len(parts) > 1 else None


def _alias_target(properties: Properties) -> tuple[str, str, str]:
    function = _function_name(properties["FunctionName"])
    return function, properties["FunctionVersion"], properties.get("Description", "")


def _routing(properties: Properties) -> Any:
    return properties.get("RoutingConfig", "")
