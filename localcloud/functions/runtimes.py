"""Which Lambda runtimes exist here, and what starts them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

BOOTSTRAPS = Path(__file__).parent
NODE_MODULES_VARIABLE = "LOCALCLOUD_NODE_MODULES"

# What Lambda's Python runtime carries beside the standard library.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html#python-sdk-included
PYTHON_DISTRIBUTIONS = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")

# The scopes of the packages that Lambda's Node.js runtime carries.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html#nodejs-sdk-included
NODE_SCOPES = ("@aws-sdk", "@smithy")


def refusal_of_runtime(runtime: str | None, package_type: str = "Zip") -> str | None:
    """Return why a function of this runtime cannot run here, or None when it can."""
    if package_type != "Zip":
        return f"PackageType {package_type}: the local cloud runs zip archives only"
    if runtime is None:
        return "Runtime is mandatory for a function that is deployed as a zip archive"
    if is_node(runtime):
        if shutil.which("node") is None:
            return f"Runtime {runtime} needs Node.js, and there is no program named node on PATH"
    elif not is_python(runtime):
        return f"Runtime {runtime}: the local cloud runs Python and Node.js functions only"
    return None


def is_python(runtime: str) -> bool:
    """Return whether this is one of Lambda's Python runtimes."""
    return re.fullmatch(r"python3\.\d+", runtime) is not None


def is_node(runtime: str) -> bool:
    """Return whether this is one of Lambda's Node.js runtimes."""
    return re.fullmatch(r"nodejs\d+\.x", runtime) is not None


@dataclass(frozen=True)
class Runtimes:
    """The runtimes' own libraries, laid out once in the cloud's directory.

    A function sees the standard library and what Lambda's runtime carries, nothing else of this machine: a
    dependency that its archive lacks is missing here as it would be on AWS.
    """

    python_library: Path
    node_modules: Path | None

    @classmethod
    def laid_out(cls, directory: Path, *, code_directory: Path) -> Runtimes:
        """Link the libraries: Python's into `directory`, Node's beside the code, where Node looks."""
        return cls(
            _link_python_library(directory / "python"), _link_node_modules(code_directory / "node_modules")
        )

    def command(
        self, runtime: str, *, task_root: Path, layers: Sequence[Path], control: int, answers_at: str
    ) -> list[str]:
        """Return the command of a process that serves invocations over the open file `control`.

        `answers_at` is the host and port that CloudFormation takes custom resources' answers on.
        """
        if is_python(runtime):
            paths = [str(path) for path in (task_root, *(layer / "python" for layer in layers))]
            # -S: no site-packages; -s: no user's packages; -P: nothing of the directory that it starts in
            isolated = [sys.executable, "-S", "-s", "-P", str(BOOTSTRAPS / "python_bootstrap.py")]
            return [*isolated, str(control), *paths, str(self.python_library)]
        node = shutil.which("node") or "node"
        return [node, str(BOOTSTRAPS / "node_bootstrap.js"), str(control), answers_at]


def _link_python_library(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in PYTHON_DISTRIBUTIONS:
        distribution = metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            link = directory / top
            if not link.is_symlink():
                link.symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return directory


def _link_node_modules(directory: Path) -> Path | None:
    modules = _find_node_modules()
    if modules is None:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    for scope in NODE_SCOPES:
        link = directory / scope
        if (modules / scope).is_dir() and not link.is_symlink():
            link.symlink_to((modules / scope).resolve())
    return directory


def _find_node_modules() -> Path | None:
    """Return the node_modules that the user named, or else the nearest one above that has AWS's SDK.

    Above the directory that the user started the server in, which PWD still names: the server moves away.
    """
    named = os.environ.get(NODE_MODULES_VARIABLE)
    if named:
        return Path(named)
    for start in (Path(os.environ.get("PWD", ".")), Path(__file__).resolve().parent):
        for parent in (start, *start.parents):
            if (parent / "node_modules" / "@aws-sdk").is_dir():
                return parent / "node_modules"
    return None
