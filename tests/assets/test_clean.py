"""``images/clean``: each outcome is recorded, the mask is kept, and a model that is not there stops the stage."""

import hashlib

import cv2
import dagster as dg
import numpy as np
import pytest
import yaml

from assets import clean
from assets.common.before_after import before_after_sheet, crop
from assets.common.pictures import load_rgb, save_jpeg
from assets.common.stage import Share
from inference.registry import ModelRegistry
from inference.removal import string_mask
from labels.lattice import load_topology
from labels.manifest import ManifestRow, Status
from labels.schema import OUTSIDE, Kind, Shape
from labels.survey import SurveyError, parse_survey
from resources.object_store import LocalStore
from resources.tables import BatchTables

BATCH, SIDE = "reef.0001", 512
GRID = load_topology("grid-7x7")


def survey(removal):
    return parse_survey(
        "name: reef\nphotos: {folder: in}\ntaxonomy: demo-reef\nlattice: {topology: grid-7x7, string_width_px: 3}\n"
        f"frame: {{rectified_px: {SIDE}}}\nremoval: {removal}\n",
        "reef.yaml",
    )


def reef(tape=False):
    noise = np.random.default_rng(1).normal(0, 1, (SIDE, SIDE, 3)).astype(np.float32)
    picture = np.clip(110 + 200 * cv2.GaussianBlur(noise, (0, 0), 5), 0, 190).astype(np.uint8)
    if tape:
        cv2.line(picture, (0, 210), (SIDE, 240), (240, 238, 230), 14, cv2.LINE_AA)
    picture[string_mask(GRID.ideal(SIDE), GRID, SIDE, 1).core] = (235, 120, 60)
    return picture


@pytest.fixture
def tables(tmp_path):
    """Three reviewed pictures: one as it should be, one with a tape, one whose file holds another picture's nodes."""
    tables = BatchTables(LocalStore(tmp_path / "store"))
    rows, shapes = [], []
    for name, picture, nodes in (
        ("plain", reef(), GRID.ideal(SIDE)),
        ("taped", reef(tape=True), GRID.ideal(SIDE)),
        ("wrong", reef(), GRID.ideal(SIDE)[:5]),
    ):
        sha256, uri = save_jpeg(tables, "rectified", picture)
        rows.append(ManifestRow(name, "0" * 64, Status.OK, "1", sha256, uri, SIDE, SIDE))
        hidden = {OUTSIDE: ",".join(GRID.node_ids[:2])} if name == "plain" else {}
        shapes.append(Shape(name, name, Kind.SKELETON, "lattice", nodes.ravel().tolist(), attributes=hidden))
    for stage in (clean.RECTIFIED, clean.LATTICE.reviewed):
        tables.write_manifest(stage, BATCH, rows)
    tables.write_labels(clean.LATTICE.reviewed, BATCH, shapes)
    return tables


def mask_of(tables, row):
    return cv2.imdecode(np.frombuffer(tables.store.get(row.extra["mask_uri"]), np.uint8), cv2.IMREAD_GRAYSCALE)


def test_a_bad_picture_is_recorded_and_the_others_are_cleaned(tables):
    result = clean.clean(tables, survey("{method: telea, tape: paint}"), BATCH)
    rows = {row.image_id: row for row in result.rows}
    assert rows["wrong"].status == Status.FAILED
    assert "needs 49 finite nodes" in rows["wrong"].reason
    for name in ("plain", "taped"):
        row = rows[name]
        assert row.status == Status.OK and row.model == "opencv-telea@2" and row.duration_ms > 0
        mask = mask_of(tables, row)
        assert set(np.unique(mask)) == {0, 255}
        assert row.extra["inpainted_share"] == pytest.approx((mask > 0).mean())
        assert row.extra["removal_score"] > 0.5
        assert row.extra["string_width_px"] == 3
    assert rows["taped"].extra["tape_width_px"] == pytest.approx(14, abs=3)
    along = np.arange(0, SIDE, 9)
    assert (mask_of(tables, rows["taped"])[210 + 30 * along // SIDE, along] == 255).all()
    assert rows["plain"].extra["removal_defects"] == ["no survey tape was found"]
    assert clean.counts(result.rows)["pictures_with_tape"] == 1
    assert clean.counts(result.rows)["pictures_to_look_at"] == 1
    again = clean.clean(tables, survey("{method: telea, tape: paint}"), BATCH)
    assert again.redone == 1, "only the failed one is tried again"
    assert clean.clean(tables, survey("{method: telea, tape: paint, dilation_px: 1}"), BATCH).redone == 3


def test_the_shipped_painter_is_the_default_and_is_named_in_the_manifest(tables):
    result = clean.clean(tables, survey("{}"), BATCH)
    row = next(row for row in result.rows if row.image_id == "plain")
    assert row.model.startswith("string-painter@") and "#" in row.model
    before = load_rgb(tables, tables.manifest(clean.RECTIFIED, BATCH)[0])
    untouched, _ = save_jpeg(tables, "again", before)
    again = load_rgb(tables, ManifestRow("again", "", Status.OK, "1", untouched, f"images/again/{untouched}.jpg"))
    # Beyond the blocks of JPEG that the mask touches, and their neighbours, it is the picture encoded a second time.
    far = cv2.dilate(mask_of(tables, row), np.ones((41, 41), np.uint8)) == 0
    assert far.mean() > 0.1
    assert np.array_equal(load_rgb(tables, row)[far], again[far])


def test_a_lama_file_that_is_missing_or_another_stops_the_stage_in_one_line(tables, tmp_path):
    path = tmp_path / "big-lama.pt"
    for words in ("cannot be read", "not the pinned one"):
        with pytest.raises(dg.Failure, match=words) as told:
            clean.clean(tables, survey(f"{{method: lama, weights: '{path}', sha256: '{'0' * 64}'}}"), BATCH)
        assert "\n" not in str(told.value.description)
        path.write_bytes(b"something else")
    with pytest.raises(dg.Failure, match="no model 'unheard-of'"):
        clean.clean(tables, survey("{model: unheard-of}"), BATCH)


def test_a_lama_file_of_the_registry_is_named_in_the_manifest(tables, tmp_path):
    torch = pytest.importorskip("torch", reason="LaMa runs on torch")

    class StandIn(torch.nn.Module):
        """As LaMa is called."""

        def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            """Mid-grey in the mask."""
            return image * (1 - mask) + 0.4 * mask

    torch.jit.script(StandIn()).save(str(tmp_path / "big-lama.pt"))
    card = {
        "name": "big-lama",
        "version": "1",
        "task": "inpainting",
        "engine": "torch",
        "file": "big-lama.pt",
        "sha256": hashlib.sha256((tmp_path / "big-lama.pt").read_bytes()).hexdigest(),
        "labels": [],
        "input_px": 512,
        "licence": "Apache-2.0",
        "trained_on": "a stand-in",
        "trusted": True,
    }
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"models": [card]}))
    registry = ModelRegistry(tmp_path)
    result = clean.clean(tables, survey("{method: lama, model: big-lama}"), BATCH, models=registry)
    row = next(row for row in result.rows if row.image_id == "plain")
    assert row.status == Status.OK
    assert row.model == f"big-lama@1#{card['sha256'][:12]}"


def test_shares_of_a_batch_are_committed_together(tables):
    asked = survey("{method: telea}")
    shares = [clean.clean(tables, asked, BATCH, share=Share(number, 2)) for number in range(2)]
    assert sorted(share.redone for share in shares) == [1, 2]
    committed = clean.clean(tables, asked, BATCH, shared=2)
    assert committed.redone == 0
    assert [row.status for row in committed.rows] == [Status.OK, Status.OK, Status.FAILED]


def test_lama_without_a_file_or_hash_is_a_mistake_in_the_survey_file():
    with pytest.raises(SurveyError, match=r"removal: method 'lama' needs its file"):
        survey("{method: lama}")


def test_the_preview_shows_crops_before_and_after_the_most_doubtful_first(tables):
    result = clean.clean(tables, survey("{method: ns}"), BATCH)
    before = {row.image_id: row for row in tables.manifest(clean.RECTIFIED, BATCH)}
    sheet = before_after_sheet(tables, before, result.rows)
    assert sheet is not None and sheet.startswith("![contact sheet](data:image/jpeg;base64,")
    assert before_after_sheet(tables, before, [row for row in result.rows if row.status == Status.FAILED]) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (512, 512)])
def test_a_crop_is_never_empty(size):
    assert crop(np.zeros((*size, 3), np.uint8)).size > 0
