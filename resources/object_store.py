"""The object store: one small interface over a local folder or S3.

Keys are ``/``-separated, relative, without ``..``. A write is whole or absent: temp name then rename locally, a single
PUT (or boto3's multipart, which completes atomically) on S3. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlparse


class StoreError(RuntimeError):
    """The store cannot be used; the message says why and what to do."""


class MissingObjectError(StoreError):
    """No object has this key."""


class ObjectStore(Protocol):
    """What every back end offers."""

    url: str

    def put(self, key: str, data: bytes) -> None:
        """Write or replace an object."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object that nobody else has written; ``False`` when it was there. Atomic between processes."""

    def get(self, key: str) -> bytes:
        """The bytes of an object.

        Raises:
            MissingObjectError: it does not exist.
        """

    def put_file(self, key: str, path: Path) -> None:
        """Write or replace an object with the content of a file of any size."""

    def get_file(self, key: str, path: Path) -> None:
        """Copy an object of any size to a file.

        Raises:
            MissingObjectError: it does not exist.
        """

    def exists(self, key: str) -> bool:
        """Whether an object has this key."""

    def delete(self, key: str) -> None:
        """Remove an object; nothing when there is none. Only for working data: pictures and tables are kept."""

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with ``prefix``, sorted."""

    def uri(self, key: str) -> str:
        """The address of an object, for people and manifests."""


def open_store(url: str) -> ObjectStore:
    """The store behind a URL: ``file:///folder`` or ``s3://bucket/prefix``. Connects on first use.

    Raises:
        StoreError: another kind of URL.
    """
    parts = urlparse(url)
    if parts.scheme == "file" and not parts.netloc:
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        return S3Store(parts.netloc, parts.path.strip("/"))
    raise StoreError(f"object store {url!r}: use file:///folder or s3://bucket/prefix")


def checked_key(key: str) -> str:
    """The key itself, if it is safe to use as a path below the store.

    Raises:
        StoreError: it is empty, absolute, or climbs out of the store.
    """
    path = PurePosixPath(key)
    if not key or path.is_absolute() or ".." in path.parts or "\x00" in key:
        raise StoreError(f"{key!r} cannot be a key of the object store")
    return key


class LocalStore:
    """A folder. Safe for many processes on one machine."""

    def __init__(self, root: Path) -> None:
        """Use ``root``; it is made on the first write."""
        self.root = root
        self.url = root.resolve().as_uri()

    def path(self, key: str) -> Path:
        """Where an object lies on disk."""
        return self.root / checked_key(key)

    def put(self, key: str, data: bytes) -> None:
        """Write or replace an object."""
        target = self.path(key)
        self._written(target, data).replace(target)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object that nobody else has written."""
        target = self.path(key)
        if target.exists():
            return False
        temporary = self._written(target, data)
        try:
            os.link(temporary, target)  # fails when another process was first, unlike rename
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        return True

    @staticmethod
    def _written(target: Path, data: bytes) -> Path:
        return LocalStore._filled(target, lambda file: file.write(data))

    @staticmethod
    def _filled(target: Path, fill: Callable[[IO[bytes]], object]) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            with temporary.open("wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            temporary.unlink(missing_ok=True)  # a full disk needs the room
            raise
        return temporary

    def put_file(self, key: str, path: Path) -> None:
        """Write or replace an object with the content of a file."""
        target = self.path(key)
        with path.open("rb") as source:
            self._filled(target, lambda file: shutil.copyfileobj(source, file, 1 << 20)).replace(target)

    def get_file(self, key: str, path: Path) -> None:
        """Copy an object to a file."""
        try:
            shutil.copyfile(self.path(key), path)
        except FileNotFoundError as error:
            raise MissingObjectError(f"{self.uri(key)} does not exist") from error

    def get(self, key: str) -> bytes:
        """The bytes of an object."""
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError as error:
            raise MissingObjectError(f"{self.uri(key)} does not exist") from error

    def exists(self, key: str) -> bool:
        """Whether an object has this key."""
        return self.path(key).is_file()

    def delete(self, key: str) -> None:
        """Remove an object; nothing when there is none."""
        self.path(key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with ``prefix``, sorted."""
        folder = self.root / prefix.rpartition("/")[0]
        found = []
        for path in folder.rglob("*") if folder.is_dir() else ():
            key = path.relative_to(self.root).as_posix()
            if path.is_file() and not path.name.endswith(".tmp") and key.startswith(prefix):
                found.append(key)
        yield from sorted(found)

    def uri(self, key: str) -> str:
        """The address of an object."""
        return f"{self.url}/{checked_key(key)}"


class S3Store:
    """A bucket (or a prefix of one) by boto3; credentials and endpoint come from the usual AWS settings."""

    def __init__(self, bucket: str, prefix: str = "", client: Any = None) -> None:
        """Use ``bucket``/``prefix``; ``client`` replaces the boto3 client (tests)."""
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = client

    @property
    def client(self) -> Any:
        """The boto3 client, made on first use."""
        if self._client is None:
            import boto3

            self._client = boto3.client("s3")
        return self._client

    def _key(self, key: str) -> str:
        return self.prefix + checked_key(key)

    def put(self, key: str, data: bytes) -> None:
        """Write or replace an object."""
        self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object that nobody else has written (conditional PUT)."""
        from botocore.exceptions import ClientError

        try:
            self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data, IfNoneMatch="*")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                return False
            raise
        return True

    def put_file(self, key: str, path: Path) -> None:
        """Write or replace an object with the content of a file (multipart when it is large)."""
        self.client.upload_file(str(path), self.bucket, self._key(key))

    def get_file(self, key: str, path: Path) -> None:
        """Copy an object to a file."""
        if not self.exists(key):
            raise MissingObjectError(f"{self.uri(key)} does not exist")
        self.client.download_file(self.bucket, self._key(key), str(path))

    def get(self, key: str) -> bytes:
        """The bytes of an object."""
        try:
            return self.client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read()
        except self.client.exceptions.NoSuchKey as error:
            raise MissingObjectError(f"{self.uri(key)} does not exist") from error

    def exists(self, key: str) -> bool:
        """Whether an object has this key."""
        from botocore.exceptions import ClientError

        try:
            self.client.head_object(Bucket=self.bucket, Key=self._key(key))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def delete(self, key: str) -> None:
        """Remove an object; nothing when there is none."""
        self.client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with ``prefix``, sorted."""
        pages = self.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
            for item in page.get("Contents", []):
                yield item["Key"].removeprefix(self.prefix)

    def uri(self, key: str) -> str:
        """The address of an object."""
        return f"s3://{self.bucket}/{self._key(key)}"

    def presigned(self, key: str, seconds: int) -> str:
        """An address by which anybody can read an object for some seconds."""
        asked = {"Bucket": self.bucket, "Key": self._key(key)}
        return str(self.client.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds))
