"""``.env``: its names with what they mean, the generated secrets, reading and writing it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

SECRET_BYTES = 24
"""192 bits: out of reach of guessing, whatever hash a file keeps of it."""


def new_secret() -> str:
    """A random password of letters, digits, ``-`` and ``_``, which needs no quoting in URLs, files or shells."""
    return secrets.token_urlsafe(SECRET_BYTES)


SECRETS = {
    "DEPLOY_PG_ADMIN_PASSWORD": "PostgreSQL: its administrator, used at the first start only",
    "DEPLOY_PG_DAGSTER_PASSWORD": "PostgreSQL: owner of Dagster's tables",
    "DEPLOY_PG_INBOX_PASSWORD": "PostgreSQL: owner of the inbox",
    "DEPLOY_PG_RECEIVER_PASSWORD": "PostgreSQL: adds deliveries to the inbox",
    "DEPLOY_DAGSTER_LOGIN_PASSWORD": "the Dagster page, user 'reefline'; its hash is in secrets/dagster.htpasswd",
    "DEPLOY_GRAFANA_PASSWORD": "Grafana, user 'admin' (at its first start; change it there)",
    "DEPLOY_CLICKHOUSE_ADMIN_PASSWORD": "ClickHouse: sets up databases",
    "DEPLOY_CLICKHOUSE_REEFLINE_PASSWORD": "ClickHouse: reefline's tables",
    "DEPLOY_CLICKHOUSE_CVAT_PASSWORD": "ClickHouse: writes CVAT's events",
    "DEPLOY_CLICKHOUSE_GRAFANA_PASSWORD": "ClickHouse: reads",
    "REEFLINE_PRIVACY_KEY": "key of the hashes that stand for people's addresses",
    "REEFLINE_WEBHOOK_SECRET": "CVAT signs its deliveries with it",
}
"""Generated once, with what each opens."""

DEFAULTS = {
    "DEPLOY_BIND": (
        "127.0.0.1",
        "address on which Dagster, Grafana and CVAT are published; 127.0.0.1: this machine only",
    ),
    "DEPLOY_DAGSTER_PORT": ("3000", ""),
    "DEPLOY_GRAFANA_PORT": ("3001", ""),
    "DEPLOY_CVAT_PORT": ("8080", ""),
    "DEPLOY_NUCLIO_PORT": ("8070", ""),
    "DEPLOY_RECEIVER_BIND": ("127.0.0.1", "address on which the receiver is published, for a CVAT outside this file"),
    "DEPLOY_RECEIVER_PORT": ("8765", ""),
    "DEPLOY_POOLS": ("gpu=1 cvat_api=2 clickhouse=2", "how much may run at once: pool=slots"),
    "DEPLOY_PG_HOST": ("postgres", "with the overlay external-postgres: your server"),
    "DEPLOY_PG_PORT": ("5432", ""),
    "DEPLOY_PYTHON_IMAGE": (
        "docker.io/library/python:3.11.15-slim-bookworm",
        "base of our images; 'reefline deploy pin'",
    ),
    "DEPLOY_BUILD_IMAGE": (
        "docker.io/library/python:3.11.15-bookworm",
        "the same with a C compiler, while they are built",
    ),
    "DEPLOY_POSTGRES_IMAGE": ("docker.io/library/postgres:17.10-bookworm", ""),
    "DEPLOY_GATEWAY_IMAGE": ("docker.io/library/traefik:v3.7.13", ""),
    "DEPLOY_CLICKHOUSE_IMAGE": ("docker.io/clickhouse/clickhouse-server:26.3.17.4", ""),
    "DEPLOY_VECTOR_IMAGE": ("docker.io/timberio/vector:0.57.0-alpine", ""),
    "DEPLOY_GRAFANA_IMAGE": ("docker.io/grafana/grafana:13.2.3", ""),
    "DEPLOY_GRAFANA_CLICKHOUSE_PLUGIN": ("4.20.0", "Grafana's data source, fetched at its start"),
    "REEFLINE_STORE_URL": ("file:///data/store", "the object store; s3://bucket/prefix with the overlay s3"),
    "REEFLINE_CVAT_PUBLIC_URL": ("", "CVAT as people's browsers reach it, for links"),
    "REEFLINE_CVAT_TOKEN": ("", "access token of CVAT's service account, or:"),
    "REEFLINE_CVAT_USERNAME": ("", ""),
    "REEFLINE_CVAT_PASSWORD": ("", ""),
    "REEFLINE_CVAT_DATABASE_URL": ("", "CVAT's own Postgres database, postgresql://...; 'reefline backup' keeps it"),
    "REEFLINE_CVAT_PICTURES": ("auto", ""),
    "REEFLINE_CVAT_SHARE_PREFIX": ("", ""),
    "REEFLINE_CLICKHOUSE_URL": ("", ""),
    "REEFLINE_WEBHOOK_SECRET_PREVIOUS": ("", "the old secret while it is being changed"),
    "REEFLINE_NOTIFY_URL": ("", "gets a JSON POST for every failed run"),
    "REEFLINE_CVAT_EVENTS_DATABASE": ("", "database of CVAT's events on the same ClickHouse"),
    "REEFLINE_DEVICE": ("auto", ""),
    "REEFLINE_SHARES": ("1", ""),
}
"""Variables with a usual value, and a remark where the name does not say it all."""

OVERLAY_VARIABLES = {
    "https": {
        "DEPLOY_ACME_EMAIL": "address that Let's Encrypt writes to",
        "DEPLOY_DAGSTER_HOST": "name of the Dagster page, e.g. dagster.reef.example.org",
        "DEPLOY_GRAFANA_HOST": "name of Grafana",
        "DEPLOY_RECEIVER_HOST": "name of the webhook receiver, for a CVAT outside this file",
    },
    "s3": {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_DEFAULT_REGION": "",
        "AWS_ENDPOINT_URL_S3": "empty for AWS itself, else https://...",
    },
    "external-redis": {
        "CVAT_REDIS_INMEM_HOST": "",
        "CVAT_REDIS_INMEM_PORT": "6379",
        "CVAT_REDIS_INMEM_PASSWORD": "",
    },
    "cvat-external-postgres": {
        "CVAT_POSTGRES_HOST": "",
        "CVAT_POSTGRES_PORT": "5432",
        "CVAT_POSTGRES_DBNAME": "cvat",
        "CVAT_POSTGRES_USER": "",
        "CVAT_POSTGRES_PASSWORD": "",
    },
    "ldap": {
        "LDAP_KIND": "active-directory or freeipa",
        "LDAP_URI": "ldaps://ldap.example.org",
        "LDAP_BIND_DN": "account that may look users up",
        "LDAP_BIND_PASSWORD": "",
        "LDAP_USER_BASE": "where users are, e.g. ou=people,dc=example,dc=org",
        "LDAP_GROUP_BASE": "where groups are",
        "LDAP_ADMIN_GROUP": "full name of the group of CVAT's administrators",
        "LDAP_USER_GROUP": "full name of the group that may use CVAT",
    },
    "email": {
        "EMAIL_HOST": "mail server",
        "EMAIL_PORT": "587",
        "EMAIL_HOST_USER": "",
        "EMAIL_HOST_PASSWORD": "",
        "EMAIL_FROM": "sender, e.g. cvat@example.org",
    },
    "proxy": {"HTTP_PROXY": "http://proxy.example.org:3128", "HTTPS_PROXY": "", "NO_PROXY": ""},
}
"""What an overlay wants to know; written empty (or with the value given here), for a person to fill in."""
VALUES = re.compile(r"^[0-9]+$|^cvat$")


def read(path: Path) -> dict[str, str]:
    """Variables of an env file; nothing when it does not exist."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        name, sign, value = line.partition("=")
        if sign and not line.lstrip().startswith("#"):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] == "'"
            found[name.strip()] = value[1:-1] if quoted else value
    return found


def render(sections: Mapping[str, Mapping[str, str]], remarks: Mapping[str, str]) -> str:
    """The text of an env file: titled sections, each variable under its remark. Values that need it are quoted."""
    lines = ["# Made by 'reefline deploy init'. Holds passwords: readable by its owner only, kept out of git.", ""]
    for title, values in sections.items():
        lines.append(f"# --- {title}")
        for name, value in values.items():
            if remarks.get(name):
                lines.append(f"# {remarks[name]}")
            lines.append(f"{name}={quoted(value)}")
        lines.append("")
    return "\n".join(lines)


def quoted(value: str) -> str:
    """A value as Compose reads it back unchanged: single quotes keep ``$`` and ``#`` as they are."""
    return value if re.fullmatch(r"[A-Za-z0-9_./:@,+=-]*", value) else f"'{value}'"


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file that others may not read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def htpasswd(user: str, password: str) -> str:
    """One line of a password file. SHA-1 does for 192 random bits; for your own choice use bcrypt."""
    digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()  # noqa: S324 - a format of htpasswd
    return f"{user}:{{SHA}}{digest}\n"


def sha256(text: str) -> str:
    """Hex digest, as ClickHouse's users file wants it."""
    return hashlib.sha256(text.encode()).hexdigest()


def secrets_for(known: Mapping[str, str], make: Callable[[], str] = new_secret) -> dict[str, str]:
    """Every secret: the known one, else a new one."""
    return {name: known.get(name) or make() for name in SECRETS}


def asked_by(overlays: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """Variables of overlays, with what is known of them."""
    found = {}
    for overlay in overlays:
        for name, hint in OVERLAY_VARIABLES.get(overlay, {}).items():
            found[name] = known.get(name, hint if VALUES.match(hint) else "")
    return found
