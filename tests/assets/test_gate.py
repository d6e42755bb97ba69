"""A gate against a CVAT sandbox, a real server process: what people do in CVAT becomes labels or a second question."""

import cv2
import pytest

from assets import corals, corners, lattice
from assets.common.collect import SIGNED, collect_review
from assets.common.gate import GateNotReadyError, _project, create_review, task_name
from assets.raw import ingest
from inference.registry import ModelRegistry
from inference.scenes import render_quadrat
from labels.manifest import Status
from labels.schema import Source
from labels.survey import parse_survey
from orchestration.cli.cvat import apply, declare
from resources.cvat import CvatClient
from resources.inbox import Delivery, Inbox
from resources.inbox.letters import asked_project
from resources.object_store import LocalStore
from resources.offers import cut_new_batches
from resources.settings import Settings
from resources.surveys import FolderPhotos
from resources.tables import BatchTables
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess

SPEC = corners.GATE


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three small photo quadrats."""
    folder = tmp_path_factory.mktemp("photos")
    for number in (1, 2, 3):
        scene = render_quadrat(50 + number, difficulty=0.2, size=(900, 800))
        bgr = cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"Temae_2021_0{number}.jpg"), bgr)
    return folder


@pytest.fixture(scope="module")
def cvat(tmp_path_factory):
    """A client of a running sandbox."""
    sandbox = SandboxProcess(tmp_path_factory.mktemp("sandbox")).start()
    yield CvatClient(sandbox.url, username=ADMIN, password=PASSWORD)
    sandbox.stop()


class Bench:
    """A batch in front of its first gate, and hands to work in CVAT with."""

    def __init__(self, folder, photos, cvat, name, more=""):
        text = f"name: {name}\nphotos: {{folder: '{photos}'}}\nworkflow: two_stage\ntaxonomy: demo-reef\n{more}"
        self.cvat, self.survey = cvat, parse_survey(text, "reef.yaml")
        apply(cvat, declare(Settings(_env_file=None, webhook_secret="a secret of the test"), [self.survey]))
        self.tables = BatchTables(LocalStore(folder / "store"))
        self.inbox = Inbox(f"sqlite:///{folder / 'inbox.db'}")
        source = FolderPhotos(photos)
        [offer] = cut_new_batches(self.tables.store, self.survey, source.list())
        ingest(self.tables, self.survey, source, offer)
        self.batch = offer.batch
        corners.propose(self.tables, self.survey, self.batch, ModelRegistry())
        self.create()

    def create(self):
        return create_review(SPEC, self.tables, self.survey, self.batch, self.cvat, self.inbox)

    def collect(self):
        return collect_review(SPEC, self.tables, self.survey, self.batch, self.cvat)

    @property
    def task(self):
        [found] = [t for t in self.cvat.session.listed("/api/tasks") if t["name"] == task_name(self.batch, SPEC.gate)]
        return self.cvat.read_task(found["id"])

    def complete(self, **more):
        for job in self.task.jobs:
            self.cvat.session.request("PATCH", f"/api/jobs/{job.job_id}", {"state": "completed", **more})

    def draw(self, change):
        [job] = self.task.jobs
        kept = self.cvat.session.request("GET", f"/api/jobs/{job.job_id}/annotations")
        body = {"version": 0, "tags": [], "tracks": [], "shapes": change(kept["shapes"])}
        self.cvat.session.request("PUT", f"/api/jobs/{job.job_id}/annotations", body)

    def say(self, frame, message):
        [job] = self.task.jobs
        body = {"job": job.job_id, "frame": frame, "position": [1, 1], "message": message}
        self.cvat.session.request("POST", "/api/issues", body)

    def remove_frame(self, frame):
        path = f"/api/tasks/{self.task.task_id}/data/meta"
        self.cvat.session.request("PATCH", path, {"deleted_frames": [frame]})


def reviewed(bench):
    return bench.tables.manifest(SPEC.reviewed, bench.batch)


def test_a_batch_goes_to_people_with_its_prelabels_and_comes_back(tmp_path, photos, cvat):
    bench = Bench(tmp_path, photos, cvat, "plain")
    with pytest.raises(GateNotReadyError, match="not finished"):
        bench.collect()
    bench.complete()
    collected = bench.collect()
    assert collected.asked_again == ()
    assert [row.status for row in reviewed(bench)] == [Status.OK] * 3
    assert {shape.source for shape in bench.tables.labels(SPEC.reviewed, bench.batch)} == {Source.MODEL}


def test_a_mistake_sends_the_job_back_with_an_issue_on_the_picture_and_is_accepted_once_mended(tmp_path, photos, cvat):
    bench = Bench(tmp_path, photos, cvat, "mistake")
    taken = []

    def doubled(shapes):
        taken.extend(shapes)
        return [*shapes, shapes[1]]

    bench.draw(doubled)
    bench.complete()
    collected = bench.collect()
    assert collected.result is None
    assert len(collected.asked_again) == 1
    assert "2 corner skeletons" in collected.asked_again[0]
    assert not bench.tables.has(SPEC.reviewed, bench.batch), "the stages after it wait"
    [job] = bench.task.jobs
    assert job.state == "in progress"
    [issue] = cvat.issues(bench.task.task_id)
    assert issue.words[0].startswith(SIGNED)
    bench.draw(lambda shapes: shapes[:3])
    bench.complete()
    assert bench.collect().asked_again == ()
    assert [row.status for row in reviewed(bench)] == [Status.OK] * 3


def test_a_mistake_that_stays_is_a_recorded_failure_and_the_batch_goes_on(tmp_path, photos, cvat):
    bench = Bench(tmp_path, photos, cvat, "stubborn")
    bench.draw(lambda shapes: shapes[1:])
    bench.complete()
    assert len(bench.collect().asked_again) == 1
    bench.complete()
    assert bench.collect().asked_again == ()
    rows = reviewed(bench)
    assert sorted(row.status for row in rows) == [Status.FAILED, Status.OK, Status.OK]
    [failed] = [row for row in rows if row.status == Status.FAILED]
    assert "0 corner skeletons" in failed.reason


def test_a_removed_frame_is_left_out_with_the_reason_the_person_gave(tmp_path, photos, cvat):
    bench = Bench(tmp_path, photos, cvat, "removed")
    bench.say(2, "a fish hides the frame")
    bench.say(0, "is this corner right?")
    bench.remove_frame(2)
    bench.complete()
    assert bench.collect().asked_again == ()
    rows = {row.extra["why"] if row.status == Status.OK else row.reason: row for row in reviewed(bench)}
    assert "removed from the task by a person in CVAT (admin: a fish hides the frame)" in rows
    words = [word for row in reviewed(bench) for word in row.extra.get("issues", [])]
    assert words == ["admin: is this corner right?"]


def test_jobs_are_done_in_the_stage_the_survey_asks_for(tmp_path, photos, cvat):
    bench = Bench(tmp_path, photos, cvat, "accepted", "cvat: {done_at: acceptance}\n")
    bench.complete()
    with pytest.raises(GateNotReadyError, match="annotation, completed"):
        bench.collect()
    bench.complete(stage="acceptance")
    assert bench.collect().result is not None


def test_a_webhook_of_the_old_bridge_chooses_the_project_of_the_next_task(tmp_path, photos, cvat):
    bench = Bench(tmp_path, photos, cvat, "bridge")
    bench.complete()
    job = bench.task.jobs[0].job_id
    told = cvat.session.request("GET", f"/api/jobs/{job}")
    body = {"event": "update:job", "job": told, "before_update": {"state": "new"}, "webhook_id": 9}
    path = "/crop-quadrat-and-create-new-task-webhook"
    lattice_labels = lattice.GATE.labels(bench.survey)
    number = cvat.create_project("a project of the old site", lattice_labels)
    bench.inbox.insert(Delivery("update:job", body, "webhook", path, {"target_proj_id": str(number)}))
    assert asked_project(bench.inbox, bench.batch, "lattice") == number
    assert asked_project(bench.inbox, bench.batch, "corners") is None
    assert _project(lattice.GATE, bench.survey, bench.batch, cvat, bench.inbox) == number
    with pytest.raises(GateNotReadyError, match="lacks the labels"):
        _project(corals.GATE, bench.survey, bench.batch, cvat, bench.inbox)


def test_a_second_run_asks_for_the_same_task_and_registers_nothing_new(tmp_path, photos, cvat):
    bench = Bench(tmp_path, photos, cvat, "again")
    first = bench.task.task_id
    bench.create()
    assert bench.task.task_id == first
    assert len(bench.inbox.reviews()) == 1
