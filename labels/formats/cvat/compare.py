"""How a CVAT project's labels differ from those that are wanted. Plain dicts, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class Remedy(StrEnum):
    """What is to be done about a label."""

    ADD = "add"
    CHANGE = "change"
    KEEP = "keep"
    """CVAT has a label that no survey file asks for; it is left alone unless somebody wants it away."""
    IMPOSSIBLE = "impossible"
    """CVAT cannot make this change without destroying annotations; a person has to decide."""


@dataclass(frozen=True, slots=True)
class LabelDifference:
    """One label that is not as wanted. ``patch``: body for ``PATCH /api/labels/{label_id}``."""

    remedy: Remedy
    name: str
    text: str
    label_id: int | None = None
    patch: dict[str, Any] = field(default_factory=dict)


def label_differences(wanted: Sequence[Json], existing: Iterable[Json]) -> list[LabelDifference]:
    """What has to be done so that a project has the wanted labels.

    Args:
        wanted: label definitions as this package makes them (``specs``).
        existing: labels as ``GET /api/labels`` gives them.
    """
    known = {str(label["name"]): label for label in existing}
    found = []
    for spec in wanted:
        name = str(spec["name"])
        if name in known:
            found += _changes(spec, known[name])
        else:
            found.append(LabelDifference(Remedy.ADD, name, f"label {name!r} ({spec['type']})"))
    asked = {str(spec["name"]) for spec in wanted}
    for name, label in known.items():
        if name not in asked:
            found.append(LabelDifference(Remedy.KEEP, name, f"label {name!r} is in no survey file", int(label["id"])))
    return found


def _changes(spec: Json, label: Json) -> list[LabelDifference]:
    name, number = str(spec["name"]), int(label["id"])
    # "any" takes every kind of shape: an old project of a person may have it.
    if label["type"] not in (spec["type"], "any"):
        text = f"label {name!r} is a {label['type']}, wanted is a {spec['type']}: rename it in CVAT, then apply again"
        return [LabelDifference(Remedy.IMPOSSIBLE, name, text, number)]
    found = []
    wanted_nodes = [str(node["name"]) for node in spec.get("sublabels") or []]
    nodes = {str(node["name"]) for node in label.get("sublabels") or []}
    if set(wanted_nodes) != nodes:
        text = (
            f"skeleton {name!r} has {len(nodes)} nodes, wanted are {len(wanted_nodes)}: CVAT cannot change the nodes "
            "of a skeleton; rename the project in CVAT (it keeps its annotations), then apply makes a new one"
        )
        return [LabelDifference(Remedy.IMPOSSIBLE, name, text, number)]
    if (label.get("color") or "").lower() != str(spec["color"]).lower():
        text = f"label {name!r}: color {label.get('color')} -> {spec['color']}"
        found.append(LabelDifference(Remedy.CHANGE, name, text, number, {"color": spec["color"]}))
    return found + _attribute_changes(spec, label)


def _attribute_changes(spec: Json, label: Json) -> list[LabelDifference]:
    name, number = str(spec["name"]), int(label["id"])
    there = {str(a["name"]): a for a in label.get("attributes") or []}
    found = []
    for attribute in spec.get("attributes") or []:
        known = there.get(attribute["name"])
        if known is None:
            text = f"label {name!r}: new attribute {attribute['name']!r}"
            found.append(LabelDifference(Remedy.CHANGE, name, text, number, {"attributes": [dict(attribute)]}))
        elif known["input_type"] != attribute["input_type"]:
            text = (
                f"label {name!r}: attribute {attribute['name']!r} is a {known['input_type']}, wanted is a "
                f"{attribute['input_type']}: rename it in CVAT, then apply again"
            )
            found.append(LabelDifference(Remedy.IMPOSSIBLE, name, text, number))
    return found
