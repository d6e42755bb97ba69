"""Survey files on disk, and the photos they point to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlparse

from labels.survey import SurveyConfig, SurveyError, parse_batch_key, parse_survey

READY_MARKER = "_READY"
"""A file of this name in the photo folder says that the upload is complete."""


class SurveyCatalog:
    """The survey files of one folder. Read anew at every call: people edit them while the system runs."""

    def __init__(self, folder: Path) -> None:
        """Look for ``*.yaml`` in ``folder``."""
        self.folder = folder

    def paths(self) -> list[Path]:
        """The survey files, sorted by name."""
        return sorted([*self.folder.glob("*.yaml"), *self.folder.glob("*.yml")])

    def load(self, path: Path) -> SurveyConfig:
        """One survey file.

        Raises:
            SurveyError: it cannot be read or is wrong; the message gives file, line and field.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SurveyError(f"{path}: cannot be read: {error}") from error
        return parse_survey(text, str(path))

    def all(self) -> tuple[list[SurveyConfig], list[str]]:
        """The surveys that can be read, and for each other file what is wrong with it."""
        surveys: list[SurveyConfig] = []
        problems: list[str] = []
        for path in self.paths():
            try:
                survey = self.load(path)
            except SurveyError as error:
                problems.append(str(error))
                continue
            if any(other.name == survey.name for other in surveys):
                problems.append(f"{path}: the name {survey.name!r} is taken by another survey file")
            else:
                surveys.append(survey)
        return surveys, problems

    def get(self, name: str) -> SurveyConfig:
        """The survey of this name.

        Raises:
            SurveyError: no readable survey file has it.
        """
        surveys, problems = self.all()
        for survey in surveys:
            if survey.name == name:
                return survey
        known = ", ".join(s.name for s in surveys) or "none"
        raise SurveyError("\n".join([f"no survey named {name!r} in {self.folder} (found: {known})", *problems]))

    def of_batch(self, batch: str) -> SurveyConfig:
        """The survey that a batch belongs to."""
        return self.get(parse_batch_key(batch)[0])

    def photos(self, survey: SurveyConfig) -> PhotoSource:
        """Where the photos of a survey lie. A relative folder is relative to the folder of the survey files."""
        folder = str(survey.photos.folder)
        if folder.startswith("s3://"):
            return S3Photos(folder)
        return FolderPhotos((self.folder / Path(folder).expanduser()).resolve())


@dataclass(frozen=True, slots=True)
class Photo:
    """A file as offered: path below the photo folder, size in bytes, and a stamp that changes when it is rewritten."""

    path: str
    size: int
    stamp: str
    modified: float


class PhotoSource(Protocol):
    """Where photos come from."""

    def list(self) -> list[Photo]:
        """All files, sorted by path, without hidden ones and the marker."""

    def ready_marker(self) -> bool:
        """Whether the upload has been marked complete."""

    def read(self, path: str) -> bytes:
        """The bytes of one file.

        Raises:
            OSError: it cannot be read.
        """


class FolderPhotos:
    """A folder on this machine (or mounted)."""

    def __init__(self, root: Path) -> None:
        """Look below ``root``."""
        self.root = root

    def list(self) -> list[Photo]:
        """All files below the folder."""
        photos = []
        for path in self.root.rglob("*"):
            relative = path.relative_to(self.root)
            hidden = any(part.startswith(".") for part in relative.parts)
            if hidden or relative.name == READY_MARKER or not path.is_file():
                continue
            status = path.stat()
            photos.append(Photo(relative.as_posix(), status.st_size, str(status.st_mtime_ns), status.st_mtime))
        return sorted(photos, key=lambda p: p.path)

    def ready_marker(self) -> bool:
        """Whether ``_READY`` lies in the folder."""
        return (self.root / READY_MARKER).exists()

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        return (self.root / path).read_bytes()


class S3Photos:
    """A bucket or prefix of one."""

    def __init__(self, url: str, client: Any = None) -> None:
        """Look below ``s3://bucket/prefix``; ``client`` replaces the boto3 client (tests)."""
        parts = urlparse(url)
        self.bucket = parts.netloc
        self.prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
        self._client = client

    @property
    def client(self) -> Any:
        """The boto3 client, made on first use."""
        if self._client is None:
            import boto3

            self._client = boto3.client("s3")
        return self._client

    def list(self) -> list[Photo]:
        """All objects below the prefix."""
        photos = []
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix):
            for item in page.get("Contents", []):
                path = item["Key"].removeprefix(self.prefix)
                hidden = any(part.startswith(".") for part in path.split("/"))
                if path and not path.endswith("/") and not hidden and path != READY_MARKER:
                    photos.append(Photo(path, item["Size"], item["ETag"], item["LastModified"].timestamp()))
        return sorted(photos, key=lambda p: p.path)

    def ready_marker(self) -> bool:
        """Whether ``_READY`` lies below the prefix."""
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix + READY_MARKER, MaxKeys=1)
        return any(item["Key"] == self.prefix + READY_MARKER for item in found.get("Contents", []))

    def read(self, path: str) -> bytes:
        """The bytes of one object."""
        from botocore.exceptions import ClientError

        try:
            return self.client.get_object(Bucket=self.bucket, Key=self.prefix + path)["Body"].read()
        except ClientError as error:
            raise FileNotFoundError(f"s3://{self.bucket}/{self.prefix}{path}: {error}") from error
