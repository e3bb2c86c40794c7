"""AWS Secrets Manager: secrets and their policies; attachments and rotation are in secret_attachments."""

from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar

from moto.secretsmanager.models import SecretsManagerBackend, secretsmanager_backends

from localcloud.resources import secret_attachments
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import (
    OnMoto,
    document,
    found_tags,
    gone_is_deleted,
    removed_tags,
    tag_list,
    tag_map,
)


class Secret(OnMoto):
    """A secret, given or generated. Deleting it leaves no recovery window, as CloudFormation does."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"Description", "GenerateSecretString", "KmsKeyId", "Name", "SecretString", "Tags"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the secret; Ref yields its ARN."""
        given = request.properties
        answer = _backend(request).create_secret(
            name=given.get("Name") or request.generated_name(longest=128),
            secret_string=_value(request),
            secret_binary=None,
            description=given.get("Description", ""),
            tags=tag_list(given),
            kms_key_id=given.get("KmsKeyId"),
            client_request_token=None,
            replica_regions=[],
            force_overwrite=False,
        )
        arn = json.loads(answer)["ARN"]
        return Provisioned(arn, {"Id": arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring key, description and tags to what the template says; a new value only for a new wish."""
        backend, given, arn = _backend(request), request.properties, current.physical_id
        secret = backend.describe_secret(arn)
        secret.kms_key_id, secret.description = given.get("KmsKeyId"), given.get("Description", "")
        wishes = ("SecretString", "GenerateSecretString")
        if any(previous.get(name) != given.get(name) for name in wishes):
            backend.put_secret_value(arn, _value(request), None, str(uuid.uuid4()), ["AWSCURRENT"])
        backend.untag_resource(arn, removed_tags(previous, given))
        backend.tag_resource(arn, tag_map(given))
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the secret at once."""
        with gone_is_deleted():
            _backend(request).delete_secret(current.physical_id, None, True)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the secret without its value; one that waits for its deletion is gone."""
        secret = _backend(request).secrets.get(current.physical_id)
        if secret is None or secret.is_deleted():
            return None
        return {
            "Description": secret.description,
            "KmsKeyId": secret.kms_key_id,
            "Name": secret.name,
            "Tags": found_tags({tag["Key"]: tag["Value"] for tag in secret.tags or []}),
        }


class ResourcePolicy(OnMoto):
    """A secret's policy."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"ResourcePolicy", "SecretId"})
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"BlockPublicPolicy"})

    def create(self, request: Request) -> Provisioned:
        """Put the policy; Ref yields the secret's ARN."""
        given = request.properties
        arn, _ = _backend(request).put_resource_policy(given["SecretId"], document(given["ResourcePolicy"]))
        return Provisioned(arn, {"Id": arn})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new policy."""
        return self.create(request)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Take the policy away."""
        with gone_is_deleted():
            _backend(request).delete_resource_policy(request.properties["SecretId"])

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the policy; a secret without one has lost it."""
        secret = _backend(request).secrets.get(request.properties["SecretId"])
        if secret is None or not secret.policy:
            return None
        return {"ResourcePolicy": json.loads(secret.policy), "SecretId": request.properties["SecretId"]}


def _backend(request: Request) -> SecretsManagerBackend:
    return secretsmanager_backends[request.account][request.region]


def _value(request: Request) -> str:
    given = request.properties
    wish: dict[str, Any] | None = given.get("GenerateSecretString")
    if wish is None:
        return str(given.get("SecretString", ""))
    if "SecretString" in given:
        raise ResourceFailed("You can't specify both a secret value and a generated secret string.")
    password = _password(request, wish)
    if "GenerateStringKey" not in wish:
        return password
    try:
        template = json.loads(wish.get("SecretStringTemplate", "{}"))
    except ValueError:
        raise ResourceFailed("Could not parse SecretStringTemplate JSON.") from None
    return json.dumps({**template, wish["GenerateStringKey"]: password})


def _password(request: Request, wish: dict[str, Any]) -> str:
    def true(name: str, *, default: bool = False) -> bool:
        return str(wish.get(name, default)).lower() == "true"

    answer = _backend(request).get_random_password(
        password_length=int(wish.get("PasswordLength", 32)),
        exclude_characters=wish.get("ExcludeCharacters", ""),
        exclude_numbers=true("ExcludeNumbers"),
        exclude_punctuation=true("ExcludePunctuation"),
        exclude_uppercase=true("ExcludeUppercase"),
        exclude_lowercase=true("ExcludeLowercase"),
        include_space=true("IncludeSpace"),
        require_each_included_type=true("RequireEachIncludedType", default=True),
    )
    password: str = json.loads(answer)["RandomPassword"]
    return password


HANDLERS: dict[str, Handler] = {
    "AWS::SecretsManager::ResourcePolicy": ResourcePolicy(),
    "AWS::SecretsManager::Secret": Secret(),
    **secret_attachments.HANDLERS,
}
