# ruff: noqa: T201 - its log
"""Keeps a table's columns as the template says. Data are never dropped."""

import json
import os
from contextlib import closing

import boto3
import psycopg2
import pymysql


def on_event(event, context):
    """Answer the Provider framework."""
    print(f"{event['RequestType']} of the table")
    if event["RequestType"] == "Delete":
        return {}
    properties = event["ResourceProperties"]
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["SECRET_ARN"])
    login = json.loads(secret["SecretString"])
    with closing(connect(login)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS things (id int PRIMARY KEY)")
            cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'things'")
            there = {name for (name,) in cursor.fetchall()}
            for column in properties["Columns"].split(", "):
                if column.split()[0] not in there:
                    cursor.execute(f"ALTER TABLE things ADD COLUMN {column}")
            if properties["Broken"] == "true":
                cursor.execute("INSERT INTO things (id) VALUES (1), (1)")
        connection.commit()
    return {"PhysicalResourceId": "things", "Data": {"Columns": properties["Columns"]}}


def connect(login):
    """Log in by password, over TLS that is not verified: the proxy's authority is not at hand here."""
    given = {"host": os.environ["HOST"], "user": login["username"], "password": login["password"]}
    given |= {"database": login["dbname"], "connect_timeout": 10}
    if login["engine"] == "mysql":
        return pymysql.connect(**given, ssl={"verify_mode": "none"})
    return psycopg2.connect(**given, sslmode="require")
