"""Who may do what in the sandbox: as a real CVAT answered an assignee (``probe/job_assignee_permissions.json``)."""

import json

import pytest

PASSWORD = "a long password"


@pytest.fixture
def place(workplace):
    """A task with two jobs, of which the first is the annotator's."""
    name = f"annotator{workplace.get('/api/users')['count']}"
    workplace.post("/api/auth/register", {"username": name, "password1": PASSWORD})
    client = workplace.sandbox.login(name, PASSWORD)
    task = workplace.task(workplace.project(name), segment_size=1)
    first, second = workplace.jobs(task)
    number = client.get("/api/users/self").json()["id"]
    workplace.patch(f"/api/jobs/{first['id']}", {"assignee": number})
    yield {"client": client, "task": task, "mine": first, "other": second, "user": number}
    client.close()


def test_an_assignee_of_a_job_may_do_what_cvat_let_them_do(place, contract):
    recorded = json.loads((contract / "probe" / "job_assignee_permissions.json").read_text(encoding="utf-8"))
    numbers = {"jobs/5": f"jobs/{place['mine']['id']}", "jobs/6": f"jobs/{place['other']['id']}"}
    numbers["tasks/3"] = f"tasks/{place['task']['id']}"
    answers = {}
    for asked in recorded:
        method, path, body = asked.split(" ", 2)
        for old, new in numbers.items():
            path = path.replace(old, new)
        body = None if body == "None" else json.loads(body.replace("'", '"').replace("None", "null"))
        answers[asked] = place["client"].request(method, path, json=body).status_code
    assert answers == recorded
    assert set(answers.values()) == {200, 403}


def test_an_assignee_saves_annotations_of_the_own_job_only(place):
    empty = {"version": 0, "shapes": [], "tags": [], "tracks": []}
    client = place["client"]
    assert client.put(f"/api/jobs/{place['mine']['id']}/annotations", json=empty).status_code == 200
    assert client.put(f"/api/jobs/{place['other']['id']}/annotations", json=empty).status_code == 403
    assert client.put(f"/api/tasks/{place['task']['id']}/annotations", json=empty).status_code == 403


def test_an_assignee_sees_the_pictures_and_labels_of_the_own_job(place):
    client, job = place["client"], place["mine"]["id"]
    assert client.get(f"/api/jobs/{job}/data/meta").status_code == 200
    assert client.get(f"/api/jobs/{job}/data", params={"type": "frame", "number": 0}).status_code == 200
    assert client.get("/api/labels", params={"job_id": job}).json()["count"] == 1
    assert client.get(f"/api/jobs/{place['other']['id']}/data/meta").status_code == 403


def test_lists_show_an_assignee_the_own_job_only(place):
    assert [j["id"] for j in place["client"].get("/api/jobs").json()["results"]] == [place["mine"]["id"]]
    assert place["client"].get("/api/webhooks").json()["count"] == 0


def test_an_assignee_deletes_nothing_and_makes_no_tasks_in_other_peoples_projects(place):
    client, task = place["client"], place["task"]
    assert client.delete(f"/api/tasks/{task['id']}").status_code == 403
    assert client.delete(f"/api/projects/{task['project_id']}").status_code == 403
    assert client.post("/api/tasks", json={"name": "x", "project_id": task["project_id"]}).status_code == 403
    hook = {"target_url": "http://127.0.0.1:1/", "type": "project", "events": [], "project_id": task["project_id"]}
    assert client.post("/api/webhooks", json=hook).status_code == 403


def test_an_assignee_of_the_task_leads_its_jobs_and_may_still_not_delete_it(place, workplace):
    client, task = place["client"], place["task"]
    workplace.patch(f"/api/tasks/{task['id']}", {"assignee_id": place["user"]})
    assert client.patch(f"/api/jobs/{place['other']['id']}", json={"stage": "validation"}).status_code == 200
    assert client.delete(f"/api/tasks/{task['id']}").status_code == 403
    assert client.get(f"/api/projects/{task['project_id']}").status_code == 403


def test_everybody_may_do_everything_with_what_is_theirs(place):
    client = place["client"]
    made = client.post("/api/projects", json={"name": "own", "labels": [{"name": "coral"}]}).json()
    task = client.post("/api/tasks", json={"name": "own", "project_id": made["id"]}).json()
    assert client.delete(f"/api/tasks/{task['id']}").status_code == 204
    assert client.delete(f"/api/projects/{made['id']}").status_code == 204
