"""Offers: which files make up a batch. Decided once, kept in the store, never changed.

An offer is written with put-if-absent before any partition exists, so a crash between the two loses nothing: whoever
looks next sees the offer and asks for its run again. A file that is rewritten later is a new file and is offered anew.
Claims settle duplicates: the first file with certain bytes in a survey claims their hash; the same file asking again
(a rerun) still owns it, every other file is a duplicate of the owner, whatever the order of runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from labels.survey import SurveyConfig, batch_key
from resources.object_store import ObjectStore
from resources.surveys import Photo, PhotoSource


@dataclass(frozen=True, slots=True)
class Offer:
    """The files of one batch, as they were when it was cut."""

    batch: str
    survey: str
    files: tuple[Photo, ...]


def offers_of(store: ObjectStore, survey: str) -> list[Offer]:
    """All offers of a survey, in order."""
    return [read_offer(store, key.removesuffix(".json").rpartition("/")[2]) for key in store.keys(f"offers/{survey}/")]


def read_offer(store: ObjectStore, batch: str) -> Offer:
    """The offer of a batch.

    Raises:
        MissingObjectError: no such batch was ever cut.
    """
    data = json.loads(store.get(_offer_key(batch)))
    return Offer(data["batch"], data["survey"], tuple(Photo(**file) for file in data["files"]))


def is_ready(survey: SurveyConfig, source: PhotoSource, photos: Sequence[Photo]) -> bool:
    """Whether the upload is complete: marked so, or (``ready: settled``) untouched for the survey's minutes."""
    if source.ready_marker():
        return True
    if survey.photos.ready == "marker" or not photos:
        return False
    return time.time() - max(p.modified for p in photos) > survey.photos.settle_minutes * 60


def cut_new_batches(store: ObjectStore, survey: SurveyConfig, photos: Sequence[Photo]) -> list[Offer]:
    """Cut the files that no offer holds yet into batches and keep them; the new offers.

    Two processes may do this at once: an offer number is taken by one of them only, and the other starts over.
    """
    new: list[Offer] = []
    existing, waiting = _waiting(store, survey, photos)
    while waiting:
        offer = Offer(batch_key(survey.name, existing + 1), survey.name, tuple(waiting[: survey.batch_size]))
        if store.put_if_absent(_offer_key(offer.batch), _encode(offer)):
            new.append(offer)
            existing, waiting = existing + 1, waiting[survey.batch_size :]
        else:
            existing, waiting = _waiting(store, survey, photos)
    return new


def _waiting(store: ObjectStore, survey: SurveyConfig, photos: Sequence[Photo]) -> tuple[int, list[Photo]]:
    """How many offers there are, and the files that none of them holds."""
    existing = offers_of(store, survey.name)
    held = {(f.path, f.size, f.stamp) for offer in existing for f in offer.files}
    return len(existing), [p for p in photos if (p.path, p.size, p.stamp) not in held]


def claim(store: ObjectStore, survey: str, sha256: str, batch: str, path: str) -> str | None:
    """Claim these bytes for a file; ``None`` when they are its own, else ``batch: path`` of the owner."""
    key = f"claims/{survey}/{sha256}.json"
    mine = {"batch": batch, "path": path}
    if store.put_if_absent(key, json.dumps(mine).encode()):
        return None
    owner = json.loads(store.get(key))
    return None if owner == mine else f"{owner['batch']}: {owner['path']}"


def _offer_key(batch: str) -> str:
    return f"offers/{batch.rpartition('.')[0]}/{batch}.json"


def _encode(offer: Offer) -> bytes:
    # ASCII JSON also carries names that are not valid UTF-8 (lone surrogates) there and back.
    files = [{"path": f.path, "size": f.size, "stamp": f.stamp, "modified": f.modified} for f in offer.files]
    return json.dumps({"batch": offer.batch, "survey": offer.survey, "files": files}, indent=1).encode("ascii")
