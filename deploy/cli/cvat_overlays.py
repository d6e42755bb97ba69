"""What an option changes in CVAT: written for every service of its files, so that a new worker is not forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.cli.compose_model import Override, Reset

SERVER_IMAGE = "cvat/server"
SETTINGS_FILE = "./settings/cvat_settings.py:/home/django/reefline_settings.py:ro"
SETTINGS_MODULE = {"DJANGO_SETTINGS_MODULE": "reefline_settings"}
"""Django reads this module instead of ``cvat.settings.production``; it begins by importing that one."""


def backends(upstream: Mapping[str, Any]) -> list[str]:
    """Services that run CVAT's server image: the server and its workers."""
    return [
        name for name, service in upstream["services"].items() if str(service.get("image", "")).startswith(SERVER_IMAGE)
    ]


def overlays(upstream: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Overlay name -> what it changes."""
    names = backends(upstream)

    def everywhere(change: Mapping[str, Any]) -> dict[str, Any]:
        return {"services": {name: dict(change) for name in names}}

    return {
        "analytics": _analytics(upstream, names),
        "no-analytics": _no_analytics(upstream, names),
        "external-redis": _external_redis(upstream, everywhere),
        "cvat-external-postgres": _external_postgres(upstream, everywhere),
        "ldap": everywhere(_django({name: f"${{{name}:-}}" for name in LDAP})),
        "email": everywhere(_django({name: f"${{{name}:-}}" for name in EMAIL})),
        "share": everywhere({"volumes": ["${DEPLOY_PHOTOS_DIR}:/home/django/share/photos:ro,rslave"]}),
        "proxy": everywhere(
            {"environment": {name.lower(): f"${{{name}:-}}" for name in ("HTTP_PROXY", "HTTPS_PROXY")}}
        ),
    }


LDAP = (
    "LDAP_KIND", "LDAP_URI", "LDAP_BIND_DN", "LDAP_BIND_PASSWORD", "LDAP_USER_BASE", "LDAP_GROUP_BASE",
    "LDAP_ADMIN_GROUP", "LDAP_USER_GROUP",
)  # fmt: skip
EMAIL = ("EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "EMAIL_FROM")


def _django(environment: Mapping[str, str]) -> dict[str, Any]:
    return {"environment": SETTINGS_MODULE | dict(environment), "volumes": [SETTINGS_FILE]}


def _analytics(upstream: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """CVAT's events go to reefline's Vector and ClickHouse, with a user of their own.

    The page "Analytics" in CVAT's menu stays off: it leads to a Grafana without login, and ours has one.
    """
    clickhouse = {
        "CLICKHOUSE_HOST": "clickhouse",
        "CLICKHOUSE_PORT": "8123",
        "CLICKHOUSE_DB": "cvat",
        "CLICKHOUSE_USER": "reefline_cvat",
        "CLICKHOUSE_PASSWORD": "${DEPLOY_CLICKHOUSE_CVAT_PASSWORD:?run 'reefline deploy init'}",
    }
    services: dict[str, Any] = {}
    for name in names:
        asks = any(key.startswith("CLICKHOUSE_") for key in upstream["services"][name].get("environment", {}))
        environment = {"CVAT_ANALYTICS": "0", "DJANGO_LOG_SERVER_HOST": "vector", "DJANGO_LOG_SERVER_PORT": "8282"}
        services[name] = {
            "environment": environment | (clickhouse if asks else {}),
            "networks": {"analytics": {}},
            "depends_on": {"clickhouse-setup": {"condition": "service_completed_successfully"}},
        }
    return {"services": services}


def _no_analytics(upstream: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """CVAT without events: as its own chart is with ``analytics.enabled: false``."""
    services: dict[str, Any] = {}
    for name in names:
        known = upstream["services"][name].get("environment", {})
        off: dict[str, Any] = {key: Reset() for key in known if key.startswith(("CLICKHOUSE_", "DJANGO_LOG_SERVER_"))}
        services[name] = {"environment": off | {"CVAT_ANALYTICS": "0"}}
    return {"services": services}


def _external_redis(upstream: Mapping[str, Any], everywhere: Any) -> dict[str, Any]:
    variables = ("CVAT_REDIS_INMEM_HOST", "CVAT_REDIS_INMEM_PORT", "CVAT_REDIS_INMEM_PASSWORD")
    change = {"environment": {name: f"${{{name}:-}}" for name in variables}}
    return _without(upstream, everywhere(change), "cvat_redis_inmem")


def _external_postgres(upstream: Mapping[str, Any], everywhere: Any) -> dict[str, Any]:
    variables = ("HOST", "PORT", "DBNAME", "USER", "PASSWORD")
    change = {"environment": {f"CVAT_POSTGRES_{name}": f"${{CVAT_POSTGRES_{name}:-}}" for name in variables}}
    return _without(upstream, everywhere(change), "cvat_db")


def _without(upstream: Mapping[str, Any], made: dict[str, Any], service: str) -> dict[str, Any]:
    """The same, with a service of upstream's that does not start, and nobody waiting for it."""
    for name, other in upstream["services"].items():
        if service in other.get("depends_on", {}):
            waiting = {service: {"condition": "service_started", "required": False}}
            made["services"].setdefault(name, {})["depends_on"] = waiting
    made["services"][service] = {"profiles": Override(["never"])}
    return made
