"""A parameter group's parameters on a plain server: what applies here, and what has no effect and why."""

from __future__ import annotations

from dataclasses import dataclass, field


class ParameterRefused(ValueError):
    """A parameter group asks for what Aurora would not take either."""


@dataclass
class LocalParameters:
    """Parameters, sorted by what they do here."""

    settings: dict[str, str] = field(default_factory=dict)
    """For the server's configuration."""

    without_effect: dict[str, str] = field(default_factory=dict)
    """What is accepted and does nothing here, with the reason."""
