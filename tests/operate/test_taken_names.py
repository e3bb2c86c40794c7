"""A deployment whose names are taken is refused before anything is made, with what gives them free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from operate import inventory, taken_names
from operate.aws import Refused
from operate.deployment import Deployment
from operate.taken_names import NAMED, claims
from stacks.validation import choose
from tests.stacks.synthesized import synthesize

PRODUCTION = Deployment(kind="production", on_local_cloud=True)
CHOSEN = choose("production")


@pytest.fixture(scope="module")
def wanted() -> dict[str, Any]:
    """Return production's templates by the stacks' names."""
    templates = synthesize(CHOSEN).templates
    return {CHOSEN.stack_name(part.lower()): template for part, template in templates.items()}


def retain(session: Any) -> None:
    """Leave what production leaves: key, secret and vault."""
    session.client("secretsmanager").create_secret(Name=CHOSEN.secret_name, SecretString="x")
    session.client("backup").create_backup_vault(BackupVaultName=CHOSEN.vault_name)
    session.client("kms").create_key(Description="Data of production")


def check(session: Any, console: Console, wanted: Any, deployment: Deployment = PRODUCTION) -> None:
    chosen = CHOSEN if deployment is PRODUCTION else replace(CHOSEN, name=deployment.title)
    taken_names.check(console, session, deployment, chosen, wanted)


def test_a_deployment_of_new_names_is_nobody_s_business(session, console, wanted):
    session.client("secretsmanager").create_secret(Name="shop/production-2/database/admin", SecretString="x")
    check(session, console, wanted)
    assert console.export_text() == ""


def test_what_a_former_life_retained_is_named_with_what_gives_its_name_free(session, console, wanted):
    retain(session)
    with pytest.raises(Refused) as refused:
        check(session, console, wanted)
    said = str(refused.value)
    assert "production cannot be created" in said
    assert "Nothing was made" in said
    assert (
        "- secret shop/production/database/admin (in use): aws secretsmanager delete-secret --secret-id "
        "shop/production/database/admin --force-delete-without-recovery --region us-east-1" in said
    )
    assert "aws backup delete-backup-vault --backup-vault-name shop-production --region us-east-1" in said
    assert "restore what you still want" in said
    assert said.count("\n- ") == 2, "a key has no name of its own"


def test_when_the_names_are_free_again_it_goes_on(session, console, wanted):
    retain(session)
    session.client("secretsmanager").delete_secret(
        SecretId=CHOSEN.secret_name, ForceDeleteWithoutRecovery=True
    )
    session.client("backup").delete_backup_vault(BackupVaultName=CHOSEN.vault_name)
    check(session, console, wanted)


def test_a_secret_in_recovery_holds_its_name(session, console, wanted):
    retain(session)
    session.client("backup").delete_backup_vault(BackupVaultName=CHOSEN.vault_name)
    session.client("secretsmanager").delete_secret(SecretId=CHOSEN.secret_name)
    with pytest.raises(Refused, match=r"shop/production/database/admin \(in recovery\)"):
        check(session, console, wanted)


def test_what_its_own_stacks_have_is_no_obstacle_to_the_next_deployment(
    session, console, wanted, monkeypatch
):
    retain(session)
    name = CHOSEN.stack_name("database")
    owned = {
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": CHOSEN.secret_name}},
    }
    deployed = {name: {"Resources": owned}}
    monkeypatch.setattr(taken_names, "deployed_templates", lambda *_: deployed)
    with pytest.raises(Refused) as refused:
        check(session, console, wanted)
    assert "backup vault" in str(refused.value), "which the deployed template does not have"
    assert "- secret" not in str(refused.value)


def test_an_ephemeral_one_is_freed_by_one_verb(session, console):
    one = choose("ephemeral", name="pr-7")
    session.client("logs").create_log_group(logGroupName="/aws/rds/cluster/shop-pr-7/postgresql")
    group = {
        "Type": "AWS::Logs::LogGroup",
        "Properties": {"LogGroupName": "/aws/rds/cluster/shop-pr-7/postgresql"},
    }
    wanted = {one.stack_name("database"): {"Resources": {"Log": group}}}
    with pytest.raises(Refused, match="make leftovers DEPLOYMENT=ephemeral NAME=pr-7 LOCAL=1"):
        check(session, console, wanted, replace(PRODUCTION, kind="ephemeral", name="pr-7"))


def test_where_nobody_may_look_is_told_and_no_obstacle(session, console, wanted, monkeypatch):
    def denied(*_: Any) -> Iterator[Any]:
        raise inventory.ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListSecrets")

    monkeypatch.setattr(inventory, "LISTERS", {**inventory.LISTERS, "secrets": denied})
    check(session, console, wanted)
    assert "nobody could look at secrets" in console.export_text()


def test_every_name_that_could_be_taken_is_known_to_the_inventory(session, wanted):
    """By the same words: else a taken name would pass."""
    kinds = {kind for kind, _ in claims(wanted)}
    assert kinds == {kind for kind, _ in NAMED.values()}
    make_one_of_each(session)
    found = {(one.kind, one.name) for one in inventory.inventory(session, CHOSEN, local=True).found}
    assert {kind for kind, name in found & claims(wanted)} == kinds


def make_one_of_each(session: Any) -> None:
    retain(session)
    key = session.client("kms").create_key()["KeyMetadata"]["KeyId"]
    session.client("kms").create_alias(AliasName=CHOSEN.key_alias, TargetKeyId=key)
    session.client("logs").create_log_group(logGroupName=f"/aws/rds/cluster/{CHOSEN.cluster_name}/postgresql")
    session.client("cloudwatch").put_dashboard(DashboardName="shop-production", DashboardBody="{}")
    parameter = CHOSEN.parameter_name("database/database-port")
    session.client("ssm").put_parameter(Name=parameter, Value="1", Type="String")
    rds = session.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier=CHOSEN.cluster_name,
        Engine="aurora-postgresql",
        MasterUsername="shop_admin",
        MasterUserPassword="a-password",
    )
    rds.create_db_proxy(
        DBProxyName=CHOSEN.proxy_name,
        EngineFamily="POSTGRESQL",
        Auth=[{"AuthScheme": "SECRETS", "SecretArn": CHOSEN.secret_name, "IAMAuth": "REQUIRED"}],
        RoleArn="arn:aws:iam::123456789012:role/proxy",
        VpcSubnetIds=[one["SubnetId"] for one in session.client("ec2").describe_subnets()["Subnets"]],
    )
