"""All resources of an installation, made from its settings. Nothing connects before it is used."""

from __future__ import annotations

from inference.registry import ModelRegistry

from resources.clickhouse import ClickHouse
from resources.cvat import CvatClient
from resources.inbox import Inbox
from resources.notifier import Notifier
from resources.object_store import open_store
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables


def build_resources(settings: Settings) -> dict[str, object]:
    """Resources by the name under which assets, sensors and ops ask for them."""
    return {
        "settings": settings,
        "tables": BatchTables(open_store(settings.store)),
        "surveys": SurveyCatalog(settings.surveys_dir),
        "cvat": make_cvat(settings),
        "inbox": Inbox(settings.inbox),
        "clickhouse": ClickHouse(settings.clickhouse),
        "models": ModelRegistry(),
        "notifier": Notifier(settings.notify_url),
    }


def make_cvat(settings: Settings) -> CvatClient:
    """The CVAT client of an installation."""
    return CvatClient(
        settings.cvat_url,
        token=settings.cvat_token.get_secret_value() or None,
        username=settings.cvat_username or None,
        password=settings.cvat_password.get_secret_value() or None,
    )
