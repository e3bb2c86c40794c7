"""The configuration files of a local server: what is ours, what may be changed, who may enter."""

from __future__ import annotations

from collections.abc import Mapping

SUPERUSER = "rdsadmin"

# Ours whatever the parameter groups say.
OURS = {
    "listen_addresses": "127.0.0.1",
    "logging_collector": "off",
    "log_destination": "stderr",
    "max_wal_senders": "16",
    "wal_keep_size": "1GB",  # what a reader may lag behind; slots would keep a removed reader's WAL forever
    "hot_standby": "on",
    "hot_standby_feedback": "on",
    "wal_retrieve_retry_interval": "100ms",  # a reader that found its writer dead would wait for 5 s
    "password_encryption": "scram-sha-256",
}

# A laptop's database is rebuilt from its template, so nothing waits for the disk: a commit survives the death
# of the server, not that of the machine.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}

_DEFAULTS = {"max_connections": "300", "shared_buffers": "128MB", "wal_level": "replica", "timezone": "UTC"}

ACCESS_RULES = f"""\
local all         all                       trust
local replication {SUPERUSER}                  trust
host  all         {SUPERUSER} 127.0.0.1/32     reject
host  all         all      127.0.0.1/32     scram-sha-256
"""


def configuration(chosen: Mapping[str, str], own: Mapping[str, str]) -> str:
    """postgresql.conf: defaults, under what was chosen, under what all servers and this one need."""
    settings = {**_DEFAULTS, **chosen, **OURS, **own}
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
