"""What CVAT does with a function: reads its description, and turns its answer into shapes of a task.

Written from how the lambda manager of CVAT 2.29 and later behaves, strict where CVAT would raise.
"""

import json

import numpy as np

KINDS = {"detector", "interactor", "reid", "tracker"}


def described(document):
    """The labels of a ``function.yaml``, read as CVAT reads a deployed function."""
    annotations = document["metadata"]["annotations"]
    assert annotations["type"] in KINDS
    assert all(isinstance(value, str) for value in annotations.values()), "Nuclio's annotations are texts"
    assert isinstance(document["spec"]["description"], str)
    for number in ("version", "min_pos_points", "min_neg_points"):
        int(annotations.get(number, 1))
    return _labels(json.loads(annotations.get("spec") or "[]"))


def _labels(spec):
    labels = []
    for label in spec:
        attributes = [{key: a[key] for key in ("name", "input_type", "values")} for a in label.get("attributes", [])]
        assert len({a["name"] for a in attributes}) == len(attributes), "CVAT refuses attributes that occur twice"
        read = {"name": label["name"], "type": label.get("type", "any"), "attributes": attributes}
        if read["type"] == "skeleton":
            read |= {"sublabels": _labels(label["sublabels"]), "svg": label["svg"]}
        labels.append(read)
    assert len({label["name"] for label in labels}) == len(labels), "CVAT refuses labels that occur twice"
    return labels


def numbered(labels):
    """Label definitions as the server has them: with ids."""
    ids = iter(range(1, 10_000))

    def one(label):
        made = {**label, "id": next(ids), "attributes": [{**a, "id": next(ids)} for a in label["attributes"]]}
        return made | {"sublabels": [one(node) for node in label.get("sublabels", [])]}

    return [one(label) for label in labels]


def taken(items, model_labels, project_labels, as_polygons=False, frame=0):
    """The answer as ``LabeledData`` of a task whose project has ``project_labels`` (with ids)."""
    known = {label["name"]: label for label in project_labels}
    mapping = {
        label["name"]: label
        for label in model_labels
        if label["name"] in known and _fit(label["type"], known[label["name"]]["type"])
    }
    shapes = []
    for item in items:
        if item["label"] in mapping and (shape := _shape(item, known[item["label"]], frame, as_polygons)) is not None:
            shapes.append(shape)
    return {"version": 0, "tags": [], "shapes": shapes, "tracks": []}


def _fit(model, project):
    outlines = {"mask", "polygon"}
    return model == project or (project == "any" and model != "skeleton") or {model, project} <= outlines


def _shape(item, label, frame, as_polygons):
    shape = {
        "frame": frame, "label_id": label["id"], "source": "auto", "group": None, "type": item["type"],
        "occluded": False, "outside": bool(item.get("outside", False)), "z_order": 0,
        "attributes": _attributes(item, label), "points": item.get("points", []),
    }  # fmt: skip
    if item["type"] == "mask" and as_polygons and "points" in item:
        shape |= {"type": "polygon"}
    elif item["type"] == "mask":
        *pixels, left, top, right, bottom = item["mask"]
        assert len(pixels) == (right - left + 1) * (bottom - top + 1), "CVAT would misread the mask"
        shape["points"] = [*_runs(pixels), left, top, right, bottom]
    elif item["type"] == "skeleton":
        nodes = {node["name"]: node for node in label["sublabels"]}
        drawn = [_shape(e, nodes[e["label"]], frame, as_polygons) for e in item["elements"] if e["label"] in nodes]
        assert len({e["label_id"] for e in drawn}) == len(nodes), "CVAT would put the missing nodes in the middle"
        shape["elements"] = drawn
        if all(element["outside"] for element in drawn):
            return None
    if shape["type"] == "polygon":
        assert len(shape["points"]) >= 6
    assert len(shape["points"]) % 2 == 0 or shape["type"] == "mask"
    assert all(np.isfinite(v) for v in shape["points"])
    return shape


def _attributes(item, label):
    specs = {a["name"]: a for a in label["attributes"]}
    return [
        {"spec_id": specs[a["name"]]["id"], "value": a["value"]}
        for a in item.get("attributes", [])
        if a["name"] in specs and _allowed(a["value"], specs[a["name"]])
    ]


def _allowed(value, spec):
    if spec["input_type"] != "number":
        return spec["input_type"] == "text"
    least, most, step = map(int, spec["values"])
    return value.isnumeric() and least <= int(value) <= most and (int(value) - least) % step == 0


def _runs(pixels):
    assert set(pixels) <= {0, 1}
    runs, value = [0], 0
    for pixel in pixels:
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs
