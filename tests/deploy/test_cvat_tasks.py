"""Review tasks brought back into a CVAT that has lost them: the sandbox takes and gives CVAT's own files over HTTP."""

from datetime import timedelta
from pathlib import Path

import pytest

from bench.restore_world import RestoreWorld
from deploy.backup.cvat_tasks import bring_tasks
from deploy.backup.sqlite_files import load_sqlite
from deploy.backup.take import take_backup
from orchestration.cli.cvat import apply, declare
from resources.bundle import make_cvat
from resources.cvat import CvatClient, CvatRefused
from resources.cvat.backups import upload_backup
from resources.inbox import Inbox
from resources.surveys import SurveyCatalog
from sensors.reconcile import reconcile
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "contracts" / "cvat" / "sdk254" / "exports"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """An installation whose first gate waits for people, and a backup of it with CVAT's tasks."""
    patch = pytest.MonkeyPatch()
    patch.delenv("DAGSTER_HOME", raising=False)
    world = RestoreWorld(tmp_path_factory.mktemp("world"))
    world.begin(clickhouse=False)
    with world.cvat() as made:
        cvat = make_cvat(made.settings)
        [review] = Inbox(made.settings.inbox).reviews()
        [job] = cvat.jobs(review.task_id)
        me = cvat.session.request("GET", "/api/users/self")["id"]
        cvat.session.request("PATCH", f"/api/jobs/{job.job_id}", {"state": "in progress", "assignee": me})
        Inbox(made.settings.inbox).apply_job_states(cvat.jobs(review.task_id))
        Inbox(made.settings.inbox).interpret_new()
        cvat.session.request("POST", "/api/jobs", _truth(review.task_id))
        drawn = marks(cvat, review.task_id)
        backup = take_backup(made.settings, world.shelf, with_cvat=True)
    yield world, backup, drawn
    patch.undo()


def _truth(task_id):
    return {"type": "ground_truth", "task_id": task_id, "frame_selection_method": "manual", "frames": [0]}


def marks(cvat, task_id):
    """What is drawn in a task, by names instead of numbers."""
    task = cvat.session.request("GET", f"/api/tasks/{task_id}")
    labels = cvat.labels(task["project_id"])
    names = {part["id"]: part["name"] for label in labels.values() for part in (label, *label["sublabels"])}
    specs = {a["id"]: a["name"] for label in labels.values() for a in label["attributes"]}
    found = []
    for shape in cvat.session.request("GET", f"/api/tasks/{task_id}/annotations")["shapes"]:
        parts = [(names[e["label_id"]], e["points"], e["outside"]) for e in shape["elements"]]
        said = sorted((specs[a["spec_id"]], a["value"]) for a in shape["attributes"])
        found.append((shape["frame"], shape["type"], names[shape["label_id"]], shape["points"], said, sorted(parts)))
    return found


@pytest.fixture(scope="module")
def empty_cvat(tmp_path_factory):
    """A CVAT that has no project yet, and numbers its tasks otherwise than the one that was lost."""
    server = SandboxProcess(tmp_path_factory.mktemp("cvat")).start()
    cvat = CvatClient(server.url, None, ADMIN, PASSWORD)
    cvat.session.request("POST", "/api/tasks", {"name": "somebody else's"})
    yield cvat
    server.stop()


@pytest.fixture(scope="module")
def inbox(kept, tmp_path_factory):
    """The inbox as it came back."""
    world, backup, _ = kept
    path = tmp_path_factory.mktemp("inbox") / "inbox.db"
    load_sqlite(world.shelf, backup.part("inbox"), {"inbox.db": path})
    return Inbox(f"sqlite:///{path}")


def test_tasks_come_back_with_what_is_drawn_and_where_people_were(kept, empty_cvat, inbox, monkeypatch):
    world, backup, drawn = kept
    [before] = inbox.reviews()
    with pytest.raises(CvatRefused, match="reefline cvat apply"):
        bring_tasks(empty_cvat, inbox, world.shelf, backup)
    assert empty_cvat.task_names() == ["somebody else's"]
    declared = declare(world.settings(), SurveyCatalog(world.surveys).all()[0])
    apply(empty_cvat, declared)

    request = empty_cvat.session.request

    def cut_off(method, path, body=None, **query):
        if method == "PATCH" and "project_id" in body:
            raise CvatRefused("cut off")
        return request(method, path, body, **query)

    monkeypatch.setattr(empty_cvat.session, "request", cut_off)
    assert bring_tasks(empty_cvat, inbox, world.shelf, backup).imported == 0
    assert inbox.reviews() == [before]
    monkeypatch.undo()
    done = bring_tasks(empty_cvat, inbox, world.shelf, backup)
    assert (done.imported, done.there) == (1, 0)
    assert done.problems == ["reef.0001.corners: CVAT has no user 'reefline': invite them and assign the jobs"]

    [after] = inbox.reviews()
    assert (after.batch, after.gate, after.state) == (before.batch, before.gate, before.state)
    assert after.task_id != before.task_id
    task = empty_cvat.session.request("GET", f"/api/tasks/{after.task_id}")
    assert (task["name"], task["project_id"]) == (
        "reef.0001.corners",
        empty_cvat.find_project(declared.projects[0].name),
    )
    assert marks(empty_cvat, after.task_id) == drawn
    [annotation, truth] = empty_cvat.jobs(after.task_id)
    assert (annotation.state, annotation.type, truth.type) == ("in progress", "annotation", "ground_truth")
    # The comparison with CVAT finds nothing that the inbox does not know, but the truth job it was never told of.
    found = reconcile(empty_cvat, inbox, grace=timedelta(0))
    assert (found.problems, found.healed) == ((), 1)

    again = bring_tasks(empty_cvat, inbox, world.shelf, backup)
    assert (again.imported, again.there, again.problems) == (0, 1, [])
    assert inbox.reviews()[0].task_id == after.task_id
    assert sorted(empty_cvat.task_names()) == ["reef.0001.corners", "somebody else's"]


def test_a_task_that_cvat_has_lost_is_a_problem_of_that_task_alone(kept):
    world, backup, _ = kept
    with world.cvat() as made:
        cvat = make_cvat(made.settings)
        [review] = Inbox(made.settings.inbox).reviews()
        cvat.delete_task(review.task_id)
        made_now = take_backup(made.settings, world.shelf, with_cvat=True)
    assert len(made_now.problems) == 1
    assert f"task {review.task_id} (reef.0001, corners) was not kept anew" in made_now.problems[0]
    assert made_now.part("cvat").items == backup.part("cvat").items
    assert made_now.part("store").items


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded contract is not here")
def test_the_sandbox_takes_a_file_that_a_real_cvat_wrote(empty_cvat):
    cvat = empty_cvat
    number = upload_backup(cvat.session, RECORDED / "task-backup.zip")
    task = cvat.session.request("GET", f"/api/tasks/{number}")
    assert (task["name"], task["project_id"], task["size"]) == ("task sdk254-28414 renamed", None, 3)
    spans = [(j["start_frame"], j["stop_frame"], j["state"]) for j in cvat.session.listed("/api/jobs", task_id=number)]
    assert sorted(spans) == [(0, 1, "new"), (2, 2, "new")]
    shapes = cvat.session.request("GET", f"/api/tasks/{number}/annotations")["shapes"]
    assert len(next(shape for shape in shapes if shape["type"] == "skeleton")["elements"]) == 117
    with pytest.raises(CvatRefused, match="Incorrect backup archive"):
        upload_backup(cvat.session, Path(__file__))
