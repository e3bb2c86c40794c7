"""Settings that contradict each other, or what AWS allows, are refused before anything is synthesized.

A problem names the value, the limit and the next step; all problems of a deployment come at once.
"""

from stacks.validation.choice import CONTEXT, SettingsError, choose
from stacks.validation.deployment import validate
from stacks.validation.logs import LOG_RETENTION_DAYS

__all__ = ["CONTEXT", "LOG_RETENTION_DAYS", "SettingsError", "choose", "validate"]
