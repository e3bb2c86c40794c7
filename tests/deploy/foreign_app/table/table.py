# ruff: noqa: T201 - its log
"""Keeps a table's columns as the template says. Data are never dropped."""

import json
import os

import boto3
import psycopg2


def on_event(event, context):
    """Answer the Provider framework."""
    print(f"{event['RequestType']} of the table")
    if event["RequestType"] == "Delete":
        return {}
    properties = event["ResourceProperties"]
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["SECRET_ARN"])
    login = json.loads(secret["SecretString"])
    connection = psycopg2.connect(
        host=os.environ["HOST"],
        user=login["username"],
        password=login["password"],
        dbname=login["dbname"],
        sslmode="require",
        connect_timeout=10,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS things (id int PRIMARY KEY)")
        for column in properties["Columns"].split(", "):
            cursor.execute(f"ALTER TABLE things ADD COLUMN IF NOT EXISTS {column}")
        if properties["Broken"] == "true":
            cursor.execute("INSERT INTO things (id) VALUES (1), (1)")
    connection.close()
    return {"PhysicalResourceId": "things", "Data": {"Columns": properties["Columns"]}}
