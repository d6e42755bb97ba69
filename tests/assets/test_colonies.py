"""``colonies/tracks`` over the store: batches share quadrats, and only what changed is followed again."""

import cv2
import dagster as dg
import numpy as np
import pytest

from assets import colonies
from labels.manifest import ManifestRow, Status
from labels.schema import Kind, Shape
from resources.object_store import LocalStore
from resources.settings import load_settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

SIDE = 240
WARP = {"homography": np.eye(3).ravel().tolist(), "side_px": SIDE, "frame_cm": 100}


def ground(seed):
    rng = np.random.default_rng(seed)
    forms = np.zeros((SIDE, SIDE), np.float32)
    for cell in (40, 12, 5):
        small = rng.standard_normal((SIDE // cell + 2,) * 2).astype(np.float32)
        forms += cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(forms * 25 + 120, 0, 255).astype(np.uint8)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "surveys").mkdir()
    (tmp_path / "surveys" / "reef.yaml").write_text("name: reef\nphotos: {folder: photos}\ntaxonomy: demo-reef\n")
    return BatchTables(LocalStore(tmp_path / "store")), SurveyCatalog(tmp_path / "surveys")


def square(image_id, number, x, side=40):
    points = [float(v) for v in (x, x, x + side, x, x + side, x + side, x, x + side)]
    return Shape(image_id, f"{image_id}:{number:04d}", Kind.POLYGON, "Porites", points)


def batch(tables, key, pictures):
    """A reviewed batch.

    Args:
        pictures: image id -> (site, year, quadrat, ground, left edges of the colonies).
    """
    raw, clean, reviewed, shapes = [], [], [], []
    for image_id, (site, year, quadrat, seed, edges) in pictures.items():
        data = cv2.imencode(".jpg", ground(seed))[1].tobytes()
        sha, uri = tables.put_image("clean", data, "jpg")
        mine = [square(image_id, n, x) for n, x in enumerate(edges)]
        shapes += mine
        name = {"file": f"{image_id}.jpg", "site": site, "year": year, "quadrat": quadrat}
        raw.append(ManifestRow(image_id, "s", Status.OK, "1", extra=name))
        clean.append(ManifestRow(image_id, "s", Status.OK, "1", sha, uri, SIDE, SIDE, extra=WARP))
        params = f'{{"labels":"{edges}"}}'
        reviewed.append(ManifestRow(image_id, "s", Status.OK, "1", sha, uri, SIDE, SIDE, None, None, params))
    tables.write_labels("corals/reviewed", key, shapes)
    for stage, rows in (("images/raw", raw), ("images/clean", clean), ("corals/reviewed", reviewed)):
        tables.write_manifest(stage, key, rows)


def events(done, quadrat="1"):
    return [(row["year"], row["event"]) for row in done.tracks if row["quadrat"] == quadrat]


def test_years_in_different_batches_meet_and_only_what_changed_is_followed_again(place):
    tables, surveys = place
    batch(tables, "reef.0001", {"a1": ("Temae", 2021, "1", 1, [40, 150]), "b1": ("Temae", 2021, "2", 2, [90])})
    assert events(colonies.follow_all(tables, surveys)) == [(2021, "first"), (2021, "first")]

    batch(tables, "reef.0002", {"a2": ("Temae", 2022, "1", 1, [40]), "c2": ("Temae", 2022, "2x", 2, [90])})
    done = colonies.follow_all(tables, surveys)
    assert sorted(done.redone) == [("Temae", "1"), ("Temae", "2x")]
    assert sorted(events(done)) == [(2021, "first"), (2021, "first"), (2022, "died"), (2022, "survived")]
    registered = next(row for row in done.pictures if row["image_id"] == "a2")
    assert registered["outcome"] == "registered"
    assert registered["shift_cm"] < 0.2
    only_one = [row for row in done.pictures if "only one year" in (row["reason"] or "")]
    assert {row["quadrat"] for row in only_one} == {"2", "2x"}, "a renamed quadrat is another quadrat, and says so"

    again = colonies.follow_all(tables, surveys)
    assert again.redone == []
    assert sorted(map(str, again.tracks)) == sorted(map(str, done.tracks))

    batch(tables, "reef.0002", {"a2": ("Temae", 2022, "1", 1, [40, 150]), "c2": ("Temae", 2022, "2x", 2, [90])})
    corrected = colonies.follow_all(tables, surveys)
    assert corrected.redone == [("Temae", "1")]
    assert {event for year, event in events(corrected) if year == 2022} == {"survived"}
    assert tables.store.exists(colonies.picture_key("Temae", "1"))


def test_a_quadrat_is_followed_across_surveys_and_pictures_without_a_name_are_counted(place):
    tables, surveys = place
    second = "name: reef-2022\nphotos: {folder: photos}\ntaxonomy: demo-reef\n"
    (surveys.folder / "second.yaml").write_text(second)
    batch(tables, "reef.0001", {"a1": ("Motu / Nord", 2021, "1", 1, [40]), "n1": (None, None, None, 3, [40])})
    batch(tables, "reef-2022.0001", {"a2": ("Motu / Nord", 2022, "1", 1, [40])})
    done = colonies.follow_all(tables, surveys)
    assert done.nameless == 1
    assert events(done) == [(2021, "first"), (2022, "survived")]
    assert [row["survey"] for row in done.tracks] == ["reef", "reef-2022"]


def test_a_site_that_was_renamed_leaves_no_tracks_under_its_old_name(place):
    tables, surveys = place
    batch(tables, "reef.0001", {"a1": ("Temea", 2021, "1", 1, [40])})
    colonies.follow_all(tables, surveys)
    batch(tables, "reef.0001", {"a1": ("Temae", 2021, "1", 1, [40])})
    done = colonies.follow_all(tables, surveys)
    assert {row["site"] for row in done.tracks} == {"Temae"}
    assert len(list(tables.store.keys("tables/colonies/tracks/"))) == 1


def test_a_picture_deleted_from_the_store_is_named_and_the_other_quadrats_go_on(place):
    tables, surveys = place
    for year, key in ((2021, "reef.0001"), (2022, "reef.0002")):
        batch(tables, key, {f"a{year}": ("Temae", year, "1", 1, [40]), f"b{year}": ("Temae", year, "2", 2, [40])})
    [uri] = {row.uri for row in tables.manifest("images/clean", "reef.0001") if row.image_id == "a2021"}
    (surveys.folder.parent / "store" / uri).unlink()
    done = colonies.follow_all(tables, surveys)
    assert events(done, "2") == [(2021, "first"), (2022, "survived")]
    assert uri in colonies.remarks_table(done.pictures)


def test_the_asset_shows_events_remarks_and_quadrats(place):
    tables, surveys = place
    batch(tables, "reef.0001", {"a1": ("Temae", 2021, "1", 1, [40, 150])})
    batch(tables, "reef.0002", {"a2": ("Temae", 2022, "1", 1, [40])})
    given = {"tables": tables, "surveys": surveys, "settings": load_settings(environ={})}
    result = dg.materialize([colonies.colonies_tracks], selection=[colonies.colonies_tracks], resources=given)
    [made] = result.get_asset_materialization_events()
    metadata = made.materialization.metadata
    assert metadata["colonies"].value == 2
    assert "| Temae | 2022 |  | 1 | 1 |" in metadata["counts"].value
    assert "data:image/jpeg;base64" in metadata["preview"].value


def test_a_batch_whose_survey_file_is_gone_stops_the_run_with_its_name(place):
    tables, surveys = place
    batch(tables, "lost.0001", {"a1": ("Temae", 2021, "1", 1, [40])})
    given = {"tables": tables, "surveys": surveys, "settings": load_settings(environ={})}
    with pytest.raises(dg.Failure, match="no survey named 'lost'"):
        dg.materialize([colonies.colonies_tracks], selection=[colonies.colonies_tracks], resources=given)


def test_nothing_reviewed_yet_is_an_empty_answer(place):
    done = colonies.follow_all(*place)
    assert (done.tracks, done.pictures) == ([], [])
    assert colonies.events_table(done.tracks) == "no quadrat has been reviewed yet"
