"""Ground truth of the coral gate against a CVAT sandbox: honeypots and ground-truth jobs, made, filled, read back."""

from collections import Counter
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from assets.common.collect import collect_review
from assets.common.gate import GateNotReadyError, create_review, task_name
from assets.common.stage import Done, Work, run_stage, shapes_by_image
from assets.common.truth import honeypots_stage, truth_stage
from assets.corals import GATE as SPEC
from assets.quality import answers_and_truth
from assets.raw import ingest
from labels.manifest import Status
from labels.schema import Kind, Shape, Source
from labels.survey import parse_survey
from orchestration.cli.cvat import apply, declare
from resources.cvat import CvatClient, CvatUnavailable
from resources.inbox import Inbox
from resources.object_store import LocalStore
from resources.offers import cut_new_batches
from resources.settings import Settings
from resources.surveys import FolderPhotos
from resources.tables import BatchTables
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess

HONEYPOTS = "cvat: {job_size: 3, honeypots: {pool_share: 0.25, per_job: 1}}\n"
GROUND_TRUTH = "cvat: {ground_truth: {share: 0.25}}\n"
PICTURES = 8
RING = [10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Small photos, each of another grey."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PICTURES):
        noise = np.random.default_rng(number).integers(0, 255, (64, 80, 3), dtype=np.uint8)
        data = BytesIO()
        Image.fromarray(noise).save(data, "JPEG")
        (folder / f"Temae_2021_{number:02d}.jpg").write_bytes(data.getvalue())
    return folder


@pytest.fixture(scope="module")
def cvat(tmp_path_factory):
    """A client of a running sandbox."""
    sandbox = SandboxProcess(tmp_path_factory.mktemp("sandbox")).start()
    yield CvatClient(sandbox.url, username=ADMIN, password=PASSWORD)
    sandbox.stop()


class Bench:
    """A batch in front of the coral gate: every picture has one proposal, at a place of its own."""

    def __init__(self, folder, photos, cvat, name, more):
        text = f"name: {name}\nphotos: {{folder: '{photos}'}}\nworkflow: one_stage\ntaxonomy: demo-reef\n{more}"
        self.cvat, self.survey = cvat, parse_survey(text, "reef.yaml")
        apply(cvat, declare(Settings(_env_file=None, webhook_secret="a secret of the test"), [self.survey]))
        self.tables = BatchTables(LocalStore(folder / "store"))
        self.inbox = Inbox(f"sqlite:///{folder / 'inbox.db'}")
        source = FolderPhotos(photos)
        [offer] = cut_new_batches(self.tables.store, self.survey, source.list())
        ingest(self.tables, self.survey, source, offer)
        self.batch = offer.batch
        rows = self.tables.manifest("images/raw", self.batch)
        self.place = {row.image_id: 12.0 + 4 * number for number, row in enumerate(rows)}

        def propose(work):
            x = self.place[work.image_id]
            ring = [x, 10.0, x + 20, 10.0, x + 20, 30.0, x, 30.0]
            shape = Shape(work.image_id, f"{work.image_id}:0", Kind.POLYGON, "Porites", ring, score=0.5, model="m@1")
            return Done(extra={"score": 0.5, "defects": []}, shapes=[shape])

        run_stage(
            self.tables, SPEC.proposed, self.batch, [Work(r) for r in rows], propose, code_version="1", labels=True
        )

    def create(self):
        return create_review(SPEC, self.tables, self.survey, self.batch, self.cvat, self.inbox)

    def collect(self):
        return collect_review(SPEC, self.tables, self.survey, self.batch, self.cvat)

    @property
    def task(self):
        [found] = [t for t in self.cvat.session.listed("/api/tasks") if t["name"] == task_name(self.batch, SPEC.gate)]
        return self.cvat.read_task(found["id"])

    def jobs(self, kind):
        return [job for job in self.task.jobs if job.type == kind]

    def complete(self, kind):
        for job in self.jobs(kind):
            self.cvat.session.request("PATCH", f"/api/jobs/{job.job_id}", {"state": "completed"})

    def draw(self, job, shapes):
        body = {"version": 0, "tags": [], "tracks": [], "shapes": shapes}
        self.cvat.session.request("PUT", f"/api/jobs/{job.job_id}/annotations", body)

    def outline(self, frame, points=RING):
        label = self.task.labels["Acropora"]["id"]
        return {"type": "polygon", "frame": frame, "label_id": label, "points": points}

    def image_ids(self):
        """Image id by frame, of all frames."""
        names = self.cvat.frame_names(self.task.task_id)
        return [next(i for i in self.place if i in name) for name in names]

    def rows(self):
        return {row.image_id: row for row in self.tables.manifest(SPEC.reviewed, self.batch)}

    def heard(self):
        """What the inbox holds due once it knows the jobs as they are now."""
        self.inbox.apply_job_states(self.cvat.jobs(self.task.task_id))
        self.inbox.interpret_new()
        return self.inbox.due()


@pytest.fixture
def bench(tmp_path, photos, cvat, request):
    """A batch whose task has honeypots."""
    name = f"honey-{abs(hash(request.node.name)) % 10**8}"
    made = Bench(tmp_path, photos, cvat, name, HONEYPOTS)
    made.create()
    return made


def test_prelabels_lie_on_their_pictures_also_where_one_is_shown_again_and_not_in_the_ground_truth_job(bench):
    layout, shown = bench.task.layout, bench.image_ids()
    assert (layout.mode, len(layout.truth), len(layout.honeypots)) == ("gt_pool", 2, 2)
    drawn = {}
    for job in bench.jobs("annotation"):
        for shape in job.annotations["shapes"]:
            drawn[shape["frame"]] = shape["points"][0] - 0.5
    assert drawn == {f: bench.place[i] for f, i in enumerate(shown) if f not in layout.truth}
    [truth] = bench.jobs("ground_truth")
    assert truth.annotations["shapes"] == []
    own = bench.task.frames.values()
    assert sorted(own) == [f for f in range(len(shown)) if f not in layout.honeypots]


def test_a_second_run_finds_the_task_and_touches_nothing(bench):
    before = bench.task
    bench.create()
    assert bench.task == before
    assert len(bench.inbox.reviews()) == 1


@pytest.mark.parametrize("broken", ["/validation_layout", "/annotations"])
def test_a_run_that_dies_half_way_leaves_one_whole_task_after_a_retry(tmp_path, photos, cvat, monkeypatch, broken):
    bench = Bench(tmp_path, photos, cvat, f"died-{len(broken)}", HONEYPOTS)
    plain, left = cvat.session.request, [1]

    def request(method, path, *args, **query):
        if path.endswith(broken):
            left[0] -= 1
            if left[0] < 0:
                raise CvatUnavailable("gone")
        return plain(method, path, *args, **query)

    left[0] = 0 if broken == "/validation_layout" else 1  # of the annotations, one job's are saved
    monkeypatch.setattr(cvat.session, "request", request)
    with pytest.raises(CvatUnavailable):
        bench.create()
    monkeypatch.undo()
    bench.create()
    assert sum(len(job.annotations["shapes"]) for job in bench.jobs("annotation")) == PICTURES
    names = [t["name"] for t in cvat.session.listed("/api/tasks") if t["name"].startswith(bench.batch)]
    assert names == [task_name(bench.batch, SPEC.gate)]


def test_a_batch_waits_for_the_ground_truth_of_its_pool(bench):
    bench.complete("annotation")
    assert bench.heard() == []
    [status] = bench.inbox.reviews()
    assert (status.jobs_done, status.jobs_total) == (2, 3)
    with pytest.raises(GateNotReadyError, match="not finished"):
        bench.collect()
    bench.complete("ground_truth")
    assert [(due.batch, due.gate) for due in bench.heard()] == [(bench.batch, "corals")]
    assert bench.collect().result is not None


def test_pool_pictures_get_the_labels_of_the_ground_truth_and_the_copies_are_kept_beside(bench):
    layout, shown = bench.task.layout, bench.image_ids()
    pool = {shown[frame]: frame for frame in layout.truth}
    [truth] = bench.jobs("ground_truth")
    first, second = bench.jobs("annotation")
    bench.draw(truth, [bench.outline(frame) for frame in pool.values()])
    bench.draw(second, [])  # this annotator deletes everything, also on the placeholder
    for kind in ("annotation", "ground_truth"):
        bench.complete(kind)
    result = bench.collect().result
    assert result.count(Status.OK) == PICTURES
    labels = bench.tables.labels(SPEC.reviewed, bench.batch)
    of_pool = [shape for shape in labels if shape.image_id in pool]
    assert {(s.image_id, s.label, s.source, s.cvat_job) for s in of_pool} == {
        (image_id, "Acropora", Source.HUMAN, truth.job_id) for image_id in pool
    }
    others = {s.image_id for s in labels} - pool.keys()
    assert others == {shown[f] for f in range(first.start_frame, first.stop_frame + 1)} - pool.keys()
    copies = bench.tables.labels(honeypots_stage("corals"), bench.batch)
    [trap] = [f for f in layout.honeypots if f <= first.stop_frame]
    assert [(s.image_id, s.cvat_job, s.cvat_frame, s.label, s.source) for s in copies] == [
        (shown[trap], first.job_id, trap, "Porites", Source.MODEL)
    ]
    kept = bench.tables.labels(truth_stage("corals"), bench.batch)
    assert {(s.image_id, s.label) for s in kept} == {(image_id, "Acropora") for image_id in pool}
    rows = bench.rows()
    assert {image_id for image_id, row in rows.items() if "truth" in row.extra} == pool.keys()
    # The picture on whose placeholder nothing is left is an answer, too.
    asked = Counter(seen["job"] for image_id in pool for seen in rows[image_id].extra["truth"]["honeypots"])
    assert asked == {first.job_id: 1, second.job_id: 1}
    # Quality holds each annotator's copy against the truth of its picture.
    answers, said = answers_and_truth(bench.tables, bench.batch, list(result.rows), shapes_by_image(labels))
    assert sorted((a.job, len(a.shapes)) for a in answers) == [(first.job_id, 1), (second.job_id, 0)]
    assert said.keys() == pool.keys()
    assert {s.label for shapes in said.values() for s in shapes} == {"Acropora"}
    again = bench.collect().result
    assert (again.redone, again.rows) == (0, result.rows)


def test_a_pool_picture_given_up_is_a_recorded_outcome_and_one_only_left_out_of_the_validation_keeps_its_labels(bench):
    layout, shown = bench.task.layout, bench.image_ids()
    given_up, kept = sorted(layout.truth)
    [truth] = bench.jobs("ground_truth")
    bench.draw(truth, [bench.outline(kept)])
    path = f"/api/jobs/{truth.job_id}/data/meta"
    bench.cvat.session.request("PATCH", path, {"deleted_frames": [given_up, kept]})
    trap, real = sorted(layout.honeypots.items())[0]
    task_meta = f"/api/tasks/{bench.task.task_id}/data/meta"
    bench.cvat.session.request("PATCH", task_meta, {"deleted_frames": [trap]})
    for kind in ("annotation", "ground_truth"):
        bench.complete(kind)
    bench.collect()
    rows = bench.rows()
    assert rows[shown[given_up]].status == Status.FAILED
    assert "removed from the task by a person in CVAT" in rows[shown[given_up]].reason
    assert rows[shown[kept]].extra["truth"]["disabled"]
    assert [s.image_id for s in bench.tables.labels(truth_stage("corals"), bench.batch)] == [shown[kept]]
    copies = bench.tables.labels(honeypots_stage("corals"), bench.batch)
    assert trap not in {s.cvat_frame for s in copies}
    assert len(copies) == 1, "an annotator who removes a placeholder removes no picture"
    assert [i for i, row in rows.items() if row.status == Status.FAILED] == [shown[given_up]]
    assert real in layout.truth


def test_a_defect_in_the_ground_truth_goes_back_to_its_job_and_one_on_a_placeholder_to_nobody(bench):
    layout, shown = bench.task.layout, bench.image_ids()
    frame = min(layout.truth)
    [truth] = bench.jobs("ground_truth")
    first, _ = bench.jobs("annotation")
    [trap] = [f for f in layout.honeypots if f <= first.stop_frame]
    line = {"type": "polyline", "label_id": bench.task.labels["Acropora"]["id"], "points": [1, 1, 9, 9]}
    bench.draw(truth, [{**line, "frame": frame}])
    bench.draw(first, [*first.annotations["shapes"], {**line, "frame": trap}])
    for kind in ("annotation", "ground_truth"):
        bench.complete(kind)
    [told] = bench.collect().asked_again
    assert shown[frame] in told
    assert [job.state for job in bench.jobs("ground_truth")] == ["in progress"]
    assert {job.state for job in bench.jobs("annotation")} == {"completed"}


def test_a_single_picture_is_not_hidden_among_others(tmp_path, photos, cvat):
    alone = tmp_path / "alone"
    alone.mkdir()
    first = sorted(photos.iterdir())[0]
    (alone / first.name).write_bytes(first.read_bytes())
    bench = Bench(tmp_path, alone, cvat, "alone", HONEYPOTS)
    bench.create()
    assert bench.task.layout.mode is None
    bench.complete("annotation")
    assert bench.collect().result.count(Status.OK) == 1


def test_a_ground_truth_job_beside_the_others_holds_nothing_up_and_is_kept_when_it_is_done(tmp_path, photos, cvat):
    bench = Bench(tmp_path, photos, cvat, "beside", GROUND_TRUTH)
    bench.create()
    bench.complete("annotation")
    assert len(bench.heard()) == 1
    bench.collect()
    shown = bench.image_ids()
    chosen = {shown[frame] for frame in bench.task.layout.truth}
    assert len(chosen) == 2
    told = {i: row.extra["truth"] for i, row in bench.rows().items() if "truth" in row.extra}
    assert told.keys() == chosen
    assert not any(about["done"] for about in told.values())
    [truth] = bench.jobs("ground_truth")
    bench.draw(truth, [bench.outline(min(bench.task.layout.truth))])
    bench.complete("ground_truth")
    assert bench.collect().result.redone == 2
    assert all(bench.rows()[i].extra["truth"]["done"] for i in chosen)
    assert len(bench.tables.labels(truth_stage("corals"), bench.batch)) == 1
    assert {s.label for s in bench.tables.labels(SPEC.reviewed, bench.batch)} == {"Porites"}
