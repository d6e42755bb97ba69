"""Labels of a project: made, changed and deleted as CVAT's label constructor does it."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.local.sandbox.shapes import drop_label
from deploy.local.sandbox.store import Document, Store

ATTRIBUTE_FIELDS = ("name", "mutable", "input_type", "default_value", "values")


def change_labels(store: Store, project_id: int | None, specs: Sequence[Document]) -> None:
    """Add labels; a label with an ``id`` is changed, or deleted where it says ``deleted``."""
    for spec in specs:
        known = store.get("label", spec["id"]) if spec.get("id") else None
        if known is None:
            _add(store, spec, project_id)
        elif spec.get("deleted"):
            delete_label(store, known)
        else:
            patch_label(store, known, spec)


def patch_label(store: Store, label: Document, spec: Document) -> Document:
    """Rename or recolour a label, change its attributes, draw its skeleton anew."""
    label = {**label, **{k: spec[k] for k in ("name", "color", "type") if spec.get(k)}}
    label["attributes"] = _attributes(store, label["attributes"], spec.get("attributes") or [])
    by_id = {sub["id"]: sub for sub in label["sublabels"]}
    by_name = {sub["name"]: sub for sub in label["sublabels"]}
    for sub in spec.get("sublabels") or []:
        known = by_id.get(sub.get("id")) or by_name.get(sub.get("name"))
        if known is None:
            label["sublabels"].append(_label(store, sub, label["project_id"]))
        elif sub.get("deleted"):
            label["sublabels"].remove(known)
        else:
            known |= {k: sub[k] for k in ("name", "color") if sub.get(k)}
            known["attributes"] = _attributes(store, known["attributes"], sub.get("attributes") or [])
    if spec.get("svg"):
        label["svg"] = _with_label_ids(spec["svg"], label["sublabels"])
    return store.put("label", label)


def delete_label(store: Store, label: Document) -> None:
    """Delete a label and everything that was drawn with it."""
    tasks = store.all("task", project_id=label["project_id"])
    drop_label(store, [job for task in tasks for job in store.all("job", task_id=task["id"])], label["id"])
    store.delete("label", label["id"])


def _add(store: Store, spec: Document, project_id: int | None) -> None:
    label = _label(store, spec, project_id)
    label["sublabels"] = [_label(store, sub, project_id) for sub in spec.get("sublabels") or []]
    label["svg"] = _with_label_ids(spec.get("svg") or "", label["sublabels"])
    store.put("label", label)


def _label(store: Store, spec: Document, project_id: int | None) -> Document:
    attributes = [{**a, "id": store.next_id("attribute")} for a in spec.get("attributes") or []]
    number = store.next_id("label")
    color = spec.get("color") or f"#{(number * 2654435761) % 0xFFFFFF:06x}"
    return {
        "id": number,
        "name": spec["name"],
        "color": color,
        "attributes": attributes,
        "type": spec.get("type") or "any",
        "project_id": project_id,
        "sublabels": [],
    }


def _attributes(store: Store, known: list[Document], specs: Sequence[Document]) -> list[Document]:
    """Attributes after a change; one is known by its id or its name, and CVAT never takes one away."""
    made = [dict(a) for a in known]
    for spec in specs:
        found = next((a for a in made if a["id"] == spec.get("id") or a["name"] == spec.get("name")), None)
        if found is None:
            made.append({**spec, "id": store.next_id("attribute")})
        else:
            found |= {name: spec[name] for name in ATTRIBUTE_FIELDS if name in spec}
    return made


def _with_label_ids(svg: str, sublabels: Sequence[Document]) -> str:
    """CVAT replaces sublabel names in the drawing by their ids."""
    for label in sublabels:
        svg = svg.replace(f'data-label-name="{label["name"]}"', f'data-label-id="{label["id"]}"')
    return svg
