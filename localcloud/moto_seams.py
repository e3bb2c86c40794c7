"""Every place where the local cloud reaches into moto beyond its public server, each with its reason.

moto is pinned exactly because of these; nothing else of the local cloud touches what moto keeps private.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from moto.awslambda.models import LambdaBackend, LambdaFunction, LambdaStorage
from moto.awslambda.responses import LambdaResponse
from moto.cloudformation import urls
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.utils import get_service_model
from moto.ec2.models import ec2_backends
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from localcloud import (
    moto_aurora_seams,
    moto_authorization_seams,
    moto_backup_seams,
    moto_cloudwatch_seams,
    moto_missing_seams,
    moto_network_seams,
    moto_notification_seams,
    moto_upgrade_seams,
    resources,
)
from localcloud.cloud import Cloud
from localcloud.cloudformation.api import CloudFormationApi
from localcloud.cloudformation.change_sets import Operations
from localcloud.cloudformation.dynamic_references import DynamicReferences
from localcloud.cloudformation.region import Region
from localcloud.functions import invoke_api
from localcloud.functions.runner import Functions
from localcloud.resources.base import ResourceFailed


def install(cloud: Cloud) -> CloudFormation:
    """Put our CloudFormation in the place of moto's, for every account and region of this process."""
    cloudformation = cloud.part(CloudFormation, CloudFormation)
    CloudFormationApi.operations = staticmethod(cloudformation.operations)
    # moto's own has no rollback, exports between change sets, dynamic references, or order on this path, and
    # skips what it does not know
    urls.url_paths = {"{0}/$": CloudFormationApi.dispatch}
    _answer_lookup_events()
    _keep_bucket_policies_unenforced()
    _run_functions_as_processes(cloud)
    moto_aurora_seams.install(cloud)
    moto_authorization_seams.install(cloud)
    moto_backup_seams.install(cloud)
    moto_cloudwatch_seams.install(cloud)
    moto_notification_seams.install(cloud)
    moto_upgrade_seams.install(cloud)
    moto_network_seams.install()
    moto_missing_seams.install()
    return cloudformation


def load_service_models() -> None:
    """Read what moto reads of a service at its first request, in the order in which the CDK CLI needs them.

    Six requests at once, as the CLI makes them to S3, would otherwise each read all of it.
    """
    for service in ("sts", "ssm", "cloudformation", "s3", "ec2", "lambda", "secretsmanager", "logs", "rds"):
        get_service_model(service)


class CloudFormation:
    """The operations of each account and region, made when first asked for."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._operations: dict[tuple[str, str], Operations] = {}
        self._lock = threading.Lock()

    def operations(self, account: str, region: str) -> Operations:
        """Return the operations of one account's region."""
        with self._lock:
            key = (account, region)
            if key not in self._operations:
                self._operations[key] = self._make(account, region)
            return self._operations[key]

    def all(self) -> list[Operations]:
        """Return every region that has been asked for."""
        with self._lock:
            return list(self._operations.values())

    def _make(self, account: str, name: str) -> Operations:
        def parameter(reference: str) -> str:
            return _parameter(account, name, reference)

        def secret(secret_id: str, stage: str, version: str) -> str:
            return _secret(account, name, secret_id, stage, version)

        region = Region(
            cloud=self._cloud,
            account=account,
            name=name,
            handlers=resources.handler,
            dynamic_references=DynamicReferences(secret, parameter),
            availability_zones=_availability_zones,
        )
        return Operations(region, parameter)


def _parameter(account: str, region: str, reference: str) -> str:
    found = ssm_backends[account][region].get_parameter(reference)
    if found is None:
        raise ResourceFailed(f"Parameter {reference} not found.")
    value: str = found.response_object(decrypt=True, region=region)["Value"]
    return value


def _secret(account: str, region: str, secret_id: str, stage: str, version: str) -> str:
    try:
        answer = secretsmanager_backends[account][region].get_secret_value(secret_id, version, stage)
    except Exception as error:
        raise ResourceFailed(
            f"Secrets Manager can't find the specified secret {secret_id}: {error}"
        ) from error
    text: str | None = answer.get("SecretString")
    if text is None:
        raise ResourceFailed(f"secret {secret_id} has no string")
    return text


def _availability_zones(region: str) -> list[str]:
    """Return the zones that moto's EC2 answers with, without making an EC2 backend."""
    return sorted(zone.name for zone in RegionsAndZonesBackend.zones[region])


def _answer_lookup_events() -> None:
    """The CDK CLI asks CloudTrail why a deployment failed; moto's has no such operation and answers 500."""

    def lookup_events(self: Any) -> str:
        return json.dumps({"Events": []})

    CloudTrailResponse.lookup_events = lookup_events


def _run_functions_as_processes(cloud: Cloud) -> None:
    """Replace what moto's Lambda does by itself: it runs functions in Docker, and only there."""

    def invoke(function: Any, body: str, request_headers: Any, response_headers: Any) -> bytes:
        functions = cloud.part(Functions, Functions)
        return invoke_api.invoke(functions, function, body, request_headers, response_headers)

    LambdaFunction.invoke = invoke
    LambdaFunction.vpc_config = property(_vpc_config)
    _keep_dead_letter_config()
    _read_qualifiers()
    _number_versions_once()


def _keep_dead_letter_config() -> None:
    """Keep and show where failed events go, and what is traced: moto forgets the one, updates neither."""
    create, update, describe = (
        LambdaBackend.create_function,
        LambdaFunction.update_configuration,
        LambdaFunction.get_configuration,
    )

    def create_function(backend: Any, spec: dict[str, Any]) -> Any:
        function = create(backend, spec)
        function.dead_letter_config = spec.get("DeadLetterConfig")
        return function

    def update_configuration(function: Any, updates: dict[str, Any]) -> Any:
        function.dead_letter_config = updates.get(
            "DeadLetterConfig", getattr(function, "dead_letter_config", None)
        )
        function.tracing_config = updates.get("TracingConfig") or function.tracing_config
        return update(function, updates)

    def get_configuration(function: Any, on_create: bool = False) -> dict[str, Any]:
        described: dict[str, Any] = describe(function, on_create)
        dead_letters = getattr(function, "dead_letter_config", None)
        return {**described, "DeadLetterConfig": dead_letters} if dead_letters else described

    LambdaBackend.create_function = create_function
    LambdaFunction.update_configuration = update_configuration
    LambdaFunction.get_configuration = get_configuration


def _read_qualifiers() -> None:
    """Invoke the version that is asked for: moto looks for "qualifier" where clients send "Qualifier"."""
    answer = LambdaResponse.invoke

    def invoke(response: Any) -> Any:
        if "Qualifier" in response.querystring:
            response.querystring["qualifier"] = response.querystring["Qualifier"]
        return answer(response)

    LambdaResponse.invoke = invoke


def _vpc_config(function: Any) -> dict[str, Any] | None:
    """Return the function's VPC as it is: moto answers with the same VPC id for every function."""
    given: dict[str, Any] | None = function._vpc_config
    if not given or not given.get("SubnetIds"):
        return None
    subnet = ec2_backends[function.account_id][function.region].get_subnet(given["SubnetIds"][0])
    return {**given, "VpcId": subnet.vpc_id}


def _number_versions_once() -> None:
    """Give no version the number of a deleted one: moto counts the versions that are left."""
    publish = LambdaStorage.publish_version

    def publish_version(storage: Any, name_or_arn: str, description: str = "") -> Any:
        function = storage.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
        known = list(storage._functions[function.function_name]["versions"])
        version = publish(storage, name_or_arn, description)
        if version not in known:
            number = getattr(function, "_localcloud_last_version", 0) + 1
            function._localcloud_last_version = number
            if number != version.version:
                storage._arns.pop(version.function_arn, None)
                version.set_version(number)
                storage._arns[version.function_arn] = version
        return version

    LambdaStorage.publish_version = publish_version


def _keep_bucket_policies_unenforced() -> None:
    """moto evaluates bucket policies without conditions: one that denies plain HTTP denies everything."""

    def get_permission(self: Any, action: str, resource: str) -> Any:
        return PermissionResult.NEUTRAL

    FakeBucket.get_permission = get_permission
