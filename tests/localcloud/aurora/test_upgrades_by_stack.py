"""A change of version by a stack: what CloudFormation says when it fails, and what serves then."""

import json

import pytest

from localcloud.cloudformation.change_sets import Submission
from localcloud.moto_seams import CloudFormation

from .conftest import ACCOUNT, REGION
from .shop import records

PATIENCE_SECONDS = 600.0


def resource(kind, **properties):
    return {"Type": kind, "Properties": properties}


def parameter_group(family, work_mem):
    return resource(
        "AWS::RDS::DBClusterParameterGroup",
        Description="d",
        Family=family,
        Parameters={"work_mem": work_mem},
    )


def parts(version, group="Of16", **others):
    """Return a cluster of this version with the group of this name, and all groups."""
    return {
        "Of16": parameter_group("aurora-postgresql16", "8192"),
        "Of18": parameter_group("aurora-postgresql18", "8192"),
        "Broken": parameter_group("aurora-postgresql18", "a lot"),
        "Cluster": resource(
            "AWS::RDS::DBCluster",
            Engine="aurora-postgresql",
            EngineVersion=version,
            MasterUsername="shop_admin",
            MasterUserPassword="a master's password",
            DBClusterParameterGroupName={"Ref": group},
        ),
        "Writer": resource(
            "AWS::RDS::DBInstance",
            Engine="aurora-postgresql",
            DBClusterIdentifier={"Ref": "Cluster"},
            DBInstanceClass="db.serverless",
        ),
        **others,
    }


def fails_behind_the_writer():
    """Return what fails once the upgrade is done."""
    subnet = resource("AWS::EC2::Subnet", VpcId="vpc-of-nobody", CidrBlock="10.0.0.0/24")
    return {"Wrong": {**subnet, "DependsOn": "Writer"}}


@pytest.fixture
def bring(cloud):
    """Bring the stack to these resources: its last status, the reasons told, the cluster's version."""
    operations = CloudFormation(cloud).operations(ACCOUNT, REGION)
    operations.answer_within_seconds = PATIENCE_SECONDS

    def bring(resources):
        submission = Submission(json.dumps({"Resources": resources}))
        exists = operations.region.stack("shop") is not None
        (operations.update_stack if exists else operations.create_stack)("shop", submission)
        stack = operations.existing("shop")
        reasons = "\n".join(f"{one.logical_id} {one.status}: {one.reason}" for one in stack.events)
        return stack.status, reasons, version_of(stack)

    yield bring
    operations.delete_stack("shop", frozenset())


def version_of(stack):
    record = records().clusters[stack.resources["Cluster"].provisioned.physical_id]
    assert record.status == "available"
    return record.engine_version


def test_a_stack_goes_back_as_far_as_aurora_does(bring):
    status, reasons, version = bring(parts("16.11"))
    assert status == "CREATE_COMPLETE", reasons

    status, reasons, version = bring(parts("18.4", "Broken"))
    assert status == "UPDATE_ROLLBACK_COMPLETE", reasons
    assert "Cluster UPDATE_FAILED: PostgreSQL" in reasons
    assert "work_mem" in reasons
    assert version == "16.11"

    status, reasons, version = bring(parts("16.13", **fails_behind_the_writer()))
    assert status == "UPDATE_ROLLBACK_COMPLETE", reasons
    assert version == "16.13"

    status, reasons, version = bring(parts("18.4", "Of18", **fails_behind_the_writer()))
    assert status == "UPDATE_ROLLBACK_FAILED", reasons
    assert "with DBParameterGroupFamily aurora-postgresql16 cannot be used for this instance" in reasons
    assert version == "18.4"
