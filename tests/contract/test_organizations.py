"""Organizations of the sandbox: what belongs to one is seen there, and its members have their roles' rights."""

import pytest

PASSWORD = "a long password"


@pytest.fixture(scope="module")
def members(workshop):
    """An organization with a worker and a maintainer; clients by role."""
    workshop.post("/api/organizations", {"slug": "reefs", "name": "Reefs"})
    clients = {}
    for role in ("worker", "maintainer"):
        body = {"username": role, "password1": PASSWORD, "email": f"{role}@example.org"}
        workshop.post("/api/auth/register", body)
        workshop.post("/api/invitations", {"role": role, "email": body["email"]}, org="reefs")
        clients[role] = workshop.sandbox.login(role, PASSWORD)
    return clients


def test_lists_show_what_belongs_to_the_organization_or_to_the_personal_workspace(workplace, members):
    mine = workplace.project("mine")
    theirs = workplace.post("/api/projects", {"name": "theirs", "labels": [{"name": "coral"}]}, org="reefs")
    task = workplace.task(theirs)
    for path in ("projects", "tasks", "jobs"):
        listed = workplace.get(f"/api/{path}", org="reefs")["results"]
        assert listed
        assert {found["organization"] for found in listed} == {theirs["organization"]}
        assert {found["organization"] for found in workplace.get(f"/api/{path}", org="")["results"]} <= {None}
    header = workplace.client.get("/api/projects", headers={"X-Organization": "reefs"}).json()
    assert [p["name"] for p in header["results"]] == ["theirs"]
    assert task["organization_id"] == theirs["organization_id"]
    assert [label["name"] for label in workplace.get("/api/labels", org="reefs")["results"]] == ["coral"]
    assert mine["organization"] is None
    assert {p["name"] for p in workplace.get("/api/projects")["results"]} >= {"mine", "theirs"}


def test_an_organization_that_is_not_there_is_not_found(workplace):
    assert workplace.client.get("/api/projects", params={"org": "nowhere"}).status_code == 404


def test_an_organization_is_made_once_and_needs_a_slug(workplace, members):
    assert workplace.client.post("/api/organizations", json={"slug": "reefs"}).status_code == 400
    assert workplace.client.post("/api/organizations", json={"slug": "no spaces"}).status_code == 400


def test_a_maintainer_sees_everything_of_the_organization_and_a_worker_what_is_assigned(workplace, members):
    project = workplace.post("/api/projects", {"name": "shared", "labels": [{"name": "coral"}]}, org="reefs")
    task = workplace.task(project, segment_size=1)
    first, second = workplace.jobs(task)
    worker, maintainer = members["worker"], members["maintainer"]
    assert maintainer.get(f"/api/projects/{project['id']}").status_code == 200
    assert worker.get(f"/api/projects/{project['id']}").status_code == 403
    assert worker.get("/api/jobs", params={"org": "reefs"}).json()["count"] == 0
    number = worker.get("/api/users/self").json()["id"]
    assert maintainer.patch(f"/api/jobs/{second['id']}", json={"assignee": number}).status_code == 200
    assert [j["id"] for j in worker.get("/api/jobs", params={"org": "reefs"}).json()["results"]] == [second["id"]]
    assert worker.patch(f"/api/jobs/{first['id']}", json={"state": "completed"}).status_code == 403


def test_strangers_cannot_enter_an_organization(workplace, members):
    workplace.post("/api/auth/register", {"username": "stranger", "password1": PASSWORD, "email": "s@example.org"})
    with workplace.sandbox.login("stranger", PASSWORD) as client:
        assert client.get("/api/projects", params={"org": "reefs"}).status_code == 403
        assert client.get("/api/organizations").json()["count"] == 0


def test_a_webhook_of_the_organization_hears_of_new_projects_and_comes_before_the_projects_own(workplace, members):
    names = ["create:project", "update:job"]
    body = {"target_url": workplace.receiver.url + "/org", "type": "organization", "events": names}
    hook = workplace.post("/api/webhooks", body, org="reefs")
    project = workplace.post("/api/projects", {"name": "heard", "labels": [{"name": "coral"}]}, org="reefs")
    workplace.hook(project, "/own", ["update:job"])
    [job] = workplace.jobs(workplace.task(project))
    workplace.patch(f"/api/jobs/{job['id']}", {"state": "completed"})
    told = [(d["path"], d["body"]["event"]) for d in workplace.settled()]
    assert told == [("/org", "create:project"), ("/org", "update:job"), ("/own", "update:job")]
    assert workplace.get("/api/webhooks", org="reefs")["results"][-1]["organization"] == hook["organization"]


def test_members_get_other_roles_and_leave(workplace, members):
    listed = workplace.get("/api/memberships", org="reefs")["results"]
    roles = {m["user"]["username"]: m for m in listed}
    assert {name: m["role"] for name, m in roles.items()} == {
        "admin": "owner", "worker": "worker", "maintainer": "maintainer",
    }  # fmt: skip
    number = roles["worker"]["id"]
    assert workplace.patch(f"/api/memberships/{number}", {"role": "supervisor"})["role"] == "supervisor"
    assert members["worker"].patch(f"/api/memberships/{number}", json={"role": "owner"}).status_code == 403
    assert workplace.client.delete(f"/api/memberships/{number}").status_code == 204
    assert members["worker"].get("/api/projects", params={"org": "reefs"}).status_code == 403
