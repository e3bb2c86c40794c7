"""Where moto answers with an HTTP 500 for what it does not know, and SDKs take that for a reason to retry."""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.rds.exceptions import DBClusterNotFoundError
from moto.rds.models import RDSBackend

_modify_db_cluster = RDSBackend.modify_db_cluster


def install() -> None:
    """Answer in the service's own form of an error, and at once. The last of the seams: it goes around."""
    answered_so_far = BaseResponse.call_action

    def answered(response: Any) -> Any:
        try:
            return answered_so_far(response)
        except NotImplementedError as error:
            return _refused(response, error)

    # moto raises NotImplementedError for an operation, or a part of one, through its web server
    BaseResponse.call_action = answered
    # moto takes every cluster for one that is there
    RDSBackend.modify_db_cluster = _modified


class NotImplementedHere(ServiceException):  # type: ignore[misc] # moto tells no types
    """What a service answers; of a module of ours, since moto takes a service's name from its own."""

    code = "UnsupportedOperation"


def _refused(response: Any, error: NotImplementedError) -> Any:
    refusal = ActionResult(NotImplementedHere(f"The local cloud: {error}"))
    status, headers, body = response.serialized(refusal)
    return status, {**headers, "status": str(status)}, body


def _modified(backend: Any, kwargs: dict[str, Any]) -> Any:
    name = kwargs["db_cluster_identifier"]
    if name not in backend.clusters:
        raise DBClusterNotFoundError(name)
    return _modify_db_cluster(backend, kwargs)
