"""CloudFormation's custom-resource contract: a typed request in, a small answer or a readable reason out."""

from custom_resource.answer import CustomResourceFailed, explained, respond
from custom_resource.properties import Properties
from custom_resource.request import MalformedEvent, Request, RequestType

__all__ = [
    "CustomResourceFailed",
    "MalformedEvent",
    "Properties",
    "Request",
    "RequestType",
    "explained",
    "respond",
]
