"""All resources of an installation, made from its settings. Nothing connects before it is used."""

from __future__ import annotations

from urllib.parse import urlparse

from inference.engines import set_default_device, set_memory_share
from resources.audit import Audit
from resources.clickhouse import ClickHouse
from resources.cvat import CvatClient, StoredPictures
from resources.cvat.declared import DeclaredStorage
from resources.downloads import Downloader, allowance
from resources.inbox import Inbox
from resources.models import InstalledModels
from resources.notifier import Notifier, parse_routes
from resources.object_store import ObjectStore, open_store
from resources.settings import Settings, SettingsError
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables


def build_resources(settings: Settings) -> dict[str, object]:
    """Resources by the name under which assets, sensors and ops ask for them."""
    store, inbox = open_store(settings.store), Inbox(settings.inbox)
    audit = Audit(inbox)
    set_default_device(settings.device)
    set_memory_share(settings.gpu_memory_share)
    return {
        "settings": settings,
        "tables": BatchTables(store),
        "surveys": SurveyCatalog(settings.surveys_dir),
        "cvat": make_cvat(settings, audit),
        "inbox": inbox,
        "audit": audit,
        "clickhouse": ClickHouse(settings.clickhouse),
        "models": make_models(settings, store),
        "notifier": make_notifier(settings),
    }


def make_notifier(settings: Settings) -> Notifier:
    """What tells people, at the installation's addresses.

    Raises:
        SettingsError: an address is none.
    """
    emails = [address.strip() for address in settings.notify_email.split(",") if address.strip()]
    try:
        return Notifier(
            settings.notify_url,
            routes=parse_routes(settings.notify_routes),
            emails=emails,
            smtp_url=settings.smtp_url.get_secret_value(),
            sender=settings.smtp_from,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error


def make_models(settings: Settings, store: ObjectStore) -> InstalledModels:
    """The model registry of an installation.

    Raises:
        SettingsError: what may be fetched from the own network is not said rightly.
    """
    try:
        return InstalledModels(store, downloader=Downloader(allow=allowance(settings.download_allow)))
    except ValueError as error:
        raise SettingsError(f"REEFLINE_DOWNLOAD_ALLOW: {error}") from error


def make_cvat(settings: Settings, audit: Audit | None = None) -> CvatClient:
    """The CVAT client of an installation; with ``audit`` every act is written down."""
    cvat = CvatClient(
        settings.cvat_url,
        token=settings.cvat_token.get_secret_value() or None,
        username=settings.cvat_username or None,
        password=settings.cvat_password.get_secret_value() or None,
        stored=_stored_pictures(settings),
        public_url=settings.cvat_public_url,
    )
    if audit is not None:
        cvat.session.acted = audit.requested
    return cvat


STORAGE_NAME = "reefline"
"""Display name of the cloud storage in CVAT."""


def declared_storage(settings: Settings) -> DeclaredStorage | None:
    """The bucket that CVAT should read pictures from by itself, ``None`` when pictures come another way.

    Raises:
        SettingsError: it should, but cannot.
    """
    bucket = urlparse(settings.store).netloc if settings.store.startswith("s3://") else ""
    key, secret = settings.cvat_s3_key.get_secret_value(), settings.cvat_s3_secret.get_secret_value()
    if settings.cvat_pictures == "cloud" and not bucket:
        raise SettingsError("REEFLINE_CVAT_PICTURES=cloud needs an S3 store: set REEFLINE_STORE_URL, or use 'upload'")
    if settings.cvat_pictures == "cloud" and not (key and secret):
        raise SettingsError("REEFLINE_CVAT_PICTURES=cloud: set REEFLINE_CVAT_S3_KEY and REEFLINE_CVAT_S3_SECRET too")
    if settings.cvat_pictures in ("upload", "share") or not (bucket and key and secret):
        return None
    return DeclaredStorage(
        STORAGE_NAME, bucket, key, secret, settings.cvat_s3_endpoint or None, settings.cvat_s3_region or None
    )


def _stored_pictures(settings: Settings) -> StoredPictures | None:
    if settings.cvat_pictures == "share":
        return StoredPictures(prefix=_folder(settings.cvat_share_prefix))
    if declared_storage(settings) is None:
        return None
    return StoredPictures(STORAGE_NAME, _folder(urlparse(settings.store).path.strip("/")))


def _folder(prefix: str) -> str:
    return prefix.rstrip("/") + "/" if prefix else ""
