"""Estimates of costs: arithmetic by hand, and nothing that costs something is silently free."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from operate.cost.charges import BY_USE
from operate.cost.command import _of_deployment
from operate.cost.estimate import Estimate, estimate
from operate.cost.markdown import comparison, page
from operate.cost.prices import NoPrices, prices_of
from operate.cost.templates import NotAnAssembly, read_assembly
from operate.deployment import Deployment
from stacks.settings import DEPLOYMENTS
from tests.operate.test_command_line import operate

SERVERLESS = {"ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 4}}
CLUSTER = {"Type": "AWS::RDS::DBCluster", "Properties": {"BackupRetentionPeriod": 1, **SERVERLESS}}


def instance(instance_class: str = "db.serverless", **more: object) -> dict:
    properties = {"DBInstanceClass": instance_class, "DBClusterIdentifier": {"Ref": "Cluster"}, **more}
    return {"Type": "AWS::RDS::DBInstance", "Properties": properties}


PROXY = {
    "Proxy": {"Type": "AWS::RDS::DBProxy", "Properties": {}},
    "Targets": {
        "Type": "AWS::RDS::DBProxyTargetGroup",
        "Properties": {"DBProxyName": {"Ref": "Proxy"}, "DBClusterIdentifiers": [{"Ref": "Cluster"}]},
    },
}


def assembly(folder: Path, resources: dict, region: str = "us-east-1") -> Path:
    """Write a cloud assembly of one stack, as `cdk synth` does."""
    folder.mkdir(exist_ok=True)
    manifest = {
        "artifacts": {
            "Stack": {
                "type": "aws:cloudformation:stack",
                "environment": f"aws://unknown-account/{region}",
                "properties": {"templateFile": "Stack.template.json"},
            },
            "Tree": {"type": "cdk:tree"},
        }
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "Stack.template.json").write_text(json.dumps({"Resources": resources}))
    return folder


@pytest.fixture
def cost(tmp_path: Path):
    def of(resources: dict, region: str = "us-east-1") -> Estimate:
        return estimate(read_assembly(assembly(tmp_path / "assembly", resources, region)))

    return of


def sums(one: Estimate, resource: str) -> tuple[Decimal, Decimal]:
    return one.by_resource().get(("Stack", resource), (Decimal(), Decimal()))


def usd(*amounts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, amounts))


def test_serverless_instances_cost_their_smallest_capacity_idle_and_their_largest_busy(cost):
    one = cost({"Cluster": CLUSTER, "Writer": instance()})
    # 0.5 ACU x 730 h x 0.12 = 43.80; 4 x 730 x 0.12 = 350.40
    assert sums(one, "Writer") == usd("43.80", "350.40")
    # data 1 and 100 GB at 0.10, I/O 1 and 200 million at 0.20; backups of one day are free
    assert sums(one, "Cluster") == usd("0.30", "50.00")
    assert (one.idle_month, one.busy_month) == usd("44.10", "400.40")


def test_instances_of_a_class_cost_the_same_idle_and_busy(cost):
    one = cost({"Cluster": CLUSTER, "Writer": instance("db.r8g.large")})
    assert sums(one, "Writer") == usd("201.48", "201.48")  # 730 h x 0.276


def test_a_proxy_costs_eight_acu_at_least(cost):
    one = cost({"Cluster": CLUSTER, "Writer": instance(), **PROXY})
    assert sums(one, "Proxy") == usd("87.60", "87.60")  # 8 ACU x 730 h x 0.015, for 0.5 and for 4


def test_a_proxy_costs_the_acu_of_all_instances_behind_it(cost):
    one = cost({"Cluster": CLUSTER, "Writer": instance(), "A": instance(), "B": instance(), **PROXY})
    assert sums(one, "Proxy") == usd("87.60", "131.40")  # busy 3 x 4 ACU x 730 h x 0.015


def test_a_proxy_costs_the_vcpu_of_all_instances_behind_it(cost):
    one = cost(
        {"Cluster": CLUSTER, "Writer": instance("db.r8g.large"), "A": instance("db.r8g.2xlarge"), **PROXY}
    )
    assert sums(one, "Proxy") == usd("109.50", "109.50")  # (2 + 8) vCPU x 730 h x 0.015


def test_backups_cost_what_changes_beyond_the_first_day(cost):
    cluster = {"Type": "AWS::RDS::DBCluster", "Properties": {"BackupRetentionPeriod": 35}}
    one = cost({"Cluster": cluster})
    assert sums(one, "Cluster") == usd("0.30", "50.71")  # 34 days x 1 GB x 0.021 = 0.714


def test_backtrack_costs_every_record_of_its_window_every_hour(cost):
    cluster = {"Type": "AWS::RDS::DBCluster", "Properties": {"BacktrackWindow": 86400}}
    one = cost({"Cluster": cluster})
    assert sums(one, "Cluster") == usd("0.30", "155.12")  # 0.5 million x 24 h x 730 h x 0.012 = 105.12


def plan(days: int | None, schedule: str = "cron(0 3 * * ? *)", **more: object) -> dict:
    rule = {"ScheduleExpression": schedule, **more} | (
        {"Lifecycle": {"DeleteAfterDays": days}} if days else {}
    )
    return {"Type": "AWS::Backup::BackupPlan", "Properties": {"BackupPlan": {"BackupPlanRule": [rule]}}}


def test_recovery_points_cost_the_whole_volume_once_they_outlive_the_cluster_s_own_backups(cost):
    cluster = {"Type": "AWS::RDS::DBCluster", "Properties": {"BackupRetentionPeriod": 7}}
    one = cost({"Cluster": cluster, "Plan": plan(35)})
    assert sums(one, "Plan") == usd("0.59", "58.80")  # 28 points of 1 and 100 GB at 0.021
    assert sums(cost({"Cluster": cluster, "Plan": plan(7)}), "Plan") == usd("0", "0")


@pytest.mark.parametrize(
    ("backup_plan", "why"),
    [
        (plan(None), "kept for ever"),
        (plan(35, "cron(0 3 ? * SUN *)"), "not made daily"),
        (plan(35, CopyActions=[{}]), "copies in another region"),
    ],
)
def test_recovery_points_that_cannot_be_counted_are_told(cost, backup_plan: dict, why: str):
    one = cost({"Plan": backup_plan})
    assert [why in omission.why for omission in one.omissions] == [True]


def test_database_insights_cost_by_capacity(cost):
    insights = {
        "Type": "AWS::RDS::DBCluster",
        "Properties": {"DatabaseInsightsMode": "advanced", **SERVERLESS},
    }
    serverless = cost({"Cluster": insights, "Writer": instance(PerformanceInsightsRetentionPeriod=465)})
    assert sums(serverless, "Writer") == usd("44.94", "359.53")  # + 0.5 and 4 ACU x 730 h x 0.003125
    of_class = cost({"Cluster": insights, "Writer": instance("db.r8g.xlarge")})
    assert sums(of_class, "Writer") == usd("439.46", "439.46")  # 402.96 + 4 vCPU x 730 h x 0.0125 = 36.50


def test_what_is_around_the_database(cost):
    one = cost(
        {
            "Endpoint": {
                "Type": "AWS::EC2::VPCEndpoint",
                "Properties": {"VpcEndpointType": "Interface", "SubnetIds": [1, 2, 3]},
            },
            "Gateway": {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcEndpointType": "Gateway"}},
            "Key": {"Type": "AWS::KMS::Key"},
            "Secret": {"Type": "AWS::SecretsManager::Secret"},
            "Dashboard": {"Type": "AWS::CloudWatch::Dashboard"},
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "CPUUtilization"}},
            "Ratio": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {"Metrics": [{"MetricStat": {}}, {"MetricStat": {}}, {"Expression": "a/b"}]},
            },
            "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 365}},
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"MemorySize": 1024, "Architectures": ["arm64"]},
            },
        }
    )
    assert sums(one, "Endpoint") == usd("21.90", "21.91")  # 3 zones x 730 h x 0.01, and 1 GB at 0.01
    assert sums(one, "Gateway") == usd("0", "0")
    assert sums(one, "Key") == usd("1.00", "1.00")
    assert sums(one, "Secret") == usd("0.40", "0.40")
    assert sums(one, "Dashboard") == usd("3.00", "3.00")
    assert sums(one, "Alarm") == usd("0.10", "0.10")
    assert sums(one, "Ratio") == usd("0.20", "0.20")
    # taken in 0.1 and 2 GB at 0.50; kept 365/30 months of it at 0.03
    assert sums(one, "Log") == usd("0.09", "1.73")
    # 3000 calls x 5 s x 1 GB x 0.0000133334 = 0.20
    assert sums(one, "Function") == usd("0.00", "0.20")
    assert one.omissions == ()


@pytest.mark.parametrize(
    ("resource", "why"),
    [
        ({"Type": "AWS::EC2::NatGateway"}, "an unknown type"),
        ({"Type": "Custom::Whatever"}, "an unknown type"),
        ({"Type": "AWS::Logs::LogGroup"}, "for ever"),
        ({"Type": "AWS::SSM::Parameter", "Properties": {"Tier": "Advanced"}}, "advanced parameter"),
        ({"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcEndpointType": "Interface"}}, "zones"),
        ({"Type": "AWS::RDS::DBProxy"}, "no instance behind it"),
        ({"Type": "AWS::CloudWatch::Alarm", "Properties": {"Period": 10}}, "high resolution"),
        ({"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{"Expression": "SELECT"}]}}, "query"),
        *[({"Type": resource_type}, why) for resource_type, why in BY_USE.items()],
    ],
)
def test_what_cannot_be_priced_is_told(cost, resource: dict, why: str):
    one = cost({"It": resource})
    assert [why in omission.why for omission in one.omissions] == [True]
    text = page("dev", one)
    assert f"| {resource['Type']} |" in text
    assert "Stack/It" in text


def test_a_class_without_a_price_is_told_and_the_rest_is_priced(cost):
    one = cost({"Cluster": CLUSTER, "Writer": instance("db.x9g.large")})
    assert [omission.why for omission in one.omissions] == [
        "db.x9g.large, by hour: no price of db.x9g.large_hour in us-east-1"
    ]
    assert one.idle_month == Decimal("0.30")


def test_storage_without_io_charges_has_no_prices_of_instances(cost):
    optimized = {"Type": "AWS::RDS::DBCluster", "Properties": {"StorageType": "aurora-iopt1", **SERVERLESS}}
    one = cost({"Cluster": optimized, "Writer": instance()})
    assert sums(one, "Cluster") == usd("0.23", "22.50")  # 1 and 100 GB at 0.225, no I/O
    assert ["acu_optimized_hour" in omission.why for omission in one.omissions] == [True]


def test_another_region_has_its_own_prices(cost):
    one = cost({"Cluster": CLUSTER, "Writer": instance()}, "eu-west-2")
    assert sums(one, "Writer") == usd("51.10", "408.80")  # 0.5 and 4 ACU x 730 h x 0.14


def test_a_region_without_prices_has_no_estimate(cost):
    with pytest.raises(NoPrices, match=r"region=eu-north-1 .* us-east-1, eu-west-2; add a table"):
        cost({"Cluster": CLUSTER}, "eu-north-1")


def test_every_price_says_where_it_was_read_and_when():
    for region in ("us-east-1", "eu-west-2"):
        for key, price in prices_of(region).items():
            assert price.usd > 0, key
            assert price.source.page.startswith("https://"), key
            assert price.source.read, key
            assert price.source.as_of == "undated" or price.source.as_of.startswith("202"), key


def test_a_folder_that_is_no_assembly_is_refused(tmp_path: Path):
    with pytest.raises(NotAnAssembly, match="make synth"):
        read_assembly(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(NotAnAssembly, match="make synth"):
        read_assembly(tmp_path)


def test_the_difference_is_told_by_resource_and_as_a_sum(cost):
    before = cost({"Cluster": CLUSTER, "Writer": instance(), "Gone": {"Type": "AWS::KMS::Key"}})
    larger = {"Type": "AWS::RDS::DBCluster", "Properties": {"ServerlessV2ScalingConfiguration": {
        "MinCapacity": 1, "MaxCapacity": 4}}}  # fmt: skip
    after = cost({"Cluster": larger, "Writer": instance(), "Reader": instance("db.r8g.large")})
    text = comparison("main", before, "this", after)
    assert "### this instead of main: +244.28 USD a month idle, +200.48 busy" in text
    assert "| Stack | Writer | 87.60 | 350.40 | +43.80 | 0.00 |" in text
    assert "| Stack | Reader | 201.48 | 201.48 | +201.48 | +201.48 |" in text
    assert "| Stack | Gone | 0.00 | 0.00 | -1.00 | -1.00 |" in text
    assert "| Stack | Cluster |" not in text


def test_nothing_changed_is_said(cost):
    one = cost({"Cluster": CLUSTER, "Writer": instance()})
    assert "No resource costs more or less than before." in comparison("main", one, "this", one)


def test_the_page_says_what_it_assumes_and_where_prices_come_from(cost):
    text = page("dev", cost({"Cluster": CLUSTER, "Writer": instance()}))
    assert "### dev: 44.10 USD a month idle, 400.40 busy" in text
    assert "0.060 USD an hour idle, 0.548 busy" in text
    assert "| Stack | Writer | 43.80 | 350.40 | 0.0600 | 0.4800 |" in text
    assert "| **all** |  | **44.10** | **400.40** | **0.0604** | **0.5485** |" in text
    assert "| data, GB | 1 | 100 |" in text
    assert "https://aws.amazon.com/rds/aurora/pricing/" in text
    assert "2026-03-28" in text


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
@pytest.mark.parametrize("kind", ["dev", "ephemeral", "production"])
def test_every_type_of_every_deployment_is_known(kind: str, engine: str):
    name = "pr-42" if kind == "ephemeral" else ""
    one = _of_deployment(Deployment.on_engine(kind, engine, name=name))
    assert [omission for omission in one.omissions if "unknown type" in omission.why] == []
    assert [omission for omission in one.omissions if "no price" in omission.why] == []
    assert one.idle_month > 100
    assert one.busy_month >= one.idle_month


def test_the_verb_prints_markdown_without_an_account():
    done = operate("cost", "--deployment", "dev")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("### dev: ")
    assert "| Database | Cluster/Writer | 43.80 | 350.40 | 0.0600 | 0.4800 |" in done.stdout


def test_the_verb_compares_with_a_deployment_and_with_an_assembly(tmp_path: Path):
    done = operate("cost", "--deployment", "dev", "--compare", "production")
    assert done.stdout.startswith("### dev instead of production: -"), done.stderr
    base = assembly(tmp_path / "base", {"Key": {"Type": "AWS::KMS::Key"}})
    done = operate("cost", "--deployment", "dev", "--compare", str(base))
    assert done.stdout.startswith(f"### dev instead of dev of {base}: +"), done.stderr


def test_what_cannot_be_compared_with_is_named_with_what_can():
    done = operate("cost", "--deployment", "dev", "--compare", "nowhere")
    assert done.returncode == 1
    assert "compare=nowhere" in done.stderr
    assert all(kind in done.stderr for kind in DEPLOYMENTS)
    assert "Traceback" not in done.stderr
