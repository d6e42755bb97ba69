"""A made release as training and evaluation read it: pictures with their outlines, split, and the taxa's order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from analytics.release import CHECKSUMS, RELEASE_JSON
from labels.formats.parquet import bytes_to_table
from labels.schema import Kind, Shape, table_to_shapes
from resources.object_store import MissingObjectError, ObjectStore
from resources.releases import ReleaseError, release_key

_IMAGES, _LABELS = "images.parquet", "labels.parquet"


@dataclass(frozen=True, slots=True)
class ReleasePicture:
    """A clean picture of a release.

    Attributes:
        quadrat: the fixed piece of ground, the same over the years; the picture's own id where it is not known.
        uri: key of the picture in the object store.
        shapes: reviewed outlines, in pixels of the picture.
    """

    image_id: str
    quadrat: str
    split: str
    uri: str
    width: int
    height: int
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class ReleaseData:
    """A release, read and found unchanged.

    Attributes:
        content_sha256: of all its files; names the frozen validation set.
        taxonomy: name of the taxonomy; empty in releases that do not state it.
        taxa: names of the classes, in index order.
    """

    name: str
    content_sha256: str
    taxonomy: str
    taxa: tuple[str, ...]
    licence: str
    pictures: tuple[ReleasePicture, ...]

    def split(self, name: str) -> list[ReleasePicture]:
        """The pictures of a split, by id."""
        return [picture for picture in self.pictures if picture.split == name]


def read_release(store: ObjectStore, name: str) -> ReleaseData:
    """A release from the store.

    Raises:
        ReleaseError: it has not been made, or its files are not the ones it was made with.
    """
    try:
        record = json.loads(store.get(release_key(name, RELEASE_JSON)))
        sums = store.get(release_key(name, CHECKSUMS))
        files = {path: store.get(release_key(name, path)) for path in (_IMAGES, _LABELS)}
    except MissingObjectError as error:
        raise ReleaseError(
            f"release {name!r} has not been made: ask for it with 'reefline release' ({error})"
        ) from error
    stated = {path: digest for digest, _, path in (line.partition("  ") for line in sums.decode().splitlines())}
    changed = [path for path, data in files.items() if hashlib.sha256(data).hexdigest() != stated.get(path)]
    if changed or record["content_sha256"] != hashlib.sha256(sums).hexdigest():
        raise ReleaseError(
            f"release {name!r}: {', '.join(changed) or CHECKSUMS} has changed since it was made: restore it"
        )
    images = bytes_to_table(files[_IMAGES], origin=_IMAGES).to_pylist()
    rows = table_to_shapes(bytes_to_table(files[_LABELS], origin=_LABELS))
    shapes = [shape for shape in rows if shape.kind in (Kind.POLYGON, Kind.MASK)]
    return ReleaseData(
        name,
        record["content_sha256"],
        str(record.get("taxonomy", "")).partition("@")[0],
        tuple(record["taxa"]),
        str(record.get("licence", "")),
        _pictures(images, shapes),
    )


def _pictures(images: Sequence[dict], shapes: Sequence[Shape]) -> tuple[ReleasePicture, ...]:
    by_image: dict[str, list[Shape]] = {}
    for shape in shapes:
        by_image.setdefault(shape.image_id, []).append(shape)
    return tuple(
        ReleasePicture(
            row["image_id"],
            f"{row['site']}/{row['quadrat']}" if row["site"] and row["quadrat"] else row["image_id"],
            row["split"],
            row["clean_uri"],
            row["width"],
            row["height"],
            tuple(by_image.get(row["image_id"], ())),
        )
        for row in images
    )
