"""Settings of one installation: from the environment (``REEFLINE_*``) or ``.env``, with defaults that work embedded.

What a survey wants is in its survey file (``labels.survey``); this is where the installation's things are.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "REEFLINE_"


class SettingsError(ValueError):
    """A setting is wrong; the message names it and says what is expected."""


class Settings(BaseSettings):
    """Everything that differs between two installations of the same code."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore")

    home: Path = Field(Path(".reefline"), description="Folder of everything the embedded back ends keep.")
    surveys_dir: Path = Field(Path("surveys"), description="Folder of the survey files, one YAML each.")
    store_url: str = Field("", description="Object store: file:///folder or s3://bucket/prefix. Default: HOME/store.")
    inbox_url: str = Field("", description="Inbox database, an SQLAlchemy URL. Default: SQLite in HOME.")
    dagster_url: str = Field("", description="Dagster's Postgres database, an SQLAlchemy URL. Default: SQLite in HOME.")
    clickhouse_url: str = Field("", description="http(s)://user:password@host:8123/db or chdb:///folder.")
    cvat_url: str = Field("", description="Address of CVAT, e.g. https://cvat.example.org.")
    cvat_public_url: str = Field("", description="CVAT as browsers reach it, for links; empty: REEFLINE_CVAT_URL.")
    cvat_token: SecretStr = Field(SecretStr(""), description="Access token of CVAT's service account.")
    cvat_username: str = Field("", description="User of the service account, when no token is given.")
    cvat_password: SecretStr = Field(SecretStr(""), description="Password of the service account.")
    cvat_database_url: str = Field(
        "",
        description="CVAT's own Postgres database, an SQLAlchemy URL; 'reefline backup' keeps it. Empty: not kept.",
    )
    cvat_pictures: Literal["auto", "upload", "cloud", "share"] = Field(
        "auto",
        description="How CVAT gets pictures: 'upload'; 'cloud' = it reads the S3 store by itself; 'share' = the store "
        "lies in its connected file share; 'auto' = 'cloud' with an S3 store and REEFLINE_CVAT_S3_KEY, else 'upload'.",
    )
    cvat_s3_key: SecretStr = Field(SecretStr(""), description="Access key with which CVAT reads the S3 store.")
    cvat_s3_secret: SecretStr = Field(SecretStr(""), description="Its secret; read rights are enough.")
    cvat_s3_endpoint: str = Field("", description="Address of the S3 service as CVAT sees it; empty: AWS.")
    cvat_s3_region: str = Field("", description="Region of the bucket; empty: the service's default.")
    cvat_share_prefix: str = Field("", description="Where the object store lies in CVAT's file share, e.g. reefline/.")
    receiver_url: str = Field("http://127.0.0.1:8765", description="Where CVAT reaches the webhook receiver.")
    receiver_inner_url: str = Field(
        "", description="Where our own checks reach the receiver, in containers; empty: REEFLINE_RECEIVER_URL."
    )
    webhook_secret: SecretStr = Field(SecretStr(""), description="Secret that CVAT signs deliveries with (<= 64).")
    webhook_secret_previous: SecretStr = Field(SecretStr(""), description="The old secret during a rotation.")
    notify_url: str = Field(
        "", description="URL that gets a JSON POST (Slack's form) for every notice; empty: log and e-mail only."
    )
    notify_routes: str = Field(
        "",
        description="Owners with an address of their own, e.g. team:labelling=https://...,team:vision=mailto:v@x.org.",
    )
    notify_email: str = Field("", description="Addresses that get every notice by e-mail, with commas between them.")
    smtp_url: SecretStr = Field(
        SecretStr(""), description="Mail server: smtp://user:password@host:587 (STARTTLS) or smtps://...:465."
    )
    smtp_from: str = Field("reefline@localhost", description="Sender of e-mails.")
    review_overdue_days: float = Field(
        7, gt=0, description="Days a review may wait for people before a notice is sent."
    )
    log_format: Literal["text", "json"] = Field("text", description="Logs for people, or one JSON object per line.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    disk_reserve_gb: float = Field(5, ge=0, description="Free space below which 'reefline doctor' warns, in GB.")
    grafana_url: str = Field("", description="Address of Grafana; empty: there is none.")
    nuclio_url: str = Field("", description="Address of Nuclio's dashboard; empty: there is none.")
    download_allow: str = Field(
        "", description="Hosts and networks of the own network from which models may be fetched, e.g. 10.1.0.0/16,nas."
    )
    backup_url: str = Field("", description="Where 'reefline backup' writes: file:///folder or s3://bucket/prefix.")
    backup_passphrase: SecretStr = Field(
        SecretStr(""), description="Encrypts secrets in a backup; without it they are left out."
    )
    sensor_interval_s: int = Field(15, ge=1, le=3600, description="Seconds between two looks at inbox and surveys.")
    reconcile_cron: str = Field("*/15 * * * *", description="When CVAT is compared with the inbox.")
    reconcile_grace_s: float = Field(
        60, ge=0, le=3600, description="Seconds an event may be on its way before a reconciliation counts it as lost."
    )
    analytics_cron: str = Field("*/15 * * * *", description="When the ClickHouse tables are refreshed.")
    health_cron: str = Field("7 * * * *", description="When the whole installation is looked at ('reefline doctor').")
    event_emails: Literal["keep", "hash", "drop"] = Field(
        "drop", description="E-mail addresses in CVAT's events: 'drop', 'hash' (needs REEFLINE_PRIVACY_KEY) or 'keep'."
    )
    privacy_key: SecretStr = Field(SecretStr(""), description="Key of the hashes that stand for e-mail addresses.")
    events_secret: SecretStr = Field(
        SecretStr(""), description="Secret that CVAT's Vector or logger sends to the event sink (bearer or password)."
    )
    events_pull: bool = Field(True, description="Whether events are pulled from CVAT's export at every refresh.")
    events_overlap_s: int = Field(
        3600, ge=0, le=30 * 86400, description="Seconds before the last pull that are read again, for late events."
    )
    cvat_events_database: str = Field(
        "", description="Database of CVAT's own events on the same ClickHouse, e.g. cvat; they are read from there."
    )
    events_keep_days: int = Field(
        0, ge=0, le=36500, description="Days that events of people are kept in ClickHouse; 0: for ever."
    )
    hour_cost: float = Field(0, ge=0, description="What an hour of an annotator costs, for cost and forecast.")
    threads: int = Field(0, ge=0, le=256, description="Threads per stage; 0 takes one per processor.")
    device: str = Field("auto", description="Where models run: auto, cpu, cuda:N, tensorrt:N or gpu:N (OpenVINO).")
    gpu_memory_share: float = Field(
        0.8, gt=0, le=1, description="Share of a card's memory that the models of one process may take."
    )
    shares: int = Field(
        1,
        ge=1,
        le=256,
        description="Workers that share the pictures of a batch in stages with models. At most as many as the pool "
        "'gpu' has slots run at once: dagster instance concurrency set gpu N.",
    )

    share_pods: str = Field(
        "",
        description="Kubernetes: each share of a batch runs in a pod of its own. JSON of Dagster's step_k8s_config, "
        "for example to ask for a card; {} for pods like the run's. Empty: processes of the run.",
    )

    @property
    def store(self) -> str:
        """URL of the object store, with the embedded default filled in."""
        return self.store_url or (self.home.resolve() / "store").as_uri()

    @property
    def inbox(self) -> str:
        """URL of the inbox database, with the embedded default filled in."""
        return with_driver(self.inbox_url) or f"sqlite:///{self.home.resolve() / 'inbox.db'}"

    @property
    def dagster(self) -> str:
        """URL of Dagster's Postgres database; empty where Dagster keeps SQLite files."""
        return with_driver(self.dagster_url)

    @property
    def cvat_database(self) -> str:
        """URL of CVAT's own Postgres database; empty where nobody has said it."""
        return with_driver(self.cvat_database_url)

    @property
    def receiver(self) -> str:
        """Where this installation's own checks reach the webhook receiver."""
        return self.receiver_inner_url or self.receiver_url

    @property
    def clickhouse(self) -> str:
        """URL of ClickHouse, with the embedded default filled in."""
        return self.clickhouse_url or f"chdb://{self.home.resolve() / 'clickhouse'}"

    @property
    def worker_threads(self) -> int:
        """Threads that one stage may use."""
        return self.threads or os.cpu_count() or 1


def with_driver(url: str) -> str:
    """A Postgres URL with the driver that is installed: SQLAlchemy 2.1 would take psycopg 3 for ``postgresql://``."""
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            return "postgresql+psycopg2://" + url.removeprefix(plain)
    return url


def secrets_of(settings: Settings) -> dict[str, str]:
    """Values that must not be shown, by the names of their settings: secrets, tokens, passwords in addresses."""
    found = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            found[name] = value.get_secret_value()
        elif name in ("notify_url", "notify_routes"):  # whoever knows such an address can write there
            found[name] = value
        elif name.endswith("_url") and isinstance(value, str) and (password := urlsplit(value).password):
            found[name] = unquote(password)
    return {name: value for name, value in found.items() if value}


WEBHOOK_PATH = "/cvat/webhook"


def webhook_url(settings: Settings) -> str:
    """Where CVAT's webhooks of this installation lead."""
    return settings.receiver_url.rstrip("/") + WEBHOOK_PATH


def load_settings(env_file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force.

    Args:
        env_file: read instead of ``./.env``.
        environ: looked at for misspelt names instead of the process environment (tests).

    Raises:
        SettingsError: a value is wrong, or a ``REEFLINE_`` variable has a name that does not exist.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in os.environ if environ is None else environ:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{name} is not a setting of reefline{hint}")
    if env_file is not None and not env_file.is_file():
        raise SettingsError(f"{env_file} does not exist: give the path of an env file")
    try:
        return Settings(_env_file=env_file) if env_file else Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg']}") from error
