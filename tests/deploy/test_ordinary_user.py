"""The local cloud needs no rights: an ordinary user starts it, deploys a database, and takes it away."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from localcloud.aurora.mysql_packages import cache_directory
from tests.deploy.clients import ROOT, App, LocalCloud, Person

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = sysconfig.get_path("purelib")


@pytest.fixture
def ordinary_user():
    """Return somebody who is not root, with a home, a copy of the project and an environment of their own."""
    if os.getuid() != 0:
        pytest.skip("this run is an ordinary user's already: every other test here shows it")
    nobody = pwd.getpwnam("nobody")
    become = ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    home = Path(tempfile.mkdtemp(prefix="ordinary-user-"))
    try:
        for part in ("localcloud", "tests/deploy/foreign_app"):
            shutil.copytree(ROOT / part, home / part, ignore=shutil.ignore_patterns("__pycache__", "build"))
        (home / "node_modules").symlink_to(ROOT / "node_modules")
        (home / "tmp").mkdir()
        _share_fetched_servers(home)
        for path in [home, *home.rglob("*")]:
            os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
        variables = {"HOME": str(home), "TMPDIR": str(home / "tmp"), "PWD": str(home)}
        yield Person(home, own_python(become, home), become, variables)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _share_fetched_servers(home):
    """Let the user have what was fetched already, as if the user had fetched it."""
    fetched = cache_directory() / "unpacked"
    if fetched.is_dir():
        own = home / ".cache" / "localcloud" / "mysql"
        own.mkdir(parents=True)
        (own / fetched.name).symlink_to(fetched)


def own_python(become, home):
    """Return a Python of the user's with this run's packages; root's own may lie where only root reads."""
    path = os.pathsep.join(["/usr/local/bin", "/usr/bin", str(Path(sys.base_prefix) / "bin")])
    python = shutil.which(PYTHON, path=path)
    environment = home / "venv"
    subprocess.run(
        [*become, python, "-m", "venv", "--without-pip", environment], check=True, cwd=home, timeout=60
    )
    (environment / "lib" / PYTHON / "site-packages" / "packages.pth").write_text(f"{PACKAGES}\n")
    ours = str(environment / "bin" / "python")
    usable = subprocess.run([*become, ours, "-c", "import moto"], check=False, cwd=home, timeout=60)
    if usable.returncode != 0:
        pytest.skip(f"user nobody cannot read {PACKAGES} or {python}: put them where others can read")
    return ours


@pytest.mark.long
def test_an_ordinary_user_deploys_and_destroys_a_database(ordinary_user, engine):
    cloud = LocalCloud.start(ordinary_user)
    try:
        app = App(cloud, ordinary_user.project / "tests" / "deploy" / "foreign_app")
        app.synthesize("app", engine=engine)
        app.bootstrap("app")
        app.deploy("app")
        outputs = app.outputs("ForeignTable")
        database = {"host": outputs["Writer"], "secret": outputs["Secret"]}
        assert cloud.query("SELECT count(*) FROM things", **database) == [(0,)]
        assert owners_of(cloud.status()["processes"]) == {"nobody"}
        app.destroy("app")
        assert cloud.left_over() == []
    finally:
        cloud.stop()
    assert list((ordinary_user.project / "tmp").glob("localcloud-*")) == []


def owners_of(processes):
    return {pwd.getpwuid(Path(f"/proc/{process}").stat().st_uid).pw_name for process in processes}
