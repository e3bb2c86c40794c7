"""Archives: what Lambda takes, what it refuses, and that nothing leaves the archive's own directory."""

import io
import stat
import zipfile

import pytest

from localcloud.functions import code_store
from localcloud.functions.code_store import CodeRefused, CodeStore, refusal_of_archive
from localcloud.functions.inline_code import archive_of
from localcloud.functions.runtimes import refusal_of_runtime
from localcloud.functions.variables import refusal_of_variables


def archive(*members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, mode, content in members:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            target.writestr(member, content)
    return buffer.getvalue()


def test_modes_links_and_directories_are_kept(tmp_path):
    code = archive(
        ("bin/tool", stat.S_IFREG | 0o755, "#!/bin/sh"),
        ("bin/alias", stat.S_IFLNK | 0o777, "tool"),
        ("data.txt", stat.S_IFREG | 0o644, "x"),
    )
    root = CodeStore(tmp_path).unpacked(code, "digest")
    assert stat.S_IMODE((root / "bin/tool").stat().st_mode) == 0o755
    assert (root / "bin/alias").resolve() == (root / "bin/tool").resolve()
    assert (root / "data.txt").read_text() == "x"


def test_an_archive_is_unpacked_once_and_again_after_an_interruption(tmp_path):
    (tmp_path / "digest.unfinished").mkdir()
    (tmp_path / "digest.unfinished" / "half").touch()
    store = CodeStore(tmp_path)
    root = store.unpacked(archive(("a.py", 0o644, "1")), "digest")
    assert [path.name for path in root.iterdir()] == ["a.py"]
    (root / "a.py").write_text("2")
    assert (store.unpacked(b"not looked at", "digest") / "a.py").read_text() == "2"


@pytest.mark.parametrize("destination", ["/etc/passwd", "../../outside"])
def test_a_link_out_of_the_archive_is_refused(tmp_path, destination):
    code = archive(("link", stat.S_IFLNK | 0o777, destination))
    with pytest.raises(CodeRefused, match="outside"):
        CodeStore(tmp_path / "code").unpacked(code, "digest")


def test_a_name_with_dots_stays_inside(tmp_path):
    CodeStore(tmp_path / "code").unpacked(archive(("../../escaped", 0o644, "x")), "digest")
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path.parent / "escaped").exists()


def test_what_is_no_archive_or_too_large_is_refused_in_lambdas_words(monkeypatch):
    assert "Could not unzip uploaded file" in refusal_of_archive(b"no zip")
    code = archive(("a", 0o644, "x" * 1000))
    assert refusal_of_archive(code) is None
    monkeypatch.setattr(code_store, "LARGEST_UNPACKED_BYTES", 999)
    assert refusal_of_archive(code) == "Unzipped size must be smaller than 999 bytes"


def test_inline_code_is_the_same_archive_every_time():
    first = archive_of("x = 1", "python3.13")
    assert first == archive_of("x = 1", "python3.13")
    assert set(zipfile.ZipFile(io.BytesIO(first)).namelist()) == {"index.py", "cfnresponse.py"}


@pytest.mark.parametrize("runtime", ["python3.9", "python3.13", "nodejs20.x", "nodejs22.x"])
def test_python_and_node_are_taken(runtime):
    assert refusal_of_runtime(runtime) is None


@pytest.mark.parametrize("runtime", ["java21", "provided.al2023", "python2.7", "ruby3.3", None])
def test_other_runtimes_are_refused_by_name(runtime):
    assert (runtime or "mandatory") in refusal_of_runtime(runtime)


def test_images_are_refused():
    assert "PackageType Image" in refusal_of_runtime(None, "Image")


def test_node_functions_need_node(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "no program named node" in refusal_of_runtime("nodejs22.x")


def test_variables_of_lambdas_own_and_more_than_four_kilobytes_are_refused():
    assert refusal_of_variables({"A": "x" * 4000}) is None
    assert refusal_of_variables({"A": "x" * 4096}).endswith("exceeded the 4KB limit.")
    assert refusal_of_variables({"AWS_REGION": "x"}).endswith(
        "Reserved keys used in this request: AWS_REGION"
    )
