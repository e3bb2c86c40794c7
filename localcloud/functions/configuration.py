"""What decides how a function's process is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FunctionConfiguration:
    """One published state of a function. Equal configurations may share processes, others never do."""

    arn: str
    name: str
    version: str
    account: str
    region: str
    runtime: str
    handler: str
    role_arn: str
    timeout_seconds: int
    memory_mb: int
    log_group: str
    code_digest: str
    archive: bytes = field(
        repr=False, compare=False
    )  # what code_digest says, and not what the function has later
    layer_arns: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    is_traced: bool = False
    """Whether each invocation is a trace for X-Ray."""

    @property
    def function_arn(self) -> str:
        """The function's ARN without a version, which `arn` may have."""
        return ":".join(self.arn.split(":")[:7])

    @classmethod
    def of(cls, function: Any) -> FunctionConfiguration:
        """Return what moto's LambdaFunction says now."""
        vpc = function.vpc_config or {}
        return cls(
            arn=function.function_arn,
            name=function.function_name,
            version=str(function.version),
            account=function.account_id,
            region=function.region,
            runtime=function.run_time,
            handler=function.handler,
            role_arn=function.role,
            timeout_seconds=int(function.timeout),
            memory_mb=int(function.memory_size),
            log_group=function.logs_group_name,
            code_digest=function.code_digest,
            archive=function.code_bytes,
            layer_arns=tuple(layer["Arn"] for layer in function.layers),
            variables=tuple(sorted((name, str(value)) for name, value in function.environment_vars.items())),
            subnet_ids=tuple(vpc.get("SubnetIds", ())),
            security_group_ids=tuple(vpc.get("SecurityGroupIds", ())),
            is_traced=(function.tracing_config or {}).get("Mode") == "Active",
        )
