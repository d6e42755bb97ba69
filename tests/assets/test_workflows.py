"""The three workflows and the gates' policies, stage by stage, without CVAT where nobody is asked."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from analytics.release import FORMATS, verify, write_release
from analytics.release.verify import sha256_of
from assets import clean, corals, corners, cover, lattice, quality, rectified, release
from assets.common.collect import collect_review
from assets.common.dataset import UnfitError, batch_loader, plan_release
from assets.common.gate import GateNotReadyError, create_review, decide
from assets.common.release_page import page_of_release, write_page
from assets.raw import ingest
from inference.registry import ModelRegistry
from inference.scenes import render_quadrat
from labels.manifest import ManifestRow, Status
from labels.schema import Shape
from labels.survey import GatePolicy, SurveyError, parse_survey
from labels.transforms import Rectification
from resources.cvat import CvatClient
from resources.imports import OUTLINES, save_import
from resources.inbox import Inbox
from resources.object_store import LocalStore, MissingObjectError
from resources.offers import cut_new_batches
from resources.releases import RehearsalShelf, ReleaseError, ReleaseRequest, ReleaseShelf, release_key
from resources.surveys import FolderPhotos, SurveyCatalog
from resources.tables import BatchTables

NOBODY = CvatClient("")
BATCH = "reef.0001"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """One photo quadrat with strings, and the same ground straight and clean; a picture without a frame beside each."""
    folder = tmp_path_factory.mktemp("photos")
    scene = render_quadrat(42, difficulty=0.2, size=(1400, 1200))
    for name, image in (("raw", scene.image), ("clean", scene.clean(700))):
        (folder / name).mkdir()
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / name / "Temae_2021_01.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return folder


def begin(tmp_path, photos, workflow, extra="", policy="never"):
    gates = {
        "three_stage": ("corners", "lattice", "corals"),
        "two_stage": ("corners", "corals"),
        "one_stage": ("corals",),
    }
    policies = ", ".join(f"{gate}: {{policy: {policy}}}" for gate in gates[workflow])
    text = (
        f"name: reef\nphotos: {{folder: '{photos}'}}\ntaxonomy: demo-reef\nworkflow: {workflow}\n"
        f"frame: {{side_cm: 50, rectified_px: 768}}\ngates: {{{policies}}}\n{extra}"
    )
    (tmp_path / "surveys").mkdir()
    (tmp_path / "surveys" / "reef.yaml").write_text(text)
    survey = parse_survey(text, "reef.yaml")
    tables = BatchTables(LocalStore(tmp_path / "store"))
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    source = FolderPhotos(photos)
    [offer] = cut_new_batches(tables.store, survey, source.list())
    ingest(tables, survey, source, offer)
    return survey, tables, inbox


def pass_gate(spec, survey, tables, inbox):
    """Through a gate that asks nobody: finished at once, by the inbox as every other."""
    create_review(spec, tables, survey, BATCH, NOBODY, inbox)
    inbox.interpret_new()
    [due] = inbox.due()
    assert (due.batch, due.gate, due.task_id) == (BATCH, spec.gate, None)
    collect_review(spec, tables, survey, BATCH, NOBODY)
    inbox.mark_done(BATCH, spec.gate, due.last_id, "run")
    assert inbox.due() == []


@pytest.mark.parametrize("workflow", ["three_stage", "two_stage", "one_stage"])
def test_a_survey_that_asks_nobody_goes_from_photo_to_release(tmp_path, photos, workflow):
    survey, tables, inbox = begin(tmp_path, photos / ("clean" if workflow == "one_stage" else "raw"), workflow)
    corners.propose(tables, survey, BATCH, ModelRegistry())
    pass_gate(corners.GATE, survey, tables, inbox)
    rectified.straighten(tables, survey, BATCH)
    lattice.propose(tables, survey, BATCH, ModelRegistry())
    pass_gate(lattice.GATE, survey, tables, inbox)
    clean.clean(tables, survey, BATCH)
    corals.propose(tables, survey, BATCH, ModelRegistry())
    pass_gate(corals.GATE, survey, tables, inbox)

    [picture] = tables.manifest("images/clean", BATCH)
    [photo] = tables.manifest("images/raw", BATCH)
    if workflow == "one_stage":
        assert picture.status == Status.SKIPPED
        assert picture.uri == photo.uri, "pixels were copied though no stage applied"
    else:
        assert (picture.width, picture.height) == (768, 768)
        assert picture.extra["frame_cm"] == 50
    assert ("mask_uri" in picture.extra) == (workflow == "three_stage")
    assert tables.labels("corals/reviewed", BATCH), "no colony was found in a picture full of them"

    table = cover.measure(tables, survey, BATCH)
    tables.write_table("cover/quadrats", BATCH, table)
    report = quality.write_report(tables, survey, BATCH)
    assert table["sd_labels"].null_count == table.num_rows, "a model's labels were taken for exact"
    assert (report.figures["corals"]["pictures"], report.figures["corals"]["accuracy"]) == (0, None)
    assert report.figures["corners"]["rms_px"] is None
    assert tables.table("quality/changes", BATCH).num_rows == 0, "proposals that nobody saw count as kept"
    page = tables.store.get(quality.page_key(BATCH)).decode()
    assert "Passes the thresholds of its survey" in page
    assert "how good the proposals are is not known" in page
    assert "http" not in page, "a report must be readable offline"
    assert 0.02 < sum(table["share"].to_pylist()) < 0.9
    catalog = SurveyCatalog(tmp_path / "surveys")
    asked = ReleaseRequest("reef-1", (BATCH,), formats=FORMATS)
    given = batch_loader(tables, catalog)(BATCH)
    assert [row["raw_sha256"] for row in given.images] == [photo.extra["original_sha256"]]
    assert len(given.corners) == (workflow != "one_stage")
    assert len(given.lattice) == (workflow == "three_stage")
    plan = plan_release(tables, catalog, asked)
    record = write_release(plan, batch_loader(tables, catalog), ReleaseShelf(tables.store, "reef-1"))
    assert record["checked_objects"] == record["counts"]["colonies"] == len(given.shapes)
    stored = release.stored_sums(tables.store, "reef-1")
    assert verify(stored.keys(), lambda p: tables.store.get(release_key("reef-1", p)), stored.get) == []
    again = RehearsalShelf(tables.store, sha256_of)
    write_release(plan, batch_loader(tables, catalog), again, check=False)
    assert again.sums == {path: digest for path, digest in stored.items() if path != "release.json"}
    assert not list(tables.store.keys("releases/parts/"))
    sizes, _ = cover.details(tables, survey, BATCH)
    tables.write_table(cover.COLONIES, BATCH, sizes)
    write_page(tables, plan, record)
    page = tables.store.get(page_of_release("reef-1")).decode()
    assert "http" not in page, "a report must be readable offline"
    assert f"../../quality/report/{BATCH}.html" in page
    assert "Dataset, release reef-1" in page
    the_end_of_a_release(tables, catalog, plan, picture)


def the_end_of_a_release(tables, catalog, plan, picture):
    """A finished release never changes, has it a page or not, and none can be made of pictures that are gone."""
    record = json.loads(tables.store.get(release_key("reef-1", "release.json")))
    assert release.page_or_why(tables, plan, record).value.endswith("reef-1.html")
    tables.store.delete(f"tables/quality/changes/{BATCH}.parquet")
    assert "quality/changes of batch reef.0001 has not been made" in release.page_or_why(tables, plan, record).value
    [_, *rest] = tables.labels("corals/reviewed", BATCH)
    tables.write_labels("corals/reviewed", BATCH, rest)
    before = tables.store.get(release_key("reef-1", "release.json"))
    with pytest.raises(ReleaseError, match="a release never changes"):
        write_release(plan, batch_loader(tables, catalog), ReleaseShelf(tables.store, "reef-1"))
    assert tables.store.get(release_key("reef-1", "release.json")) == before
    tables.store.delete(picture.uri)
    shelf = ReleaseShelf(tables.store, "reef-2")
    with pytest.raises(MissingObjectError, match=r"Temae_2021_01.jpg .* is gone from the store"):
        write_release(dataclasses.replace(plan, name="reef-2"), batch_loader(tables, catalog), shelf)
    assert not list(tables.store.keys("releases/made/reef-2/"))


def test_a_batch_below_its_thresholds_is_released_only_with_a_reason_that_is_kept(tmp_path, photos):
    strict = "quality:\n  forbidden: [tiny, sliver, overlap]\n"
    survey, tables, inbox = begin(tmp_path, photos / "clean", "one_stage", strict)
    for stage in (corners, lattice):
        stage.propose(tables, survey, BATCH, ModelRegistry())
        pass_gate(stage.GATE, survey, tables, inbox)
        rectified.straighten(tables, survey, BATCH)
    clean.clean(tables, survey, BATCH)
    corals.propose(tables, survey, BATCH, ModelRegistry())
    speck = dataclasses.replace(tables.labels("corals/proposed", BATCH)[0], shape_id="speck", points=[5, 5, 7, 5, 7, 7])
    tables.write_labels("corals/proposed", BATCH, [*tables.labels("corals/proposed", BATCH), speck])
    pass_gate(corals.GATE, survey, tables, inbox)
    tables.write_table("cover/quadrats", BATCH, cover.measure(tables, survey, BATCH))
    reasons = quality.write_report(tables, survey, BATCH).figures["reasons"]
    assert "break the rule 'tiny', the first is speck" in reasons[0]
    assert "Not fit for a release" in tables.store.get(quality.page_key(BATCH)).decode()
    catalog = SurveyCatalog(tmp_path / "surveys")
    with pytest.raises(UnfitError, match="'tiny'"):
        plan_release(tables, catalog, ReleaseRequest("reef-1", (BATCH,)))
    asked = ReleaseRequest("reef-1", (BATCH,), override="a speck of paint, agreed with Anna")
    shelf = ReleaseShelf(tables.store, "reef-1")
    record = write_release(plan_release(tables, catalog, asked), batch_loader(tables, catalog), shelf)
    assert record["override"] == asked.override
    assert asked.override in tables.store.get(release_key("reef-1", "README.md")).decode()


def test_two_taxonomies_in_one_release_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("name: a\nphotos: {folder: x}\ntaxonomy: demo-reef\n")
    (tmp_path / "b.yaml").write_text("name: b\nphotos: {folder: x}\ntaxonomy: agnostic\nmodels: {corals: m}\n")
    tables, catalog = BatchTables(LocalStore(tmp_path / "store")), SurveyCatalog(tmp_path)
    with pytest.raises(SurveyError, match=r"different taxonomies \(agnostic, demo-reef\)"):
        plan_release(tables, catalog, ReleaseRequest("r", ("a.0001", "b.0001")))
    with pytest.raises(SurveyError, match="'Nemo' is not a taxon of demo-reef@1"):
        plan_release(tables, catalog, ReleaseRequest("r", ("a.0001",), taxa=("Nemo",)))


def test_a_photo_without_a_frame_is_a_recorded_failure_when_nobody_is_asked(tmp_path, photos):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "Temae_2021_01.jpg").write_bytes((photos / "raw" / "Temae_2021_01.jpg").read_bytes())
    cv2.imwrite(
        str(folder / "Temae_2021_02.jpg"),
        cv2.GaussianBlur(cv2.imread(str(photos / "clean" / "Temae_2021_01.jpg")), (0, 0), 9),
    )
    survey, tables, inbox = begin(tmp_path, folder, "two_stage")
    corners.propose(tables, survey, BATCH, ModelRegistry())
    pass_gate(corners.GATE, survey, tables, inbox)
    result = rectified.straighten(tables, survey, BATCH)
    reviewed = {row.status: row for row in tables.manifest("corners/reviewed", BATCH)}
    assert set(reviewed) == {Status.OK, Status.FAILED}
    assert reviewed[Status.FAILED].reason
    assert len(result.rows) == 1


def test_a_gate_without_its_project_says_what_to_run(tmp_path, photos):
    class Empty(CvatClient):
        def find_project(self, name, organization=None):
            return None

    survey, tables, inbox = begin(tmp_path, photos / "raw", "three_stage", policy="always")
    corners.propose(tables, survey, BATCH, ModelRegistry())
    with pytest.raises(GateNotReadyError, match="reefline cvat apply"):
        create_review(corners.GATE, tables, survey, BATCH, Empty(""), inbox)
    assert inbox.reviews() == []


def row(score=0.9, defects=(), status=Status.OK):
    return ManifestRow("a" * 16, "s", status, "1", extra={"score": score, "defects": list(defects)}, reason="workflow")


@pytest.mark.parametrize(
    ("policy", "given", "person", "why"),
    [
        ("always", row(1.0), True, "always"),
        ("never", row(0.0, ["no frame found"]), False, "never"),
        ("when_doubtful", row(0.95), False, "0.95"),
        ("when_doubtful", row(0.5), True, "score 0.50 is under 0.90"),
        ("when_doubtful", row(0.95, ["corner 2 outside"]), True, "corner 2 outside"),
        ("always", row(1.0, status=Status.SKIPPED), False, "workflow"),
    ],
)
def test_the_policy_decides_and_says_why(policy, given, person, why):
    decision = decide(GatePolicy(policy=policy), given)
    assert decision.person == person
    assert why in decision.reason


def test_imported_labels_are_what_the_coral_gate_proposes_in_the_straightened_picture(tmp_path, photos):
    survey, tables, inbox = begin(tmp_path, photos / "raw", "two_stage")
    [photo] = tables.manifest("images/raw", BATCH)
    corners.propose(tables, survey, BATCH, ModelRegistry())
    pass_gate(corners.GATE, survey, tables, inbox)
    rectified.straighten(tables, survey, BATCH)
    lattice.propose(tables, survey, BATCH, ModelRegistry())
    pass_gate(lattice.GATE, survey, tables, inbox)
    clean.clean(tables, survey, BATCH)
    [picture] = tables.manifest("images/clean", BATCH)
    warp = Rectification.from_json(picture.extra)
    wanted = [[100, 100], [300, 100], [300, 300], [100, 300]]
    half_out = [[-200, 400], [200, 400], [200, 500], [-200, 500]]
    beyond = [[-300, -300], [-200, -300], [-200, -200]]
    shapes = [
        Shape(photo.image_id, f"{photo.image_id}:import{n}", "polygon", "Porites", warp.to_raw(ring).ravel().tolist())
        for n, ring in enumerate((wanted, half_out, beyond))
    ]
    for shape in shapes:
        shape.source = "human"
    save_import(tables.store, "reef", "old", OUTLINES, shapes, {})
    result = corals.propose(tables, survey, BATCH, ModelRegistry())
    proposed = tables.labels("corals/proposed", BATCH)
    assert [s.source for s in proposed] == ["human", "human"]
    assert np.allclose(np.reshape(proposed[0].points, (-1, 2)), wanted, atol=0.1)
    assert min(proposed[1].points[::2]) == -0.5
    [row_made] = result.rows
    assert (row_made.extra["imported"], row_made.extra["imported_outside"]) == (3, 1)
    assert decide(GatePolicy(policy="when_doubtful"), row_made).person
    assert corals.propose(tables, survey, BATCH, ModelRegistry()).redone == 0
    save_import(tables.store, "reef", "old", OUTLINES, shapes[:1], {})
    assert corals.propose(tables, survey, BATCH, ModelRegistry()).redone == 1
