"""``images/raw`` on files as they come: every offered file has exactly one outcome, and a bad one stops nothing."""

import cv2
import numpy as np
import pytest

from assets.raw import Outcome, accepted, ingest, outcome, outcomes
from labels.survey import parse_survey
from resources.object_store import LocalStore
from resources.offers import cut_new_batches
from resources.surveys import FolderPhotos
from resources.tables import BatchTables


@pytest.fixture
def tables(tmp_path):
    return BatchTables(LocalStore(tmp_path / "store"))


def run(tables, folder, batch_size=500):
    text = f"name: reef\nphotos: {{folder: '{folder}'}}\ntaxonomy: demo-reef\nbatch_size: {batch_size}\n"
    survey = parse_survey(text, "reef.yaml")
    photos = FolderPhotos(folder)
    offers = cut_new_batches(tables.store, survey, photos.list())
    return offers, [ingest(tables, survey, photos, offer, threads=2) for offer in offers]


def jpeg(seed=0, size=(120, 160)):
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def test_every_corner_case_file_is_accepted_quarantined_or_a_duplicate(tables, shared):
    offers, results = run(tables, shared / "data" / "corner_cases")
    rows = [row for result in results for row in result.rows]
    offered = sum(len(offer.files) for offer in offers)
    assert offered == len(rows) == sum(outcomes(rows).values())
    assert len({row.image_id for row in rows}) == len(rows)
    for row in rows:
        if outcome(row) != Outcome.ACCEPTED:
            assert row.reason
            assert "unexpected" not in row.reason
            assert "Traceback" not in row.reason
    files = {row.extra["file"] for row in accepted(rows)}
    assert "pillow/flower.jpg" in files
    assert "exif_orientation/Landscape_6.jpg" in files
    assert "pillow/truncated_jpeg.jpg" not in files
    assert "pillow/decompression_bomb.gif" not in files


def test_all_eight_orientations_are_stored_upright(tables, shared):
    _, [result] = run(tables, shared / "data" / "corner_cases" / "exif_orientation")
    sizes = {(row.width, row.height) for row in accepted(result.rows)}
    assert sizes == {(1800, 1200)}


def test_the_same_bytes_twice_are_one_picture_and_one_named_duplicate(tables, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "Temae_2021_01.jpg").write_bytes(jpeg(1))
    (folder / "copy.jpg").write_bytes(jpeg(1))
    (folder / "Temae_2021_02.jpg").write_bytes(jpeg(2))
    _, [result] = run(tables, folder)
    assert outcomes(result.rows) == {Outcome.ACCEPTED: 2, Outcome.DUPLICATE: 1}
    [duplicate] = [row for row in result.rows if outcome(row) == Outcome.DUPLICATE]
    assert duplicate.reason == "same bytes as reef.0001: Temae_2021_01.jpg"


def test_a_duplicate_in_a_later_batch_is_found_and_a_rerun_changes_nothing(tables, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(1))
    (folder / "b.jpg").write_bytes(jpeg(1))
    _, results = run(tables, folder, batch_size=1)
    assert [outcome(result.rows[0]) for result in results] == [Outcome.ACCEPTED, Outcome.DUPLICATE]
    survey = parse_survey(f"name: reef\nphotos: {{folder: '{folder}'}}\ntaxonomy: demo-reef\n", "reef.yaml")
    from resources.offers import offers_of

    again = [ingest(tables, survey, FolderPhotos(folder), offer) for offer in offers_of(tables.store, "reef")]
    assert [outcome(result.rows[0]) for result in again] == [Outcome.ACCEPTED, Outcome.DUPLICATE]


def test_bad_files_between_good_ones_are_quarantined_with_reasons(tables, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "good.jpg").write_bytes(jpeg(1))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "half.jpg").write_bytes(jpeg(2)[:2000])
    (folder / "notes.txt").write_text("dive at 9")
    (folder / "tiny.png").write_bytes(cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes())
    _, [result] = run(tables, folder)
    assert outcomes(result.rows) == {Outcome.ACCEPTED: 1, Outcome.QUARANTINED: 4}
    assert tables.has("images/raw", "reef.0001")


def test_a_file_that_vanishes_after_it_was_offered_is_recorded(tables, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(1))
    (folder / "b.jpg").write_bytes(jpeg(2))
    survey = parse_survey(f"name: reef\nphotos: {{folder: '{folder}'}}\ntaxonomy: demo-reef\n", "reef.yaml")
    [offer] = cut_new_batches(tables.store, survey, FolderPhotos(folder).list())
    (folder / "b.jpg").unlink()
    result = ingest(tables, survey, FolderPhotos(folder), offer)
    assert outcomes(result.rows) == {Outcome.ACCEPTED: 1, Outcome.QUARANTINED: 1}
    [gone] = [row for row in result.rows if outcome(row) == Outcome.QUARANTINED]
    assert "cannot be read any more" in gone.reason


@pytest.mark.parametrize(
    "name",
    ["récif n° 7 (été).jpg", "a..b.jpg", "..odd.name..jpg", "with space.jpg", "x" * 240 + ".jpg", "quote'\".jpg"],
)
def test_odd_file_names_are_accepted_and_get_safe_names_in_the_store(tables, tmp_path, name):
    folder = tmp_path / "photos" / ("deep" * 20)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(jpeg(1))
    _, results = run(tables, tmp_path / "photos")
    rows = [row for result in results for row in result.rows]
    if name.startswith("."):
        assert rows == []
        return
    [row] = rows
    assert outcome(row) == Outcome.ACCEPTED
    assert row.uri.startswith("images/raw/")
    assert row.extra["file"].endswith(name)
