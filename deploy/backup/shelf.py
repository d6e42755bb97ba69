"""Where backups lie: files by their hash, and one JSON document per set, which is written last.

::

    blobs/ab/abcdef...        the bytes of a file, by their sha256; shared by all sets
    sets/<name>.json.gz       parts of a set, and hash and size of every file in them
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestration.cli.context import UsageProblem
from resources.object_store import MissingObjectError, ObjectStore, StoreError, checked_key

FORMAT = 1
LOOK_BACK = 60
"""Sets that are looked through for a part that not every set has."""
MAKING = "making/"
"""Below it is the name of each set that is being made."""
MAKING_AT_MOST = timedelta(days=1)
CHUNK = 1 << 20


class BackupError(UsageProblem):
    """The backup cannot be made, read or used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a part. ``path``: its place within the part."""

    path: str
    sha256: str
    size: int


@dataclass(slots=True)
class Part:
    """One part of a set. ``facts``: what is needed to put it back, such as row counts."""

    items: list[Item] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class BackupSet:
    """A backup. ``versions``: of the software that made it."""

    name: str
    made_at: str
    versions: dict[str, str]
    parts: dict[str, Part] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def part(self, name: str) -> Part:
        """A part, empty when the set has none of this name."""
        return self.parts.get(name) or Part()


class Shelf:
    """Backups in an object store."""

    def __init__(self, store: ObjectStore) -> None:
        """Keep them in ``store``, which should be another disk, or another house."""
        self.store = store
        self.copied = 0
        self._known: set[str] | None = None

    def names(self) -> list[str]:
        """Names of the sets, oldest first."""
        keys = self.store.keys("sets/")
        return [key.removeprefix("sets/").removesuffix(".json.gz") for key in keys if key.endswith(".json.gz")]

    def read(self, name: str | None = None) -> BackupSet:
        """A set; the newest when no name is given.

        Raises:
            BackupError: there is none, or it cannot be read.
        """
        names = self.names()
        if not names:
            raise BackupError(f"{self.store.url} holds no backup: 'reefline backup' makes one")
        if name is not None and name not in names:
            raise BackupError(f"{self.store.url} holds no backup {name!r}, but {', '.join(names[-5:])}")
        try:
            told = json.loads(gzip.decompress(self.store.get(_set_key(name or names[-1]))))
            parts = {
                part: Part([_item(*item) for item in found["items"]], found["facts"])
                for part, found in told["parts"].items()
            }
            return BackupSet(told["name"], told["made_at"], told["versions"], parts, told["problems"])
        except (OSError, EOFError, ValueError, KeyError, TypeError, StoreError) as error:
            raise BackupError(f"{self.store.uri(_set_key(name or names[-1]))} is damaged: use an older set") from error

    def newest_with(self, part: str) -> BackupSet | None:
        """The newest set that holds files of a part, of the last :data:`LOOK_BACK`."""
        several = (self.read(name) for name in reversed(self.names()[-LOOK_BACK:]))
        return next((made for made in several if made.part(part).items), None)

    def write(self, made: BackupSet) -> None:
        """Commit a set: all its files are there already."""
        told = {**asdict(made), "format": FORMAT}
        for name, part in made.parts.items():
            told["parts"][name] = {"items": [list(asdict(i).values()) for i in part.items], "facts": part.facts}
        data = gzip.compress(json.dumps(told).encode(), mtime=0)
        if not self.store.put_if_absent(_set_key(made.name), data):
            raise BackupError(f"a backup named {made.name} exists already: wait a second and try again")

    def has(self, sha256: str) -> bool:
        """Whether the bytes of this hash are kept. What the newest set holds is not asked for one by one."""
        if self._known is None:
            names = self.names()
            newest = self.read(names[-1]) if names else None
            self._known = {i.sha256 for part in newest.parts.values() for i in part.items} if newest else set()
        return sha256 in self._known or self.store.exists(blob_key(sha256))

    def sizes(self) -> dict[str, int]:
        """Bytes of each file of the newest set, by hash."""
        names = self.names()
        parts = self.read(names[-1]).parts.values() if names else ()
        return {item.sha256: item.size for part in parts for item in part.items}

    def keep_bytes(self, path: str, data: bytes) -> Item:
        """Keep bytes as a file of a part."""
        digest = hashlib.sha256(data).hexdigest()
        if not self.has(digest):
            self.store.put(blob_key(digest), data)
            self._note(digest)
        return Item(path, digest, len(data))

    def keep_file(self, path: str, file: Path) -> Item:
        """Keep a file of any size."""
        digest = sha256_of(file)
        if not self.has(digest):
            self.store.put_file(blob_key(digest), file)
            self._note(digest)
        return Item(path, digest, file.stat().st_size)

    def _note(self, digest: str) -> None:
        self.copied += 1
        if self._known is not None:
            self._known.add(digest)

    @contextmanager
    def file(self, item: Item) -> Iterator[Path]:
        """The bytes of an item as a temporary file, after checking them.

        Raises:
            BackupError: they are gone, or not those that were kept.
        """
        with tempfile.TemporaryDirectory(prefix="reefline-restore-") as folder:
            copy = Path(folder) / "file"
            try:
                self.store.get_file(blob_key(item.sha256), copy)
            except MissingObjectError as error:
                raise BackupError(f"{item.path}: its bytes are gone from the backup ({error})") from error
            if sha256_of(copy) != item.sha256:
                raise BackupError(f"{item.path} is damaged in the backup ({self.store.uri(blob_key(item.sha256))})")
            yield copy

    @contextmanager
    def making(self, name: str) -> Iterator[None]:
        """While a set is made: its bytes belong to no set yet, and nothing may be pruned."""
        key = MAKING + name
        self.store.put(key, datetime.now(UTC).isoformat().encode())
        try:
            yield
        finally:
            self.store.delete(key)

    def _refuse_while_making(self) -> None:
        for key in self.store.keys(MAKING):
            since = datetime.fromisoformat(self.store.get(key).decode())
            if datetime.now(UTC) - since < MAKING_AT_MOST:
                raise BackupError(
                    f"a backup is being made since {since:%Y-%m-%d %H:%M} UTC: prune when it is done. If it was "
                    f"killed, remove {self.store.uri(key)}"
                )
            self.store.delete(key)

    def prune(self, keep: int) -> tuple[int, int]:
        """Remove all but the newest sets, and bytes that no set needs; how many sets and files.

        Raises:
            BackupError: a backup is being made.
        """
        self._refuse_while_making()
        names = self.names()
        gone = names[: max(0, len(names) - keep)]
        needed = {i.sha256 for name in names[len(gone) :] for p in self.read(name).parts.values() for i in p.items}
        for name in gone:
            self.store.delete(_set_key(name))
        unneeded = [key for key in self.store.keys("blobs/") if key.rpartition("/")[2] not in needed]
        for key in unneeded:
            self.store.delete(key)
        self._known = None
        return len(gone), len(unneeded)


def _item(path: str, sha256: str, size: int) -> Item:
    """A file of a set; one that would climb out of its place makes the set unusable."""
    return Item(checked_key(path), sha256, size)


def blob_key(sha256: str) -> str:
    """Where bytes of this hash lie."""
    return f"blobs/{sha256[:2]}/{sha256}"


def _set_key(name: str) -> str:
    return f"sets/{name}.json.gz"


def sha256_of(path: Path) -> str:
    """The hash of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(first: Part, second: Part) -> list[str]:
    """Paths whose bytes differ between two parts, or that only one has."""
    a, b = ({item.path: item.sha256 for item in part.items} for part in (first, second))
    return sorted(path for path in a.keys() | b.keys() if a.get(path) != b.get(path))


Tell = Callable[[str], None]
