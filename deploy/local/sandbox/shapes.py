"""Saving shapes and tags as CVAT keeps them: with ids, defaults and attributes filled in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from deploy.local.sandbox.store import Document, Store

ELEMENT_FIELDS: Document = {
    "occluded": False,
    "outside": False,
    "z_order": 0,
    "rotation": 0.0,
    "group": None,
    "source": "manual",
}


def save_annotations(
    store: Store,
    jobs: Sequence[Document],
    given: Document,
    action: str,
    done: Callable[[Document, list[Document]], None],
) -> Document:
    """Create, update, delete or replace shapes and tags of jobs; the saved ones, with their ids.

    Args:
        store: where they are kept.
        jobs: each takes what lies on its frames.
        given: ``shapes`` and ``tags``.
        action: ``create``, ``update``, ``delete`` or ``replace``.
        done: called for every job once it is saved, with the shapes that were meant.
    """
    saved: Document = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    defaults = _default_attributes(store)
    for job in jobs:
        before = len(saved["shapes"])
        kept = store.get("annotations", job["id"]) or {"id": job["id"], "shapes": [], "tags": []}
        for kind in ("shapes", "tags"):
            mine = [x for x in given.get(kind) or [] if has_frame(job, x["frame"])]
            removed = {x.get("id") for x in mine} if action in ("update", "delete") else set()
            rest = [] if action == "replace" else [x for x in kept[kind] if x["id"] not in removed]
            if action == "delete":
                saved[kind] += [x for x in kept[kind] if x["id"] in removed]
                kept[kind] = rest
                continue
            stored = [_stored(store, x, kind, defaults, keep_id=action == "update") for x in mine]
            kept[kind] = [*rest, *stored]
            saved[kind] += [{**x, "attributes": g.get("attributes") or []} for x, g in zip(stored, mine, strict=True)]
        store.put("annotations", kept)
        done(job, saved["shapes"][before:])
    return saved


def has_frame(job: Document, frame: int) -> bool:
    """Whether a frame of the task is one of the job's."""
    chosen = job.get("frames")
    return frame in chosen if chosen is not None else job["start_frame"] <= frame <= job["stop_frame"]


def drop_label(store: Store, jobs: Sequence[Document], label_id: int) -> None:
    """Delete what was drawn with a label that is going."""
    for job in jobs:
        kept = store.get("annotations", job["id"])
        if kept is not None:
            left = {kind: [x for x in kept[kind] if x["label_id"] != label_id] for kind in ("shapes", "tags")}
            store.put("annotations", {**kept, **left})


def drop_frames(store: Store, job: Document, frames: Collection[int]) -> None:
    """Delete what was drawn on frames of a job."""
    kept = store.get("annotations", job["id"])
    if kept is not None:
        left = {kind: [x for x in kept[kind] if x["frame"] not in frames] for kind in ("shapes", "tags")}
        store.put("annotations", {**kept, **left})


def with_copies(given: Document, truth: Document, honeypots: Mapping[int, int], action: str) -> Document:
    """Annotations of a whole task with honeypots, as CVAT takes them: placeholders get what their pool frame gets.

    Args:
        given: ``shapes`` and ``tags``.
        truth: the ground-truth job.
        honeypots: placeholder -> pool frame.
        action: ``replace``, ``create``, ``update`` or ``delete``.

    Raises:
        ValueError: pool frames are changed otherwise than as a whole.
    """
    if given.get("tracks"):
        raise ValueError("Tracks are not supported when task validation mode is gt_pool")
    drawn = {kind: [x for x in given.get(kind) or [] if has_frame(truth, x["frame"])] for kind in ("shapes", "tags")}
    if action != "replace" and not any(drawn.values()):
        return given
    if action in ("update", "delete"):
        raise ValueError("Annotations on validation frames can only be edited via task import or the GT job")
    whole = {}
    for kind, mine in drawn.items():
        copies = [
            {**{k: v for k, v in x.items() if k != "id"}, "frame": frame}
            for frame, real in honeypots.items()
            for x in mine
            if x["frame"] == real
        ]
        whole[kind] = [x for x in given.get(kind) or [] if x["frame"] not in honeypots] + copies
    return {**given, **whole}


def _default_attributes(store: Store) -> dict[int, list[Document]]:
    """What CVAT writes into shapes whose attributes were not given, by label."""
    labels = [part for label in store.all("label") for part in (label, *label["sublabels"])]
    return {
        label["id"]: [{"spec_id": a["id"], "value": a.get("default_value", "")} for a in label["attributes"]]
        for label in labels
    }


def _stored(
    store: Store, given: Document, kind: str, defaults: dict[int, list[Document]], *, keep_id: bool
) -> Document:
    told = {a["spec_id"] for a in given.get("attributes") or []}
    attributes = [*(given.get("attributes") or [])]
    attributes += [a for a in defaults.get(given["label_id"], []) if a["spec_id"] not in told]
    number = given["id"] if keep_id and given.get("id") else store.next_id("shape")
    if kind == "tags":
        common = {
            "frame": given["frame"],
            "label_id": given["label_id"],
            "group": None,
            "source": given.get("source") or "manual",
        }
        return {"id": number, **common, "attributes": attributes}
    shape = {"type": given["type"], **{k: given.get(k, v) for k, v in ELEMENT_FIELDS.items()}}
    shape |= {
        "points": [float(v) for v in given.get("points") or []],
        "id": number,
        "frame": given["frame"],
        "label_id": given["label_id"],
        "attributes": attributes,
    }
    if given["type"] == "skeleton" or "elements" in given:
        elements = given.get("elements") or []
        frame = given["frame"]
        shape["elements"] = [_element(store, {**e, "frame": frame}, defaults, keep_id) for e in elements]
    else:
        shape["elements"] = []
    return shape


def _element(store: Store, given: Document, defaults: dict[int, list[Document]], keep_id: bool) -> Document:
    alone = {k: v for k, v in given.items() if k != "elements"}
    element = _stored(store, alone, "shapes", defaults, keep_id=keep_id)
    return {k: v for k, v in element.items() if k != "elements"}
