"""Build what runs in Lambda without Docker: our sources, the schema, and wheels for the platform by pip.

The asset's hash covers sources, pins and platform, and nothing else: no path, no clock, no cache. A second
synth of the same pins needs neither pip nor network, because the wheels are kept in build/.
"""

from __future__ import annotations

import hashlib
import os
import platform as machine_platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

PROJECT = Path(__file__).resolve().parent.parent
PINS = PROJECT / "requirements-lambda.txt"
LEFT_OUT = ("__pycache__", "*.pyc", "*.md", ".*", "examples")
"""What lies among the sources and does not run."""


class AssetError(Exception):
    """The asset cannot be built; the message says what is missing and what to do."""


@dataclass(frozen=True)
class Platform:
    """Whose binaries an asset carries."""

    python_version: str
    architecture: str
    """As Lambda names it: arm64 or x86_64."""
    system: str = "linux"
    pip_options: tuple[str, ...] = ()

    @classmethod
    def named(cls, name: Literal["lambda", "host"]) -> Platform:
        """Return the platform that a setting names."""
        return cls.of_host() if name == "host" else cls.of_lambda()

    @classmethod
    def of_lambda(cls) -> Platform:
        """Return Lambda's own platform, on Graviton."""
        # Two tags, newest first: Amazon Linux 2023 has glibc 2.34, and psycopg2-binary asks for 2.28.
        tags = ("manylinux_2_28_aarch64", "manylinux2014_aarch64")
        options = [part for tag in tags for part in ("--platform", tag)]
        return cls(
            "3.14", "arm64", pip_options=(*options, "--python-version", "3.14", "--implementation", "cp")
        )

    @classmethod
    def of_host(cls) -> Platform:
        """Return the platform of this Python: it is what the local cloud runs functions with."""
        machine = machine_platform.machine().lower()
        return cls(
            python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
            architecture="arm64" if machine in {"arm64", "aarch64"} else "x86_64",
            system=sys.platform,
        )

    @property
    def runtime(self) -> lambda_.Runtime:
        """The Lambda runtime that this asset is built for."""
        return lambda_.Runtime(f"python{self.python_version}", lambda_.RuntimeFamily.PYTHON)

    @property
    def lambda_architecture(self) -> lambda_.Architecture:
        """The processor architecture that this asset is built for."""
        return lambda_.Architecture.ARM_64 if self.architecture == "arm64" else lambda_.Architecture.X86_64


@dataclass(frozen=True)
class LambdaAsset:
    """The directory that all functions run from: lambda/'s contents, schema/, and the pinned wheels."""

    platform: Platform
    project: Path = PROJECT

    @classmethod
    def with_wheels(cls, platform: Platform) -> LambdaAsset:
        """Return an asset whose wheels are there, or raise AssetError.

        An error inside synth would cross the CDK's JavaScript and come out as its traceback.
        """
        asset = cls(platform)
        asset.fetch_wheels()
        return asset

    @cached_property
    def digest(self) -> str:
        """SHA-256 over sources, pins and platform: the same content has the same digest wherever it lies."""
        digest = hashlib.sha256((self._wheels_digest + repr(LEFT_OUT)).encode())
        for folder in ("lambda", "schema"):
            for path in _sources(self.project / folder):
                digest.update(path.relative_to(self.project).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def code(self) -> lambda_.Code:
        """Return the asset as the functions of one stack take it; built when synth stages it."""
        return lambda_.Code.from_asset(
            str(self.project / "lambda"),
            asset_hash=self.digest,
            asset_hash_type=AssetHashType.CUSTOM,
            bundling=BundlingOptions(
                image=DockerImage.from_registry("never-pulled"),  # try_bundle always succeeds or raises
                local=_LocalBundling(self),
            ),
        )

    def fetch_wheels(self) -> Path:
        """Return the directory of installed wheels, made by pip unless an earlier run has kept it.

        Raises AssetError when pip cannot get them.
        """
        kept = self.project / "build" / f"wheels-{self._wheels_digest[:16]}"
        if not kept.is_dir():
            kept.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
                made = Path(scratch) / "wheels"
                _pip_install(made, self.project / PINS.name, self.platform.pip_options)
                _move_unless_there(made, kept)
        return kept

    def build(self, output: Path) -> None:
        """Fill `output` with all that runs, and nothing else."""
        shutil.copytree(self.fetch_wheels(), output, dirs_exist_ok=True, copy_function=_link_or_copy)
        ignore = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(self.project / "lambda", output, dirs_exist_ok=True, ignore=ignore)
        shutil.copytree(self.project / "schema", output / "schema", dirs_exist_ok=True, ignore=ignore)

    @cached_property
    def _wheels_digest(self) -> str:
        pins = (self.project / PINS.name).read_bytes()
        return hashlib.sha256(pins + repr(self.platform).encode()).hexdigest()


def content_digest(directory: Path, files: str = "**/*") -> str:
    """Return the SHA-256 over names and contents of a directory's text files, whatever their line ends."""
    digest = hashlib.sha256()
    for path in _sources(directory, files):
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
        digest.update(path.relative_to(directory).as_posix().encode() + b"\0" + content + b"\0")
    return digest.hexdigest()


@jsii.implements(ILocalBundling)
class _LocalBundling:
    """The CDK's hook for bundling without Docker."""

    def __init__(self, asset: LambdaAsset) -> None:
        self._asset = asset

    def try_bundle(self, output_dir: str, *_options: Any, **_named: Any) -> bool:
        self._asset.build(Path(output_dir))
        return True


def _sources(directory: Path, files: str = "**/*") -> Iterator[Path]:
    """Yield the files that run, in an order that no file system decides."""
    for path in sorted(directory.glob(files)):
        parts = path.relative_to(directory).parts
        left_out = any(Path(part).match(pattern) for part in parts for pattern in LEFT_OUT)
        if path.is_file() and not left_out:
            yield path


def _pip_install(target: Path, pins: Path, options: Sequence[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
    ]
    command += ["--only-binary=:all:", "--target", str(target), "--requirement", str(pins), *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if result.returncode != 0:
        raise AssetError(
            f"The wheels of {pins.name} are not in build/ yet, and pip could not get them:\n"
            f"{result.stderr.strip()}\n"
            "Next step: synthesize once with a network (or a pip index) at hand; later runs need neither."
        )
    shutil.rmtree(target / "bin", ignore_errors=True)  # scripts with this machine's paths in them


def _link_or_copy(source: str, target: str) -> None:
    """Put a file into the asset; a link where the file system allows it, since copying 400 files takes longer
    than defining a stack. Nothing writes to a wheel's files.
    """
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _move_unless_there(made: Path, kept: Path) -> None:
    """Move a finished directory into place; when another synth was faster, its equal result stays."""
    try:
        made.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise
