"""Exports of the sandbox hold what those of the recorded CVAT held."""

import io
import json
import zipfile
from xml.etree import ElementTree

import pytest

PLAIN = ("licenses", "info", "images")


def export(client, path, **query):
    """The zip file of an export."""
    asked = client.post(f"{path}/dataset/export", params=query)
    assert asked.status_code == 202, asked.text
    status = client.get(f"/api/requests/{asked.json()['rq_id']}").json()
    assert status["status"] == "finished", status["message"]
    return zipfile.ZipFile(io.BytesIO(client.get(status["result_url"]).content))


@pytest.fixture(scope="module")
def annotated(workshop, contract):
    """The recorded task, made again: its labels, pictures and annotations."""
    steps = contract / "sdk280" / "rest"
    first = json.loads((steps / "06-create-project.jsonl").read_text(encoding="utf-8").splitlines()[0])
    project = workshop.post("/api/projects", first["request"]["body"]["json"])
    task = workshop.task(project, pictures=3, subset="Train")
    labels = workshop.get("/api/labels", project_id=project["id"], page_size=100)["results"]
    return {"task": task, "labels": {label["name"]: label for label in labels}}


def shapes_of(labels):
    """A shape of each kind that the recording has, and a tag."""
    thing = labels["thing"]
    mask = [4, 2, 2, 2, 4, 10, 20, 16, 21]
    return [
        {"type": "polygon", "frame": 0, "label_id": labels["leafpoly"]["id"], "points": [1, 1, 9, 1, 9, 9]},
        {"type": "rectangle", "frame": 1, "label_id": thing["id"], "points": [2, 4, 12, 24]},
        {"type": "mask", "frame": 2, "label_id": labels["blob"]["id"], "points": mask},
        {
            "type": "skeleton",
            "frame": 0,
            "label_id": labels["plant"]["id"],
            "elements": [
                {"type": "points", "label_id": s["id"], "points": [n, n], "outside": n == 2}
                for n, s in enumerate(labels["plant"]["sublabels"])
            ],
        },
    ]


@pytest.fixture
def drawn(workplace, annotated):
    """The task, with shapes of all kinds."""
    task = annotated["task"]
    tags = [{"frame": 1, "label_id": annotated["labels"]["thing"]["id"]}]
    body = {"shapes": shapes_of(annotated["labels"]), "tags": tags, "tracks": []}
    assert workplace.client.put(f"/api/tasks/{task['id']}/annotations", json=body).is_success
    return task


def recorded(contract, name):
    """A recorded export."""
    return zipfile.ZipFile(contract / "sdk280" / "exports" / name)


def test_coco_has_the_recorded_fields_and_the_areas_of_shapes(workplace, drawn, contract):
    mine = export(workplace.client, f"/api/tasks/{drawn['id']}", format="COCO 1.0", save_images=False)
    theirs = recorded(contract, "COCO_1.0.zip")
    assert mine.namelist() == theirs.namelist()
    old, new = (json.loads(z.read(theirs.namelist()[0])) for z in (theirs, mine))
    assert list(new) == list(old)
    assert [(c["id"], c["name"], c["supercategory"]) for c in new["categories"]] == [
        (c["id"], c["name"], c["supercategory"]) for c in old["categories"]
    ]
    assert (new["info"], new["licenses"]) == (old["info"], old["licenses"])
    names = {c["id"]: c["name"] for c in old["categories"]}
    fields = {names[a["category_id"]]: (a.keys(), a["attributes"]) for a in old["annotations"]}
    assert {names[a["category_id"]]: (a.keys(), a["attributes"].keys()) for a in new["annotations"]} == {
        name: (keys, attributes.keys()) for name, (keys, attributes) in fields.items()
    }
    found = {names[a["category_id"]]: (a["area"], a["bbox"], a["iscrowd"]) for a in new["annotations"]}
    assert found["leafpoly"] == (32, [1, 1, 8, 8], 0)
    assert found["thing"] == (200, [2, 4, 10, 20], 0)
    assert found["blob"] == (4, [10, 20, 6, 1], 1)


def test_a_mask_of_coco_covers_the_pixels_of_cvats_mask(workplace, drawn, contract):
    mine = export(workplace.client, f"/api/tasks/{drawn['id']}", format="COCO 1.0")
    [mask] = [a for a in json.loads(mine.read(mine.namelist()[0]))["annotations"] if a["iscrowd"]]
    flat = []
    for number, run in enumerate(mask["segmentation"]["counts"]):
        flat += [number % 2] * run
    height = mask["segmentation"]["size"][0]
    pixels = {(i // height, i % height) for i, value in enumerate(flat) if value}
    # Runs 4, 2, 2, 2, 4 in a box 7 wide from (10, 20): pixels 4, 5 of its first row, 1, 2 of its second.
    assert pixels == {(14, 20), (15, 20), (11, 21), (12, 21)}


def test_cvats_xml_has_the_recorded_elements_and_attributes(workplace, drawn, contract):
    mine = export(workplace.client, f"/api/tasks/{drawn['id']}", format="CVAT for images 1.1", save_images=True)
    theirs = recorded(contract, "CVAT_for_images_1.1.zip")
    old, new = (ElementTree.fromstring(z.read("annotations.xml")) for z in (theirs, mine))
    assert [e.tag for e in new.find("meta/task")] == [e.tag for e in old.find("meta/task")]
    assert [e.text for e in new.iterfind("meta/task/labels/label/name")] == [
        e.text for e in old.iterfind("meta/task/labels/label/name")
    ]
    for kind in ("polygon", "box", "mask", "skeleton", "skeleton/points", "box/attribute"):
        known, made = old.find(f"image/{kind}"), new.find(f"image/{kind}")
        assert made.keys() == known.keys(), kind
    assert [e.get("points") for e in new.iterfind("image/polygon")] == ["1.00,1.00;9.00,1.00;9.00,9.00"]
    assert {e.get("outside") for e in new.iterfind("image/skeleton/points")} == {"0", "1"}
    assert new.find("image/tag").get("label") == "thing"
    assert sorted(mine.namelist()) == ["annotations.xml", "images/0.png", "images/1.png", "images/2.png"]


def test_a_job_is_exported_alone(workplace, drawn):
    [job] = workplace.jobs(drawn)
    mine = export(workplace.client, f"/api/jobs/{job['id']}", format="CVAT for images 1.1")
    assert len(list(ElementTree.fromstring(mine.read("annotations.xml")).iterfind("image"))) == 3


def test_other_formats_and_foreign_exports_are_refused(workplace, drawn):
    path = f"/api/tasks/{drawn['id']}/dataset"
    assert workplace.client.post(f"{path}/export", params={"format": "VOC"}).status_code == 400
    assert workplace.client.get(f"{path}/download", params={"rq_id": "../sandbox.db"}).status_code == 404
