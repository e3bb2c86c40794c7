"""AWS Backup: vaults, plans and selections. Recorded and answered; no plan runs, nothing is backed up."""

from __future__ import annotations

import copy
import json
from typing import Any, ClassVar

from moto.backup.models import BackupBackend, backup_backends
from moto.core.exceptions import JsonRESTError, ServiceException

from localcloud.authorization import services_acting
from localcloud.authorization.services_using_keys import key_named
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import OnMoto, gone_is_deleted

_ASSUMED_BY = "backup.amazonaws.com"
_TRANSITION_DAYS = 90
"""Between cold storage and deletion: https://docs.aws.amazon.com/aws-backup/latest/devguide/API_Lifecycle.html"""


class Vault(OnMoto):
    """A place for recovery points, with its key, its lock and its policy."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"BackupVaultName", "BackupVaultTags", "EncryptionKeyArn"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset(
        {"AccessPolicy", "LockConfiguration", "Notifications"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the vault; Ref yields its name."""
        given, name = request.properties, request.properties["BackupVaultName"]
        key = given.get("EncryptionKeyArn")
        if key and key_named(request.account, key.split(":")[3], key) is None:
            raise ResourceFailed(f"Invalid KMS key {key}: it does not exist (InvalidParameterValueException)")
        try:
            vault = _backend(request).create_backup_vault(name, given.get("BackupVaultTags", {}), key, "")
        except (JsonRESTError, ServiceException) as error:
            raise ResourceFailed(str(error.message)) from error
        _lock(vault, given)
        return Provisioned(name, {"BackupVaultArn": vault.backup_vault_arn, "BackupVaultName": name})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring tags and lock to what the template says."""
        vault = _backend(request).vaults[current.physical_id]
        _lock(vault, request.properties)
        _tag(request, vault.backup_vault_arn, previous, "BackupVaultTags")
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the vault, which is always empty here."""
        _backend(request).delete_backup_vault(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return key, policy and tags."""
        vault = _backend(request).vaults.get(current.physical_id)
        if vault is None:
            return None
        policy = vault.access_policy
        return {
            "AccessPolicy": policy and json.loads(policy),
            "BackupVaultName": vault.backup_vault_name,
            "BackupVaultTags": _backend(request).list_tags(vault.backup_vault_arn),
            "EncryptionKeyArn": vault.encryption_key_arn,
        }


class Plan(OnMoto):
    """When to back up, into which vault, for how long, and where to copy it."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"BackupPlan", "BackupPlanTags"})

    def create(self, request: Request) -> Provisioned:
        """Create the plan, whose vaults have to exist; Ref yields its id."""
        _refuse_plan(request)
        try:
            plan = _backend(request).create_backup_plan(
                _as_api(request.properties["BackupPlan"]), request.properties.get("BackupPlanTags", {}), ""
            )
        except (JsonRESTError, ServiceException) as error:
            raise ResourceFailed(str(error.message)) from error
        return Provisioned(plan.backup_plan_id, _plan_attributes(plan))

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Make a new version of the plan."""
        _refuse_plan(request)
        plan = _backend(request).plans[current.physical_id]
        renewed = type(plan)(
            _as_api(request.properties["BackupPlan"]), plan.creator_request_id, _backend(request)
        )
        plan.backup_plan, plan.version_id = renewed.backup_plan, renewed.version_id
        _tag(request, plan.backup_plan_arn, previous, "BackupPlanTags")
        return Provisioned(current.physical_id, _plan_attributes(plan))

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the plan; one that is gone is fine."""
        with gone_is_deleted():
            _backend(request).plans.pop(current.physical_id, None)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the plan under CloudFormation's names."""
        plan = _backend(request).plans.get(current.physical_id)
        if plan is None or plan.deletion_date is not None:
            return None
        return {
            "BackupPlan": _as_template(plan.backup_plan),
            "BackupPlanTags": _backend(request).list_tags(plan.backup_plan_arn),
        }


class Selection(OnMoto):
    """What a plan backs up, with which role."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"BackupPlanId", "BackupSelection"})

    def create(self, request: Request) -> Provisioned:
        """Record the selection of a plan that exists, with a role that AWS Backup may assume."""
        given = request.properties
        plan, selection = given["BackupPlanId"], given["BackupSelection"]
        if plan not in _backend(request).plans:
            raise ResourceFailed(f"Cannot find Backup plan with ID {plan} (InvalidParameterValueException)")
        if not services_acting.may_assume(request.cloud, selection["IamRoleArn"], _ASSUMED_BY).allowed:
            raise ResourceFailed(
                f"IAM Role {selection['IamRoleArn']} cannot be assumed by AWS Backup"
                " (InvalidParameterValueException)"
            )
        identifier = request.generated_name(longest=36)
        return Provisioned(
            f"{identifier}_{plan}",
            {"Id": f"{identifier}_{plan}", "SelectionId": identifier, "BackupPlanId": plan},
        )

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Nothing of it changes in place."""
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """There is nothing but the stack's own record of it."""


def _refuse_plan(request: Request) -> None:
    plan = request.properties["BackupPlan"]
    for rule in plan["BackupPlanRule"]:
        vault = rule["TargetBackupVault"]
        if vault not in _backend(request).vaults:
            raise ResourceFailed(f"Backup vault {vault} does not exist (InvalidParameterValueException)")
        for lifecycle in (
            rule.get("Lifecycle"),
            *(one.get("Lifecycle") for one in rule.get("CopyActions", [])),
        ):
            _refuse_lifecycle(lifecycle or {})


def _refuse_lifecycle(lifecycle: Properties) -> None:
    cold, end = lifecycle.get("MoveToColdStorageAfterDays"), lifecycle.get("DeleteAfterDays")
    if cold is not None and end is not None and int(end) < int(cold) + _TRANSITION_DAYS:
        raise ResourceFailed(
            f"DeleteAfterDays cannot be less than {_TRANSITION_DAYS} days apart from"
            " MoveToColdStorageAfterDays (InvalidParameterValueException)"
        )


def _as_api(plan: Properties) -> dict[str, Any]:
    """Return the plan as the API names its parts: otherwise than CloudFormation."""
    rules = [
        {
            {"TargetBackupVault": "TargetBackupVaultName"}.get(key, key): copy.deepcopy(value)
            for key, value in rule.items()
        }
        for rule in plan["BackupPlanRule"]
    ]
    found = {"BackupPlanName": plan["BackupPlanName"], "Rules": rules}
    if "AdvancedBackupSettings" in plan:
        found["AdvancedBackupSettings"] = plan["AdvancedBackupSettings"]
    return found


def _as_template(plan: dict[str, Any]) -> Properties:
    """The same the other way round."""
    rules = [
        {{"TargetBackupVaultName": "TargetBackupVault"}.get(key, key): value for key, value in rule.items()}
        for rule in plan["Rules"]
    ]
    return {
        "AdvancedBackupSettings": plan.get("AdvancedBackupSettings"),
        "BackupPlanName": plan["BackupPlanName"],
        "BackupPlanRule": rules,
    }


def _plan_attributes(plan: Any) -> dict[str, str]:
    return {
        "BackupPlanArn": plan.backup_plan_arn,
        "BackupPlanId": plan.backup_plan_id,
        "VersionId": plan.version_id,
    }


def _lock(vault: Any, given: Properties) -> None:
    lock = given.get("LockConfiguration")
    vault.locked = bool(lock)
    vault.min_retention_days = lock and lock.get("MinRetentionDays")
    vault.max_retention_days = lock and lock.get("MaxRetentionDays")
    vault.access_policy = json.dumps(given.get("AccessPolicy")) if given.get("AccessPolicy") else None


def _tag(request: Request, arn: str, previous: Properties, name: str) -> None:
    tags = request.properties.get(name, {})
    _backend(request).untag_resource(arn, sorted(previous.get(name, {}).keys() - tags.keys()))
    _backend(request).tag_resource(arn, tags)


def _backend(request: Request) -> BackupBackend:
    return backup_backends[request.account][request.region]


HANDLERS: dict[str, Handler] = {
    "AWS::Backup::BackupPlan": Plan(),
    "AWS::Backup::BackupSelection": Selection(),
    "AWS::Backup::BackupVault": Vault(),
}
