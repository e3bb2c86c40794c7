"""AWS::SecretsManager: what ties a secret to a database: its target attachment and its rotation."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any, ClassVar

from moto.secretsmanager.models import SecretsManagerBackend, secretsmanager_backends

from localcloud.aurora.managed import AuroraService
from localcloud.resources import secret_rotation
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import flag

_DETAILS = ("engine", "host", "port", "dbname", "dbClusterIdentifier")
_log = logging.getLogger(__name__)


class SecretTargetAttachment(Handler):
    """The secret says where its database is, as clients and rotation functions expect."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"SecretId", "TargetId", "TargetType"})

    def create(self, request: Request) -> Provisioned:
        """Write the cluster's connection details into the secret."""
        given, secrets = request.properties, _secrets(request)
        if given["TargetType"] != "AWS::RDS::DBCluster":
            raise ResourceFailed(
                f"TargetType {given['TargetType']}: only AWS::RDS::DBCluster has a real engine here"
            )
        cluster = AuroraService.of(request.cloud).clusters.get(given["TargetId"].lower())
        if cluster is None:
            raise ResourceFailed(f"DBCluster {given['TargetId']} not found.")
        details: dict[str, Any] = {
            "engine": cluster.cluster.engine.secret_name,
            "host": cluster.writer_address,
            "port": cluster.port,
            "dbClusterIdentifier": cluster.identifier,
        }
        if cluster.database is not None:
            details["dbname"] = cluster.database
        _replace_details(secrets, given["SecretId"], details)
        arn = secrets.describe_secret(given["SecretId"]).arn
        return Provisioned(arn, {"Id": arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Write the present details; a secret that is attached no more loses them."""
        attached = self.create(request)
        if previous["SecretId"] != request.properties["SecretId"]:
            _replace_details(_secrets(request), previous["SecretId"], {})
        return attached

    def delete(self, request: Request, current: Provisioned) -> None:
        """Take the details out of the secret; a secret that is gone has none."""
        secret_id = request.properties["SecretId"]
        if secret_id in _secrets(request).secrets and not _secrets(request).secrets[secret_id].is_deleted():
            _replace_details(_secrets(request), secret_id, {})

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the cluster that the secret names; nothing else of its value is looked at."""
        found = _secrets(request).secrets.get(request.properties["SecretId"])
        if found is None or found.is_deleted():
            return None
        value = json.loads(_secrets(request).get_secret_value(found.arn, None, "AWSCURRENT")["SecretString"])
        return {"SecretId": found.arn, "TargetId": value.get("dbClusterIdentifier")}


class RotationSchedule(Handler):
    """The secret is rotated by a Lambda function, at once or when somebody asks; not by the calendar."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"RotateImmediatelyOnUpdate", "RotationLambdaARN", "RotationRules", "SecretId"}
    )

    def create(self, request: Request) -> Provisioned:
        """Register the function. As on AWS the first rotation, or its test, then goes on by itself."""
        given = request.properties
        if "RotationLambdaARN" not in given:
            raise ResourceFailed(
                "RotationSchedule without RotationLambdaARN: HostedRotationLambda is an application of AWS's"
                " own that runs nowhere else"
            )
        secret = secret_rotation.register(
            request.cloud,
            _secrets(request),
            given["SecretId"],
            given["RotationLambdaARN"],
            given.get("RotationRules"),
        )
        at_once = flag(given, "RotateImmediatelyOnUpdate", default=True)
        first = secret_rotation.rotate if at_once else secret_rotation.test
        threading.Thread(target=_unattended, args=(first, request, secret), daemon=True).start()
        return Provisioned(secret.arn, {"Id": secret.arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Register anew, and rotate at once where that is asked for."""
        return self.create(request)

    def delete(self, request: Request, current: Provisioned) -> None:
        """The secret is rotated no more; one that is gone is not anyway."""
        secret = _secrets(request).secrets.get(request.properties["SecretId"])
        if secret is not None:
            secret.rotation_enabled = False
            secret.rotation_lambda_arn = ""

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return function and rules; a secret that is rotated no more has lost its schedule."""
        secret = _secrets(request).secrets.get(request.properties["SecretId"])
        if secret is None or not secret.rotation_enabled:
            return None
        return {
            "RotationLambdaARN": secret.rotation_lambda_arn,
            "RotationRules": getattr(secret, "rotation_rules", None),
            "SecretId": secret.arn,
        }


HANDLERS: dict[str, Handler] = {
    "AWS::SecretsManager::SecretTargetAttachment": SecretTargetAttachment(),
    "AWS::SecretsManager::RotationSchedule": RotationSchedule(),
}


def _unattended(first: Any, request: Request, secret: Any) -> None:
    try:
        first(request.cloud, secret)
    except Exception:
        _log.exception("rotation of %s", secret.name)


def _replace_details(secrets: SecretsManagerBackend, secret_id: str, details: dict[str, Any]) -> None:
    """Exchange the connection details in the secret's current version, nothing else."""
    text = secrets.get_secret_value(secret_id, None, "AWSCURRENT")["SecretString"]
    try:
        value = json.loads(text)
        former = {name: content for name, content in value.items() if name not in _DETAILS}
    except (ValueError, AttributeError) as error:
        raise ResourceFailed(
            f"secret {secret_id} is no JSON object: nothing can be attached to it"
        ) from error
    secrets.put_secret_value(secret_id, json.dumps({**former, **details}), None, None, ["AWSCURRENT"])


def _secrets(request: Request) -> SecretsManagerBackend:
    return secretsmanager_backends[request.account][request.region]
