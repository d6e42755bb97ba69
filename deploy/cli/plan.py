"""What a Compose installation consists of: its files, profiles, ports, and what runs get."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PROFILES = ("core", "cvat", "gpu", "analytics", "nuclio", "https")
OVERLAYS = {
    "external-postgres": "Dagster's and the inbox's tables in a PostgreSQL server of yours",
    "external-redis": "CVAT's queues in a Redis server of yours",
    "cvat-external-postgres": "CVAT's own tables in a PostgreSQL server of yours",
    "ldap": "CVAT's logins from Active Directory or FreeIPA",
    "email": "CVAT sends e-mail and asks new users to confirm their address",
    "s3": "the object store in S3 or a service that speaks it",
    "share": "photos from a mounted bucket (S3, Azure, Google), also visible in CVAT's file share",
    "proxy": "the way out leads through an HTTP proxy",
}
"""Overlays that may be asked for, beside the profiles that bring their own."""
NEEDS_CVAT = frozenset({"external-redis", "cvat-external-postgres", "ldap", "email"})
IN_CVAT = NEEDS_CVAT | {"share", "proxy"}
"""Overlays that change CVAT's services; ``fetch-cvat`` writes them."""
CVAT_VERSION = "v2.80.0"
IMAGE = "reefline:0.1.0"

S3_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3")
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
DAGSTER_VARIABLES = tuple(f"DAGSTER_PG_{part}" for part in ("HOST", "PORT", "DB", "USER", "PASSWORD"))
SETTINGS = (
    "HOME", "SURVEYS_DIR", "STORE_URL", "INBOX_URL", "CLICKHOUSE_URL", "CVAT_EVENTS_DATABASE", "EVENT_EMAILS",
    "EVENTS_KEEP_DAYS", "PRIVACY_KEY", "CVAT_URL", "CVAT_PUBLIC_URL", "CVAT_TOKEN", "CVAT_USERNAME",
    "CVAT_PASSWORD", "CVAT_PICTURES", "CVAT_S3_KEY", "CVAT_S3_SECRET", "CVAT_S3_ENDPOINT", "CVAT_S3_REGION",
    "CVAT_SHARE_PREFIX", "RECEIVER_URL", "WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS", "NOTIFY_URL", "DEVICE", "THREADS",
    "SHARES",
)  # fmt: skip
"""Settings that compose.yaml hands to the daemon, which hands them to runs."""


class PlanError(ValueError):
    """Choices that do not go together; the message says what to choose instead."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What somebody wants.

    Attributes:
        profiles: of :data:`PROFILES`; ``core`` is always among them.
        overlays: of :data:`OVERLAYS`.
        surveys: folder of the survey files on the host, absolute.
        photos: folder of the photos on the host, absolute.
        more_settings: names of further ``REEFLINE_`` settings in reefline.env.
    """

    profiles: frozenset[str]
    overlays: frozenset[str]
    surveys: str
    photos: str
    more_settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            PlanError: it does not.
        """
        if unknown := sorted(self.profiles - set(PROFILES)):
            raise PlanError(f"no profile {unknown[0]!r}: there are {', '.join(PROFILES)}")
        if unknown := sorted(self.overlays - set(OVERLAYS)):
            raise PlanError(f"no overlay {unknown[0]!r}: there are {', '.join(OVERLAYS)}")
        if (lonely := sorted(self.overlays & NEEDS_CVAT)) and "cvat" not in self.profiles:
            raise PlanError(f"{lonely[0]} changes CVAT: choose the profile cvat too")
        if "nuclio" in self.profiles and "cvat" not in self.profiles:
            raise PlanError("nuclio serves CVAT's AI tools: choose the profile cvat too")


def compose_files(choices: Choices) -> list[str]:
    """The files in force, in the order in which Compose merges them."""
    files = ["compose.yaml"]
    cvat = "cvat" in choices.profiles
    if cvat:
        files += ["cvat/docker-compose.yml"]
        if "nuclio" in choices.profiles:
            files += ["cvat/components/serverless/docker-compose.serverless.yml", "cvat/nuclio.yaml"]
        files += ["cvat/reefline.yaml", f"cvat/{'' if 'analytics' in choices.profiles else 'no-'}analytics.yaml"]
        files += ["overlays/cvat.yaml"]
    if "https" in choices.profiles:
        files += ["overlays/https.yaml", *(["overlays/https-cvat.yaml"] if cvat else [])]
    for name in OVERLAYS:
        if name in choices.overlays:
            files += [f"overlays/{name}.yaml"] if name not in NEEDS_CVAT else []
            files += [f"cvat/{name}.yaml"] if cvat and name in IN_CVAT else []
    return files


def run_context(choices: Choices) -> dict[str, Any]:
    """What Dagster's DockerRunLauncher gives every run: never Docker's socket."""
    names = [*DAGSTER_VARIABLES, *(f"REEFLINE_{name}" for name in SETTINGS), *choices.more_settings]
    names += S3_VARIABLES if "s3" in choices.overlays else ()
    names += PROXY_VARIABLES if "proxy" in choices.overlays else ()
    kwargs: dict[str, Any] = {
        "volumes": [
            "reefline_data:/data",
            "reefline_dagster:/opt/reefline/dagster/storage",
            f"{choices.surveys}:/surveys:ro",
            # A bucket that is mounted anew on the host is seen in running containers too.
            f"{choices.photos}:/photos:ro" + (",rslave" if "share" in choices.overlays else ""),
        ],
        "init": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "labels": {"reefline/role": "run"},
    }
    if "gpu" in choices.profiles:
        kwargs["device_requests"] = [{"driver": "nvidia", "count": -1, "capabilities": [["gpu"]]}]
        names += ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"]
    networks = ["reefline_core", *(["cvat_cvat"] if "cvat" in choices.profiles else [])]
    return {"docker": {"networks": networks, "env_vars": names, "container_kwargs": kwargs}}


def derived(choices: Choices) -> dict[str, str]:
    """Variables that follow from the choices alone; written anew by every ``init --update``."""
    gpu = "gpu" in choices.profiles
    return {
        "COMPOSE_PROJECT_NAME": "reefline",
        "COMPOSE_PATH_SEPARATOR": ":",
        "COMPOSE_FILE": ":".join(compose_files(choices)),
        "COMPOSE_PROFILES": ",".join(name for name in PROFILES if name in choices.profiles),
        "DEPLOY_OVERLAYS": ",".join(name for name in OVERLAYS if name in choices.overlays),
        "DEPLOY_VARIANT": "cuda" if gpu else "cpu",
        "DEPLOY_RUN_CONTEXT": json.dumps(run_context(choices), separators=(",", ":")),
    }


def ports(profiles: frozenset[str], env: Mapping[str, str]) -> dict[str, int]:
    """Ports that will be published on the host, by the variable that says so."""
    names = ["DEPLOY_DAGSTER_PORT", "DEPLOY_RECEIVER_PORT"]
    names += ["DEPLOY_GRAFANA_PORT"] if "analytics" in profiles else []
    names += ["DEPLOY_CVAT_PORT"] if "cvat" in profiles else []
    names += ["DEPLOY_NUCLIO_PORT"] if "nuclio" in profiles else []
    found = {name: int(env[name]) for name in names}
    return found | ({"http": 80, "https": 443} if "https" in profiles else {})
