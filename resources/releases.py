"""Releases in the store: what a person has asked for, the finished files, and the parts of those being made.

``releases/requests/<name>.json`` freezes batches and options under a version; ``releases/parts/<name>/`` holds what an
interrupted release goes on with; ``releases/made/<name>/release.json`` is the commit point: readers go by it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from labels.survey import parse_batch_key
from resources.object_store import MissingObjectError, ObjectStore

NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}")
COMMIT = "release.json"
SUMS = "checksums.sha256"
TABLES = ("images.parquet", "labels.parquet")


class ReleaseError(ValueError):
    """The release cannot be asked for or read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A frozen list of batches, and what is made of them.

    Attributes:
        name: version, e.g. ``moorea-2026.11.0``; lower case, digits, ``.`` and ``-``.
        batches: sorted batch keys.
        reason: what it is for, in the words of who asked.
        override: why batches below their survey's thresholds are in it all the same; empty = such batches are refused.
        formats: beside Parquet; empty = those of the surveys.
        taxa: only these; empty = all.
        by: ``person`` = only pictures a person has answered for; empty = all.
        splits: ``quadrat`` or ``subset``; empty = as the surveys say.
        previous: the release to tell the changes from.
        asked_at: when it was asked for, ISO 8601; not part of the release.
    """

    name: str
    batches: tuple[str, ...]
    reason: str = ""
    override: str = ""
    formats: tuple[str, ...] = ()
    taxa: tuple[str, ...] = ()
    by: str = ""
    splits: str = ""
    previous: str | None = None
    asked_at: str = ""

    @property
    def surveys(self) -> tuple[str, ...]:
        """Names of the surveys of its batches, sorted."""
        return tuple(sorted({parse_batch_key(batch)[0] for batch in self.batches}))


def ask_for_release(
    store: ObjectStore, name: str, batches: Sequence[str], reason: str = "", override: str = "", **options: object
) -> ReleaseRequest:
    """Freeze a list of batches under a name.

    Asked again before it is made, the same release is tried once more: after a full disk, or with the override that it
    was refused for. Asked again afterwards, nothing changes.

    Args:
        options: further fields of :class:`ReleaseRequest`. Without ``previous``, the release of the same surveys that
            was asked for last is the one to tell the changes from.

    Raises:
        ReleaseError: the name is not usable, taken by another list or other options, or the list is empty, or the
            previous release does not exist.
    """
    if not NAME.fullmatch(name):
        raise ReleaseError(f"release name {name!r}: use lower-case letters, digits, '.' and '-', e.g. moorea-2026.11.0")
    if not batches:
        raise ReleaseError("a release needs at least one finished batch: see 'reefline status'")
    frozen = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items() if value}
    request = ReleaseRequest(name, tuple(sorted(set(batches))), reason, override.strip(), **frozen)  # type: ignore[arg-type]
    if request.previous and not is_made(store, request.previous):
        raise ReleaseError(f"there is no finished release {request.previous!r} to tell the changes from")
    before = request.previous or _last_made(store, request)
    request = replace(request, previous=before, asked_at=datetime.now(UTC).isoformat(timespec="microseconds"))
    if not store.put_if_absent(_request_key(name), _written(request)):
        return _asked_again(store, request, given=frozen)
    return request


def _asked_again(store: ObjectStore, request: ReleaseRequest, given: Mapping[str, object]) -> ReleaseRequest:
    """The request that the name has. One that is not made yet takes a new time, which starts a new try."""
    existing = read_request(store, request.name)
    if existing.batches != request.batches:
        raise ReleaseError(f"release {request.name!r} exists with other batches: choose a new name")
    other = "previous" in given and existing.previous != request.previous
    if other or _options(existing) != _options(request):
        raise ReleaseError(f"release {request.name!r} exists with other formats or filters: choose a new name")
    if is_made(store, request.name):
        return existing
    # A try that is under way has read its words already: only an override that was missing may come later.
    again = replace(existing, override=existing.override or request.override, asked_at=request.asked_at)
    store.put(_request_key(request.name), _written(again))
    return again


def _written(request: ReleaseRequest) -> bytes:
    return json.dumps(asdict(request), indent=1).encode()


def _options(request: ReleaseRequest) -> tuple[object, ...]:
    return request.formats, request.taxa, request.by, request.splits


def _last_made(store: ObjectStore, request: ReleaseRequest) -> str | None:
    others = [r for r in requests(store) if r.name != request.name and r.surveys == request.surveys]
    made = [r for r in others if is_made(store, r.name)]
    return max(made, key=lambda r: (r.asked_at, r.name)).name if made else None


def read_request(store: ObjectStore, name: str) -> ReleaseRequest:
    """The request of a release.

    Raises:
        MissingObjectError: nobody asked for it.
    """
    data = json.loads(store.get(_request_key(name)))
    lists = {key: tuple(data.get(key, ())) for key in ("batches", "formats", "taxa")}
    return ReleaseRequest(**{**data, **lists})


def requests(store: ObjectStore) -> list[ReleaseRequest]:
    """All requests, sorted by name."""
    names = [key.removeprefix("releases/requests/").removesuffix(".json") for key in store.keys("releases/requests/")]
    return [read_request(store, name) for name in names]


def waiting_releases(store: ObjectStore) -> list[ReleaseRequest]:
    """Releases that were asked for and have not been made."""
    return [request for request in requests(store) if not is_made(store, request.name)]


def is_made(store: ObjectStore, name: str) -> bool:
    """Whether a release is finished."""
    return store.exists(release_key(name, COMMIT))


def release_key(name: str, path: str) -> str:
    """Where a file of a release lies in the store. ``release.json`` is written last: it is the commit point."""
    return f"releases/made/{name}/{path}"


def release_tables(store: ObjectStore, name: str, folder: Path) -> dict[str, Path]:
    """The canonical tables of a finished release, copied into a folder.

    Raises:
        ReleaseError: there is no such release.
    """
    if not NAME.fullmatch(name) or not is_made(store, name):
        made = ", ".join(r.name for r in requests(store) if is_made(store, r.name)) or "none"
        raise ReleaseError(f"there is no finished release {name!r} (there are: {made})")
    paths = {table: folder / table for table in TABLES}
    for table, path in paths.items():
        try:
            store.get_file(release_key(name, table), path)
        except MissingObjectError as error:
            raise ReleaseError(f"release {name!r} has lost its {table}: {error}") from error
    return paths


class ReleaseShelf:
    """Where the writer of a release puts its files and parts; see ``analytics.release.writer.Shelf``."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        """The shelf of one release."""
        self.store = store
        self.name = name
        self._parts = f"releases/parts/{name}/"
        self._finished = _stated_sums(store, name) if is_made(store, name) else None

    def part(self, batch: str, digest: str) -> bytes | None:
        """A part that an earlier try has made."""
        try:
            return self.store.get(f"{self._parts}{batch}.{digest}.zip")
        except MissingObjectError:
            return None

    def keep_part(self, batch: str, digest: str, data: bytes) -> None:
        """Keep a part for the next try."""
        self.store.put(f"{self._parts}{batch}.{digest}.zip", data)

    def put_file(self, path: str, file: Path) -> None:
        """Shelve a finished file.

        Raises:
            ReleaseError: the release is finished already, and this file is not the one it has.
        """
        if self._finished is not None and path != SUMS and self._finished.get(path) != _digest(file):
            raise ReleaseError(
                f"release {self.name!r} is finished and what it is made of has changed since ({path} would be "
                "different): a release never changes; ask for a new one"
            )
        self.store.put_file(release_key(self.name, path), file)

    def commit(self, data: bytes) -> None:
        """Write ``release.json``, then drop the parts and files of earlier tries that are not of this release.

        Raises:
            ReleaseError: a file is not there (any more): another try of the same release was given up meanwhile.
        """
        mine = {*_stated_sums(self.store, self.name), COMMIT, SUMS}
        prefix = release_key(self.name, "")
        there = list(self.store.keys(prefix))
        missing = sorted(mine - {COMMIT} - {key.removeprefix(prefix) for key in there})
        if missing:
            raise ReleaseError(f"release {self.name!r} has lost {missing[0]} before it was finished: ask for it again")
        for key in there:
            if key.removeprefix(prefix) not in mine:
                self.store.delete(key)
        self.store.put(release_key(self.name, COMMIT), data)
        self._drop(self._parts)

    def discard(self) -> None:
        """Take the files of an unfinished release away; its parts stay. A finished one is left alone."""
        if not is_made(self.store, self.name):
            self._drop(release_key(self.name, ""))

    def previous(self, name: str, folder: Path) -> Mapping[str, Path]:
        """Tables of an earlier release."""
        return release_tables(self.store, name, folder)

    def _drop(self, prefix: str) -> None:
        for key in list(self.store.keys(prefix)):
            self.store.delete(key)


class RehearsalShelf:
    """Makes a release again without keeping it, to see whether its bytes would be the same."""

    def __init__(self, store: ObjectStore, digest: Callable[[Path], str]) -> None:
        """``digest``: hash of a file."""
        self.store = store
        self.sums: dict[str, str] = {}
        self._digest = digest

    def part(self, batch: str, digest: str) -> bytes | None:
        """Nothing is reused: that would prove nothing."""
        return None

    def keep_part(self, batch: str, digest: str, data: bytes) -> None:
        """Nothing is kept."""

    def put_file(self, path: str, file: Path) -> None:
        """Only the hash is."""
        self.sums[path] = self._digest(file)

    def commit(self, data: bytes) -> None:
        """The hashes are compared by who asked."""

    def discard(self) -> None:
        """There is nothing to discard."""

    def previous(self, name: str, folder: Path) -> Mapping[str, Path]:
        """Tables of an earlier release."""
        return release_tables(self.store, name, folder)


def _stated_sums(store: ObjectStore, name: str) -> dict[str, str]:
    lines = store.get(release_key(name, SUMS)).decode().splitlines()
    return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _request_key(name: str) -> str:
    return f"releases/requests/{name}.json"
