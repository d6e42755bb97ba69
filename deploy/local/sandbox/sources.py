"""Where the bytes of a task's pictures are: uploaded, on a connected file share, or in a cloud storage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl

from deploy.local.sandbox.store import Document, Store

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


class NotThere(Exception):
    """A file, or a whole storage, cannot be read."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Folders that stand for storage outside.

    Attributes:
        share: CVAT's connected file share.
        cloud: buckets, each a folder of its name; for cloud storages without an ``endpoint_url``.
    """

    share: Path | None = None
    cloud: Path | None = None


class Sources:
    """Finds the pictures of tasks."""

    def __init__(self, store: Store, roots: Roots) -> None:
        """Pictures of the tasks in ``store``."""
        self.store = store
        self.roots = roots

    def path(self, task: Document, name: str) -> Path:
        """The file of a picture; one in a bucket is fetched once and kept.

        Raises:
            NotThere: it cannot be read.
        """
        source = task.get("source") or {"storage": "local"}
        if source["storage"] == "local":
            return self.store.media(task["id"]) / name
        bucket = self.bucket(source["cloud_storage_id"])
        if isinstance(bucket, Path):
            return _inside(bucket, name)
        kept = self.store.media(task["id"]) / f".{hashlib.sha256(name.encode()).hexdigest()}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            bucket.fetch(name, kept)
        return kept

    def names(self, cloud_storage_id: int | None, given: list[str]) -> list[str]:
        """The pictures that ``server_files`` name, in the given order; a name that ends in ``/`` is a folder.

        Raises:
            NotThere: there is no such storage, or nothing of that name in it.
        """
        bucket = self.bucket(cloud_storage_id)
        found: list[str] = []
        for name in given:
            if name.endswith("/"):
                found += [n for n in sorted(_listed(bucket, name)) if PurePosixPath(n).suffix.lower() in PICTURES]
            elif PurePosixPath(name).suffix.lower() in PICTURES:
                found.append(name.lstrip("/"))
        return list(dict.fromkeys(found))

    def bucket(self, cloud_storage_id: int | None) -> Path | Bucket:
        """Where server files are: the folder of the file share or of a bucket, or a bucket behind an address.

        Raises:
            NotThere: nothing of that kind is connected.
        """
        if cloud_storage_id is None:
            if self.roots.share is None:
                raise NotThere("no file share is connected: start the sandbox with --share-root")
            return self.roots.share
        storage = self.store.get("cloudstorage", cloud_storage_id)
        if storage is None:
            raise NotThere(f"there is no cloud storage {cloud_storage_id}")
        facts = dict(parse_qsl(storage["specific_attributes"]))
        if "endpoint_url" in facts:
            return Bucket(storage, facts)
        if self.roots.cloud is None:
            raise NotThere("the cloud storage has no endpoint_url, and the sandbox no --cloud-root")
        return _inside(self.roots.cloud, storage["resource"])

    def status(self, cloud_storage_id: int) -> str:
        """Whether a cloud storage can be read, in CVAT's words."""
        try:
            bucket = self.bucket(cloud_storage_id)
            return bucket.status() if isinstance(bucket, Bucket) else "AVAILABLE" if bucket.is_dir() else "NOT_FOUND"
        except NotThere:
            return "NOT_FOUND"


class Bucket:
    """A bucket behind an S3 address."""

    def __init__(self, storage: Document, facts: dict[str, str]) -> None:
        """The bucket of a cloud storage; ``facts``: its ``specific_attributes``."""
        self.name = storage["resource"]
        self._storage = storage
        self._facts = facts

    def fetch(self, key: str, path: Path) -> None:
        """Copy an object into a file.

        Raises:
            NotThere: it cannot be read.
        """
        part = path.with_suffix(".part")
        with _reading(f"{self.name}/{key}"):
            self._client().download_file(self.name, key, str(part))
        part.rename(path)

    def listed(self, prefix: str) -> Iterator[str]:
        """Keys that begin with a prefix."""
        with _reading(f"{self.name}/{prefix}"):
            pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            yield from (item["Key"] for page in pages for item in page.get("Contents", []))

    def status(self) -> str:
        """Whether it can be read, in CVAT's words."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client().head_bucket(Bucket=self.name)
        except ClientError as error:
            return "FORBIDDEN" if error.response["ResponseMetadata"]["HTTPStatusCode"] == 403 else "NOT_FOUND"
        except BotoCoreError:
            return "NOT_FOUND"
        return "AVAILABLE"

    def _client(self) -> Any:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        more: dict[str, Any] = {
            "retries": {"max_attempts": 2},
            "connect_timeout": 5,
            "s3": {"addressing_style": "path"},
        }
        if self._storage["credentials_type"] == "ANONYMOUS_ACCESS":
            more["signature_version"] = UNSIGNED
        return boto3.client(
            "s3",
            endpoint_url=self._facts["endpoint_url"],
            region_name=self._facts.get("region", "us-east-1"),
            aws_access_key_id=self._storage["credentials"].get("key"),
            aws_secret_access_key=self._storage["credentials"].get("secret_key"),
            config=Config(**more),
        )


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn boto3's errors into ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise NotThere(f"{what} cannot be read: {error}") from error


def _listed(bucket: Path | Bucket, prefix: str) -> Iterator[str]:
    if isinstance(bucket, Bucket):
        yield from bucket.listed(prefix)
        return
    folder = _inside(bucket, prefix) if prefix.strip("/") else bucket
    yield from (path.relative_to(bucket).as_posix() for path in folder.rglob("*") if path.is_file())


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name.lstrip("/")).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise NotThere(f"{name} is not inside the storage")
    return path
