"""The environment variables of a function's process: Lambda's, the function's, nothing of the server's."""

from __future__ import annotations

from pathlib import Path

from localcloud.functions.configuration import FunctionConfiguration
from localcloud.functions.credentials import Credentials

# fmt: off
RESERVED = frozenset((
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
))
# fmt: on
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime"""

LARGEST_BYTES = 4096


def refusal_of_variables(variables: dict[str, str]) -> str | None:
    """Return why Lambda would not take these variables, or None when it would."""
    prefix = (
        "Lambda was unable to configure your environment variables because "
        "the environment variables you have provided"
    )
    reserved = sorted(RESERVED & variables.keys())
    if reserved:
        return (
            f"{prefix} contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    if sum(len(name.encode()) + len(value.encode()) for name, value in variables.items()) > LARGEST_BYTES:
        return f"{prefix} exceeded the 4KB limit."
    return None


def process_variables(
    configuration: FunctionConfiguration,
    *,
    credentials: Credentials,
    endpoint_url: str,
    trust_store: Path | None,
    task_root: Path,
    layers: tuple[Path, ...],
    scratch: Path,
    log_stream: str,
    xray_daemon: str | None = None,
) -> dict[str, str]:
    """Return the whole environment of one process.

    `trust_store` holds the authorities that TLS clients of the function trust by default, `scratch` is what
    /tmp is on Lambda. The function's own variables win where Lambda lets them: the reserved ones it refuses.
    """
    libraries = [str(layer / "nodejs" / "node_modules") for layer in layers]
    given = {
        "PATH": ":".join(["/usr/local/bin", "/usr/bin", "/bin", *(str(layer / "bin") for layer in layers)]),
        "LD_LIBRARY_PATH": ":".join([f"{task_root}/lib", *(str(layer / "lib") for layer in layers)]),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        # what lets a client of AWS, and of databases here, work unchanged
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        **(_trust(trust_store) if trust_store else {}),
        **(_tracing(xray_daemon) if xray_daemon else {}),
        **({"NODE_PATH": ":".join(libraries)} if libraries else {}),
    }
    return (
        given | dict(configuration.variables) | _reserved(configuration, credentials, task_root, log_stream)
    )


def _trust(store: Path) -> dict[str, str]:
    """Python's OpenSSL reads the one, Node.js the other."""
    return {"SSL_CERT_FILE": str(store), "NODE_EXTRA_CA_CERTS": str(store)}


def _tracing(daemon: str) -> dict[str, str]:
    host, _, port = daemon.rpartition(":")
    return {
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": daemon,
        "_AWS_XRAY_DAEMON_ADDRESS": host,
        "_AWS_XRAY_DAEMON_PORT": port,
    }


def _reserved(
    configuration: FunctionConfiguration, credentials: Credentials, task_root: Path, log_stream: str
) -> dict[str, str]:
    return {
        "_HANDLER": configuration.handler,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "AWS_REGION": configuration.region,
        "AWS_DEFAULT_REGION": configuration.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": configuration.name,
        "AWS_LAMBDA_FUNCTION_VERSION": configuration.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": configuration.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "LAMBDA_TASK_ROOT": str(task_root),
        "LAMBDA_RUNTIME_DIR": str(Path(__file__).parent),
    }
