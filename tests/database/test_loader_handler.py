"""The seed as CloudFormation meets it: from S3, over verified TLS, with an IAM token."""

from __future__ import annotations

import gzip
import io
import json
from contextlib import closing

import boto3
import pytest
from botocore.exceptions import IncompleteReadError
from botocore.response import StreamingBody
from moto import mock_aws

from aurora.deadline import Deadline
from custom_resource import CustomResourceFailed
from seed_data import handler, sources
from seed_data.data_file import UnusableFile
from seed_data.loader import load
from tests.database.endpoints import AuroraEndpoints, Context
from tests.database.loader_dialect import everything, read_only
from tests.database.retail_files import HEADER, sale
from tests.database.test_loader import assert_sound

DIGEST = "0" * 64
SAMPLE_DATA = {
    "Lines": "245",
    "OrderLines": "241",
    "Rejects": "4",
    "Quantity": "2620",
    "Amount": "13189.450",
    "Source": "sample.csv",
}


@pytest.fixture
def environment(database, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with closing(AuroraEndpoints(tmp_path, writer=database.server, reader=database.server)) as endpoints:
        for name, value in endpoints.variables(database.name).items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def bucket(environment):
    with mock_aws():
        s3 = boto3.client("s3", region_name="eu-west-1")
        s3.create_bucket(Bucket="assets", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

        def put(key: str, *lines: str) -> dict[str, str]:
            content = "".join(f"{line}\n" for line in [HEADER, *lines]).encode()
            body = gzip.compress(content) if key.endswith(".gz") else content
            s3.put_object(Bucket="assets", Key=key, Body=body)
            return {"Bucket": "assets", "Key": key, "FileName": "history.csv"}

        yield put


def event(kind="Create", **properties):
    identity = {} if kind == "Create" else {"PhysicalResourceId": "seed-data"}
    return {
        "RequestType": kind,
        "RequestId": "a-request",
        "LogicalResourceId": "SeedData",
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-local-schema/abc",
        "ResourceProperties": {"ServiceToken": "arn:…", "Digest": DIGEST, **properties},
        **identity,
    }


def answer(*arguments, seconds=60, **properties):
    return handler.on_event(event(*arguments, **properties), Context(seconds))


@pytest.mark.usefixtures("environment")
def test_without_a_file_the_sample_is_loaded_once(database):
    for kind in ("Create", "Create", "Update"):
        assert answer(kind) == {"PhysicalResourceId": "seed-data", "Data": SAMPLE_DATA}
    assert database.value("SELECT count(*) FROM shop.loads") == 1
    assert_sound(database)


@pytest.mark.parametrize("key", ["0123.csv", "0123.csv.gz"])
def test_a_file_is_streamed_from_s3(database, bucket, key):
    data = answer(**bucket(key, sale(), sale(price="0.105"), "bad"))["Data"]
    assert data == {
        "Lines": "3",
        "OrderLines": "2",
        "Rejects": "1",
        "Quantity": "12",
        "Amount": "15.930",
        "Source": "history.csv",
    }
    assert_sound(database)


def test_an_update_with_the_same_content_runs_no_statement_that_changes_data(database, bucket, monkeypatch):
    first = answer(**bucket("a.csv", sale()))
    before = everything(database)
    with read_only(database):
        assert answer("Update", **bucket("b.csv.gz", sale())) == first
    assert everything(database) == before


def test_an_update_adds_another_file_and_a_rollback_to_the_first_takes_nothing_back(database, bucket):
    first, second = bucket("a.csv", sale("1")), bucket("b.csv", sale("2"))
    created = answer(**first)
    answer("Update", **second)
    assert answer("Update", **first) == created
    assert database.value("SELECT count(*) FROM shop.orders") == 2


@pytest.mark.usefixtures("environment")
def test_generated_lines_are_loaded_once(database):
    first = answer(GeneratedLines="1000")
    again = answer("Update", GeneratedLines="1000")
    assert first["Data"] == again["Data"]
    assert first["Data"]["Lines"] == "1000"
    assert first["Data"]["Source"] == "generated: 1,000 lines from seed 1"
    assert database.value("SELECT count(*) FROM shop.loads") == 1


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("lines", ["-1", "many", "1.5", ""])
def test_a_wrong_number_of_generated_lines_is_refused(database, lines):
    with pytest.raises(Exception, match="GeneratedLines"):
        answer(GeneratedLines=lines)
    assert database.value("SELECT count(*) FROM shop.loads") == 0


def test_delete_needs_neither_database_nor_properties_and_keeps_what_it_is_told():
    gone = event("Delete") | {"PhysicalResourceId": "unknown", "ResourceProperties": {}}
    assert handler.on_event(gone, Context(1)) == {"PhysicalResourceId": "unknown", "Data": {}}


@pytest.mark.parametrize(
    ("properties", "complaint"),
    [
        ({"Digest": "short"}, "property Digest is 'short'"),
        ({"Digest": ["x"]}, "property Digest"),
        ({"Bucket": "assets"}, "of Bucket, Key and FileName there is only"),
        ({"Bucket": "assets", "Key": "a"}, "of Bucket, Key and FileName there is only"),
        ({"Bucket": "assets", "Key": "", "FileName": "a"}, "property Key"),
        ({"Bucket": "assets", "Key": "a\0b", "FileName": "a"}, "property Key"),
        ({"Bucket": "b" * 64, "Key": "a", "FileName": "a"}, "property Bucket"),
        ({"Bucket": True, "Key": "a", "FileName": "a"}, "property Bucket"),
        ({"File": "a"}, "unknown properties 'File'"),
    ],
)
@pytest.mark.usefixtures("environment")
def test_wrong_properties_are_refused_before_anything_is_loaded(database, properties, complaint):
    before = everything(database)
    with pytest.raises(CustomResourceFailed, match=complaint):
        answer(**properties)
    assert everything(database) == before


def test_a_file_that_is_not_there_is_named(bucket):
    missing = bucket("a.csv", sale()) | {"Key": "another.csv"}
    with pytest.raises(CustomResourceFailed, match=r"s3://assets/another\.csv cannot be read: .*404"):
        answer(**missing)


def test_a_bad_file_fails_with_line_and_reason_and_leaves_nothing(database, bucket):
    before = everything(database)
    with pytest.raises(CustomResourceFailed, match=r"UnusableFile: history\.csv: line 3 holds a NUL byte"):
        answer(**bucket("a.csv", sale(), "\0"))
    assert everything(database) == before


def test_lambdas_deadline_is_kept_with_a_reserve(database, bucket):
    before = everything(database)
    with pytest.raises(
        CustomResourceFailed, match=r"LoadStopped: the deadline came while|Unavailable: .*timed out"
    ):
        answer(seconds=handler.RESERVE_SECONDS, **bucket("a.csv", sale()))
    assert everything(database) == before


def test_an_object_that_changes_between_two_looks_is_refused(bucket):
    place = bucket("a.csv", sale())
    s3 = boto3.client("s3", region_name="eu-west-1")
    found = sources.S3Object(s3, bucket="assets", key="a.csv", name="a")
    assert found.size_bytes() > 0
    bucket("a.csv", sale("2"))
    with (
        pytest.raises(UnusableFile, match=r"s3://assets/a\.csv cannot be read: .*Precondition"),
        found.open(),
    ):
        pytest.fail(f"{place} was opened")


def test_an_object_whose_body_ends_early_leaves_nothing(database):
    content = f"{HEADER}\n{sale()}\n".encode()

    class CutOff:
        def head_object(self, **_):
            return {"ContentLength": len(content) + 1, "ETag": "x"}

        def get_object(self, **_):
            return {"Body": StreamingBody(io.BytesIO(content), len(content) + 1)}

    before = everything(database)
    source = sources.S3Object(CutOff(), bucket="assets", key="a.csv", name="a.csv")
    with pytest.raises(IncompleteReadError):
        load(database.session("shop_loader"), source, deadline=Deadline.after(30))
    assert everything(database) == before


def test_the_log_shows_progress_and_totals(bucket, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(handler, "PROGRESS_EVERY_SECONDS", 0)
    monkeypatch.setattr(handler.logger.registered_handler, "stream", log)
    answer(**bucket("a.csv", sale(), "bad"))
    records = [json.loads(line) for line in log.getvalue().splitlines()]
    progress = [record for record in records if record["message"] == "seed progress"]
    assert {"loading", "checking keys"} <= {record["doing"] for record in progress}
    assert all(isinstance(record["lines_per_second"], int) for record in progress)
    assert max(record["lines"] for record in progress) == 2
    (loaded,) = [record for record in records if record["message"] == "seed loaded"]
    assert loaded["totals"]["Lines"] == "2"
    assert loaded["rejects_by_reason"] == {"the line does not have the header's 8 columns": 1}


def test_a_path_that_vanishes_is_refused(tmp_path):
    with pytest.raises(UnusableFile, match="cannot be read"):
        sources.PathSource(tmp_path / "gone.csv").size_bytes()
