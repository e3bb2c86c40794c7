"""Single-user rotation of the admin password in Secrets Manager's four documented steps.

Each step may be repeated, and a rotation may break off anywhere: some version of the secret opens the
database at every moment, and the same rotation, asked for again, goes on from where it stopped.

The contract: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from aurora import redaction
from aurora.credentials import CURRENT, PENDING, Credential

PREVIOUS = "AWSPREVIOUS"

# Letters and digits only: nothing that a URL, a shell, a connection string or RDS itself (/, ", @, space)
# reads as its own. 48 of them are 285 bits; RDS takes 8 to 128.
PASSWORD_LENGTH = 48


class RotationRefused(Exception):
    """The rotation cannot go on; the message says what is wrong, and never a password."""


class Step(StrEnum):
    """What Secrets Manager asks for, in this order."""

    CREATE = "createSecret"
    SET = "setSecret"
    TEST = "testSecret"
    FINISH = "finishSecret"


@dataclass(frozen=True)
class RotationRequest:
    """One invocation by Secrets Manager: which secret, which new version of it, which step."""

    secret_id: str
    version: str
    step: Step

    @classmethod
    def from_event(cls, event: Mapping[str, object]) -> RotationRequest:
        """Return the request in `event`; raise RotationRefused naming everything that is wrong with it."""
        problems = [
            f"{name}: expected a non-empty text, got {event.get(name)!r}"
            for name in ("SecretId", "ClientRequestToken", "Step")
            if not isinstance(event.get(name), str) or not event[name]
        ]
        if isinstance(step := event.get("Step"), str) and step and step not in list(Step):
            problems.append(f"Step: expected one of {', '.join(Step)}, got {step!r}")
        if problems:
            raise RotationRefused(f"not an event of a Secrets Manager rotation: {'; '.join(problems)}")
        return cls(str(event["SecretId"]), str(event["ClientRequestToken"]), Step(str(step)))


class Database(Protocol):
    """The database whose password is rotated. Whatever fails but a rejected password raises."""

    def accepts(self, credential: Credential) -> bool:
        """Tell whether `credential` opens a session."""

    def change_password(self, credential: Credential, new_password: str) -> bool:
        """Log in by `credential` and give its user `new_password`; False where the login is refused."""


def rotate(request: RotationRequest, *, secrets: Any, database: Database, secret_arn: str) -> None:
    """Do the step that `request` asks for on the secret `secret_arn`, or find it done already.

    Raises RotationRefused for another secret, for a version that is not being rotated, and where no version
    of the secret opens the database.
    """
    if _is_current(request, secrets, secret_arn):
        return  # a step of a finished rotation, delivered once more
    rotation = _Rotation(secrets, database, secret_arn, request.version)
    match request.step:
        case Step.CREATE:
            rotation.create_secret()
        case Step.SET:
            rotation.set_secret()
        case Step.TEST:
            rotation.test_secret()
        case Step.FINISH:
            rotation.finish_secret()


def _is_current(request: RotationRequest, secrets: Any, secret_arn: str) -> bool:
    """Tell whether the requested version is the current one already; refuse a rotation that is not ours."""
    secret = secrets.describe_secret(SecretId=request.secret_id)
    if secret["ARN"] != secret_arn:
        raise RotationRefused(f"this function rotates {secret_arn} only, asked for {secret['ARN']}")
    if not secret.get("RotationEnabled", True):
        raise RotationRefused(f"{secret_arn}: rotation is not enabled for this secret")
    stages = secret.get("VersionIdsToStages", {}).get(request.version)
    if stages is None:
        raise RotationRefused(f"{secret_arn}: there is no version {request.version} to rotate to")
    if CURRENT not in stages and PENDING not in stages:
        raise RotationRefused(
            f"{secret_arn}: version {request.version} is {' and '.join(stages) or 'without a stage'},"
            f" expected {PENDING}; start a new rotation"
        )
    return CURRENT in stages


@dataclass(frozen=True)
class _Rotation:
    """The four steps towards one new version of the secret."""

    secrets: Any
    database: Database
    secret_arn: str
    version: str

    def create_secret(self) -> None:
        """Store the current content with a new password as the pending version, unless it is there."""
        if self._content(PENDING) is not None:
            return
        generated = self.secrets.get_random_password(PasswordLength=PASSWORD_LENGTH, ExcludePunctuation=True)
        redaction.remember(generated["RandomPassword"])
        content = self._required(CURRENT) | {"password": generated["RandomPassword"]}
        self.secrets.put_secret_value(
            SecretId=self.secret_arn,
            ClientRequestToken=self.version,
            SecretString=json.dumps(content),
            VersionStages=[PENDING],
        )

    def set_secret(self) -> None:
        """Make the pending password the database's, logging in by whichever version still opens it."""
        pending = _credential(self._required(PENDING))
        if self.database.accepts(pending):
            return  # an earlier try got this far
        for stage in (CURRENT, PREVIOUS):
            content = self._content(stage)
            if content is None:
                continue
            credential = _credential(content)
            if credential.user != pending.user:
                raise RotationRefused(
                    f"{self.secret_arn}: the {stage} version is for user {credential.user!r},"
                    f" the {PENDING} one for {pending.user!r}; a single-user rotation changes no user name"
                )
            if self.database.change_password(credential, pending.password):
                return
        raise RotationRefused(
            f"{self.secret_arn}: the database accepts neither the {PENDING}, the {CURRENT} nor the {PREVIOUS}"
            f" password of {pending.user!r}; set the cluster's master password to the {CURRENT} one"
        )

    def test_secret(self) -> None:
        """Log in by the pending password, or raise RotationRefused."""
        pending = _credential(self._required(PENDING))
        if not self.database.accepts(pending):
            raise RotationRefused(
                f"{self.secret_arn}: the database rejects the {PENDING} password of {pending.user!r}"
            )

    def finish_secret(self) -> None:
        """Make the pending version the current one; Secrets Manager keeps the old one as the previous."""
        current = self.secrets.get_secret_value(SecretId=self.secret_arn, VersionStage=CURRENT)
        self.secrets.update_secret_version_stage(
            SecretId=self.secret_arn,
            VersionStage=CURRENT,
            MoveToVersionId=self.version,
            RemoveFromVersionId=current["VersionId"],
        )

    def _required(self, stage: str) -> dict[str, Any]:
        content = self._content(stage)
        if content is None:
            raise RotationRefused(f"{self.secret_arn}: its {stage} version has no content")
        return content

    def _content(self, stage: str) -> dict[str, Any] | None:
        """Return what the version in `stage` holds, None where there is none or it is empty yet."""
        version = {"VersionId": self.version} if stage == PENDING else {}
        try:
            answer = self.secrets.get_secret_value(SecretId=self.secret_arn, VersionStage=stage, **version)
        except self.secrets.exceptions.ResourceNotFoundException:
            return None
        try:
            content = json.loads(answer["SecretString"])
            redaction.remember(_credential(content).password)
        except (KeyError, TypeError, ValueError):
            # `from None`: the parser's own message would quote the secret
            raise RotationRefused(
                f"{self.secret_arn}: its {stage} version is no JSON object with username and password"
            ) from None
        return dict(content)


def _credential(content: Mapping[str, Any]) -> Credential:
    username, password = content["username"], content["password"]
    if not isinstance(username, str) or not isinstance(password, str):
        raise TypeError("username and password are texts")
    return Credential(username, password)
