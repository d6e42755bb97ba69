"""Release requests: a person freezes a list of batches under a version; kept in the store, never changed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from resources.object_store import ObjectStore

NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}")


class ReleaseError(ValueError):
    """The release cannot be asked for; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A frozen list of batches.

    Attributes:
        name: version, e.g. ``moorea-2026.11.0``; lower case, digits, ``.`` and ``-``.
        batches: sorted batch keys.
        reason: what it is for, in the words of who asked.
        override: why batches below their survey's thresholds are in it all the same; empty = such batches are refused.
    """

    name: str
    batches: tuple[str, ...]
    reason: str = ""
    override: str = ""


def ask_for_release(
    store: ObjectStore, name: str, batches: Sequence[str], reason: str = "", override: str = ""
) -> ReleaseRequest:
    """Freeze the list of batches under a name.

    Raises:
        ReleaseError: the name is not usable, taken by another list, or the list is empty.
    """
    if not NAME.fullmatch(name):
        raise ReleaseError(f"release name {name!r}: use lower-case letters, digits, '.' and '-', e.g. moorea-2026.11.0")
    if not batches:
        raise ReleaseError("a release needs at least one finished batch: see 'reefline status'")
    request = ReleaseRequest(name, tuple(sorted(set(batches))), reason, override.strip())
    if not store.put_if_absent(_request_key(name), json.dumps(asdict(request), indent=1).encode()):
        existing = read_request(store, name)
        if existing.batches != request.batches:
            raise ReleaseError(f"release {name!r} exists with other batches: choose a new name")
        return existing
    return request


def read_request(store: ObjectStore, name: str) -> ReleaseRequest:
    """The request of a release.

    Raises:
        MissingObjectError: nobody asked for it.
    """
    data = json.loads(store.get(_request_key(name)))
    return ReleaseRequest(data["name"], tuple(data["batches"]), data["reason"], data.get("override", ""))


def waiting_releases(store: ObjectStore) -> list[ReleaseRequest]:
    """Releases that were asked for and have not been made."""
    names = [key.removeprefix("releases/requests/").removesuffix(".json") for key in store.keys("releases/requests/")]
    return [read_request(store, name) for name in names if not store.exists(release_key(name, "release.json"))]


def release_key(name: str, path: str) -> str:
    """Where a file of a release lies in the store. ``release.json`` is written last: it is the commit point."""
    return f"releases/made/{name}/{path}"


def _request_key(name: str) -> str:
    return f"releases/requests/{name}.json"
