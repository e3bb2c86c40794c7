"""Secrets Manager's event to a step of the rotation."""

from __future__ import annotations

import os
from collections.abc import Mapping

import boto3
from aws_lambda_powertools import Logger

from aurora.credentials import PATIENCE
from aurora.deadline import Deadline, LambdaContext
from aurora.environment import DatabaseEnvironment
from rotate_secret.admin_database import AdminDatabase
from rotate_secret.rotation import RotationRefused, RotationRequest, rotate

RESERVE_SECONDS = 5.0  # to report a database that did not answer in time

logger = Logger(service="rotate_secret")


def on_event(event: Mapping[str, object], context: LambdaContext) -> None:
    """Take the step that Secrets Manager asks for, or raise: it tries the same rotation again later."""
    request = RotationRequest.from_event(event)
    environment = DatabaseEnvironment.from_environment(os.environ)
    if environment.admin_secret_arn is None:
        raise RotationRefused("ADMIN_SECRET_ARN is not set: this function was not given the admin secret")
    rotate(
        request,
        secrets=boto3.client("secretsmanager", region_name=environment.region, config=PATIENCE),
        database=AdminDatabase(environment, Deadline.of_lambda(context, reserve_seconds=RESERVE_SECONDS)),
        secret_arn=environment.admin_secret_arn,
    )
    logger.info("rotation step taken", step=request.step.value, version=request.version)
