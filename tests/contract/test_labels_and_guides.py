"""Labels and annotation guides of the sandbox, as CVAT's pages and ``reefline cvat apply`` change them."""

import pytest

from tests.contract.workplace import picture

CORAL = {
    "name": "coral",
    "type": "polygon",
    "attributes": [
        {"name": "state", "mutable": False, "input_type": "select", "default_value": "live", "values": ["live", "dead"]}
    ],
}
SVG = '<line data-node-from="1" data-node-to="2"></line><circle data-node-id="1" data-label-name="{}"></circle>'
FRAME = {
    "name": "frame",
    "type": "skeleton",
    "sublabels": [{"name": "a", "type": "points"}, {"name": "b", "type": "points"}],
    "svg": SVG.format("a"),
}


@pytest.fixture
def project(workplace):
    """A project with two labels, and its labels by name."""
    made = workplace.project("labelled", [CORAL, FRAME])
    return made | {"by_name": labels_of(workplace, made)}


def labels_of(workplace, project):
    return {label["name"]: label for label in workplace.get("/api/labels", project_id=project["id"])["results"]}


def test_a_deleted_label_takes_its_shapes_with_it(workplace, project):
    coral, frame = project["by_name"]["coral"], project["by_name"]["frame"]
    task = workplace.task(project)
    shape = {"type": "polygon", "frame": 0, "label_id": coral["id"], "points": [0, 0, 9, 0, 9, 9]}
    tag = {"frame": 0, "label_id": frame["id"]}
    body = {"shapes": [shape], "tags": [tag], "tracks": []}
    workplace.client.put(f"/api/tasks/{task['id']}/annotations", json=body)
    workplace.patch(f"/api/projects/{project['id']}", {"labels": [{"id": coral["id"], "deleted": True}]})
    assert list(labels_of(workplace, project)) == ["frame"]
    left = workplace.get(f"/api/tasks/{task['id']}/annotations")
    assert (len(left["shapes"]), len(left["tags"])) == (0, 1)


def test_a_label_is_deleted_and_changed_under_its_own_address(workplace, project):
    coral = project["by_name"]["coral"]
    path = f"/api/labels/{coral['id']}"
    changed = workplace.patch(path, {"name": "hard coral", "color": "#010203"})
    assert (changed["name"], changed["color"], changed["id"]) == ("hard coral", "#010203", coral["id"])
    assert workplace.client.delete(path).status_code == 204
    assert workplace.client.get(path).status_code == 404


def test_attributes_are_changed_by_id_and_added_without_one(workplace, project):
    coral = project["by_name"]["coral"]
    known = coral["attributes"][0]
    more = {**known, "values": ["live", "dead", "bleached"]}
    new = {"name": "sure", "mutable": False, "input_type": "checkbox", "default_value": "true", "values": ["true"]}
    changed = workplace.patch(f"/api/labels/{coral['id']}", {"attributes": [more, new]})["attributes"]
    assert changed[0] == more
    assert changed[1]["id"] != known["id"]


def test_a_skeleton_gets_another_drawing_and_its_parts_keep_their_ids(workplace, project):
    frame = project["by_name"]["frame"]
    sublabels = [{**frame["sublabels"][0], "color": "#111111"}, {"name": "c", "type": "points"}]
    changed = workplace.patch(f"/api/labels/{frame['id']}", {"sublabels": sublabels, "svg": SVG.format("c")})
    assert [s["name"] for s in changed["sublabels"]] == ["a", "b", "c"]
    assert [s["id"] for s in changed["sublabels"]][:2] == [s["id"] for s in frame["sublabels"]]
    assert changed["sublabels"][0]["color"] == "#111111"
    assert f'data-label-id="{changed["sublabels"][2]["id"]}"' in changed["svg"]


def test_a_project_has_one_guide_that_can_be_rewritten(workplace, project):
    assert project["guide_id"] is None
    guide = workplace.post("/api/guides", {"project_id": project["id"], "markdown": "# Corals"})
    assert workplace.get(f"/api/projects/{project['id']}")["guide_id"] == guide["id"]
    workplace.patch(f"/api/guides/{guide['id']}", {"markdown": "# Corals and algae"})
    assert workplace.get(f"/api/guides/{guide['id']}")["markdown"] == "# Corals and algae"
    again = workplace.client.post("/api/guides", json={"project_id": project["id"], "markdown": ""})
    assert again.status_code == 400
    [job] = workplace.jobs(workplace.task(project))
    assert job["guide_id"] == guide["id"]


def test_pictures_of_a_guide_are_kept(workplace, project):
    guide = workplace.post("/api/guides", {"project_id": project["id"], "markdown": ""})
    files = {"file": ("coral.png", picture(), "image/png")}
    made = workplace.client.post("/api/assets", files=files, data={"guide_id": guide["id"]}).json()
    path = f"/api/assets/{made['uuid']}"
    assert workplace.client.get(path).content == picture()
    assert workplace.client.delete(path).status_code == 204
    assert workplace.client.get(path).status_code == 404
    text = {"file": ("x.txt", b"x", "text/plain")}
    assert workplace.client.post("/api/assets", files=text, data={"guide_id": guide["id"]}).status_code == 400
