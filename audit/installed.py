"""Where `make audit` has put the scanners, and whether they are there."""

from stacks.assets import PROJECT

HOME = PROJECT / "build" / "audit"
PYTHON_PACKAGES = HOME / "python"
"""cdk-nag and the package with cfn-guard, beside the stacks' own packages."""
CHECKOV = HOME / "checkov" / "bin" / "checkov"
"""In an environment of its own: it wants other versions of packages that the stacks have."""
CFN_GUARD = HOME / "cfn-guard"
"""cfn-guard's program and Control Tower's rules, unpacked from their package."""


def missing() -> str:
    """Return what to do where a scanner is missing; nothing, where all are there."""
    there = (HOME / ".ready").is_file()
    return "" if there else "The scanners are not in build/audit yet: `make audit` installs them."
