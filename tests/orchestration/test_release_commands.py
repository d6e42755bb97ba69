"""``reefline release diff`` and ``reefline import``, in this process, on a small installation."""

import json
import re
import zipfile

import cv2
import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from analytics.release.inputs import IMAGE_SCHEMA
from assets.raw import ingest
from labels.formats.parquet import table_to_bytes
from labels.schema import Kind, Shape, shapes_to_table
from labels.survey import SurveyError, parse_survey
from orchestration.cli.context import UsageProblem
from orchestration.cli.main import app
from resources.imports import OUTLINES, POINTS, imported
from resources.object_store import LocalStore
from resources.offers import cut_new_batches
from resources.releases import ReleaseError, ask_for_release, release_key, requests
from resources.surveys import FolderPhotos
from resources.tables import BatchTables


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name, value in {"HOME": tmp_path, "STORE_URL": (tmp_path / "store").as_uri(), "SURVEYS_DIR": tmp_path}.items():
        monkeypatch.setenv(f"REEFLINE_{name}", str(value))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photos" / "Temae_2021_01.jpg"), noise)
    text = "name: reef\nphotos: {folder: photos}\ntaxonomy: demo-reef\n"
    (tmp_path / "reef.yaml").write_text(text)
    tables, source = BatchTables(LocalStore(tmp_path / "store")), FolderPhotos(tmp_path / "photos")
    survey = parse_survey(text, "reef.yaml")
    [offer] = cut_new_batches(tables.store, survey, source.list())
    ingest(tables, survey, source, offer)
    return tmp_path


def run(*words):
    done = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def released(home, name, shapes):
    store = LocalStore(home / "store")
    ask_for_release(store, name, ["reef.0001"])
    store.put(release_key(name, "images.parquet"), table_to_bytes(pa.Table.from_pylist([], schema=IMAGE_SCHEMA)))
    store.put(release_key(name, "labels.parquet"), table_to_bytes(shapes_to_table(shapes)))
    store.put(release_key(name, "release.json"), b"{}")


def test_the_difference_of_two_releases_names_every_object(home):
    square = Shape("i", "a", Kind.POLYGON, "Porites", [0.0, 0, 10, 0, 10, 10, 0, 10])
    half = Shape("i", "a", Kind.POLYGON, "Acropora", [0.0, 0, 10, 0, 10, 5, 0, 5])
    gone, new = Shape("i", "b", Kind.POLYGON, "Porites", square.points), Shape("j", "b", Kind.TAG, "Porites", [])
    released(home, "r-1", [square, gone])
    released(home, "r-2", [half, new])
    said = run("release", "diff", "r-1", "r-2")
    assert "1 added, 1 removed, 1 changed" in said
    assert "| i/a | Porites -> Acropora | 0.5000 |" in said
    found = json.loads(run("release", "diff", "r-1", "r-2", "--json"))
    assert (found["labels_added"], found["labels_removed"]) == (["j/b"], ["i/b"])
    assert found["changed"][0]["iou"] == 0.5
    assert "Nothing changed" in run("release", "diff", "r-1", "r-1")


def test_old_outlines_are_imported_and_what_does_not_fit_is_told(home):
    document = {
        "images": [
            {"id": 1, "file_name": "temae_2021_01.JPG", "width": 80, "height": 60},
            {"id": 2, "file_name": "lost.jpg", "width": 80, "height": 60},
        ],
        "categories": [{"id": 1, "name": "Porites"}, {"id": 2, "name": "Sponge"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": c, "segmentation": [[10, 10, 30, 10, 30, 30]]}
            for n, c in enumerate((1, 2))
        ],
    }
    (home / "old.json").write_text(json.dumps(document))
    said = run("import", "coco", "old.json", "--survey", "reef")
    assert "1 labels on 1 photos" in said
    assert "label unknown: 1 Sponge" in said
    assert "not matched: lost.jpg: no photo of the survey" in said
    [(name, shapes)] = imported(LocalStore(home / "store"), "reef", OUTLINES).values()
    assert (name, shapes[0].points[:2]) == ("old", [19.5, 19.5])
    (home / "again.json").write_text(json.dumps(document))
    assert "import old has labelled" in run("import", "coco", "again.json", "--survey", "reef")
    assert "1 labels on 1 photos" in run("import", "coco", "old.json", "--survey", "reef")


def test_an_import_gives_way_only_to_the_same_file_or_when_that_is_said(home):
    document = {"images": [{"id": 1, "file_name": "Temae_2021_01.jpg", "width": 160, "height": 120}]}
    document["categories"] = [{"id": 1, "name": "Porites"}]
    document["annotations"] = [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[10, 10, 30, 10, 30, 30]]}]
    for site in ("Temae", "Tiahura"):
        (home / site).mkdir()
        (home / site / "instances_default.json").write_text(json.dumps(document))
    first, second = (
        ("import", "coco", "Temae/instances_default.json"),
        ("import", "coco", "Tiahura/instances_default.json"),
    )
    for _ in range(2):
        assert "1 labels on 1 photos" in run(*first, "--survey", "reef")
    with pytest.raises(
        UsageProblem, match="with 1 labels is called 'instances-default' already: give this one another"
    ):
        run(*second, "--survey", "reef")
    with pytest.raises(UsageProblem, match="no import 'nothing' to replace"):
        run(*second, "--survey", "reef", "--replace", "nothing")
    said = run(*second, "--survey", "reef", "--name", "Tiahura")
    assert "instances-default has labelled Temae_2021_01.jpg already: --replace instances-default" in said
    assert "1 labels on 1 photos" in run(*second, "--survey", "reef", "--name", "x", "--replace", "instances-default")
    [(name, _)] = imported(LocalStore(home / "store"), "reef", OUTLINES).values()
    assert name == "x"


def test_labels_find_their_photo_by_its_content_from_a_backup_or_a_folder_of_pictures(home):
    photo = (home / "photos" / "Temae_2021_01.jpg").read_bytes()
    shape = {"type": "polygon", "frame": 0, "label": "Porites", "points": [20, 20, 60, 20, 60, 60]}
    task = {"name": "old", "data": {"start_frame": 0, "stop_frame": 0}, "jobs": [{"type": "annotation"}]}
    lines = [{"type": "images"}, {"name": "IMG_7", "extension": ".jpg", "width": 160, "height": 120}]
    with zipfile.ZipFile(home / "backup.zip", "w") as archive:
        archive.writestr("task.json", json.dumps(task))
        archive.writestr("annotations.json", json.dumps([{"shapes": [shape], "tags": [], "tracks": []}]))
        archive.writestr("data/manifest.jsonl", "\n".join(map(json.dumps, lines)))
        archive.writestr("data/IMG_7.jpg", photo)
    assert "1 labels on 1 photos" in run("import", "cvat", "backup.zip", "--survey", "reef")
    document = {"images": [{"id": 1, "file_name": "a/7.jpg", "width": 80, "height": 60}]}
    document["categories"] = [{"id": 1, "name": "Porites"}]
    document["annotations"] = [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[10, 10, 30, 10, 30, 30]]}]
    (home / "backup.json").write_text(json.dumps(document))
    assert "7.jpg: no photo of the survey" in run(
        "import", "coco", "backup.json", "--survey", "reef", "--name", "other"
    )
    (home / "old" / "a").mkdir(parents=True)
    (home / "old" / "a" / "7.jpg").write_bytes(photo)
    words = ("import", "coco", "backup.json", "--survey", "reef", "--pictures", "old", "--replace", "backup")
    assert "1 labels on 1 photos" in run(*words)


def test_points_of_coralnet_give_cover_by_functional_group(home):
    rows = "".join(f"Temae_2021_01.jpg,{n},{n},{'Acrop' if n < 3 else 'Sand'}\n" for n in range(10))
    (home / "points.csv").write_text("Name,Row,Column,Label\n" + rows)
    (home / "labelset.csv").write_text("Name,Short_Code,Functional_Group\nAcropora,Acrop,Hard coral\nSand,Sand,Soft\n")
    report = json.loads(run("import", "coralnet", "points.csv", "--survey", "reef", "--json"))
    assert {row["taxon"]: row["share"] for row in report["cover"]} == {"Soft": 0.7, "Hard coral": 0.3}
    assert len(imported(LocalStore(home / "store"), "reef", POINTS)) == 1


def test_a_file_of_another_format_and_a_missing_one_are_refused(home):
    (home / "x.json").write_text("[]")
    for name, text in (
        ("no-names", "train: x\n"),
        ("nothing", "names:\n"),
        ("pose", "names: [a]\nkpt_shape: [4, 3]\n"),
    ):
        (home / name).mkdir()
        (home / name / "data.yaml").write_text(text)
        with pytest.raises(UsageProblem, match=r"data\.yaml has no 'names'|key points"):
            run("import", "yolo", name, "--survey", "reef")
    with zipfile.ZipFile(home / "cut.zip", "w") as archive:
        archive.writestr("annotations.xml", "<annotations/>" * 1000)
    data = (home / "cut.zip").read_bytes()
    (home / "cut.zip").write_bytes(data[:40] + bytes(40) + data[80:])
    with pytest.raises(UsageProblem, match=r"cut\.zip"):
        run("import", "cvat", "cut.zip", "--survey", "reef")
    for words in (["coco", "x.json"], ["coco", "nowhere.json"], ["yolo", "x.json"], ["coralnet", "x.json"]):
        with pytest.raises(UsageProblem):
            run("import", *words, "--survey", "reef")


def finished(home, batch, reasons=()):
    """A batch that has gone all the way, as far as asking for a release looks."""
    tables = BatchTables(LocalStore(home / "store"))
    for stage in ("quality/report", "cover/quadrats"):
        tables.write_manifest(stage, batch, [])
    figures = {"reasons": list(reasons), "corals": {"accuracy": 0.8}}
    tables.store.put(f"tables/quality/report/{batch}.json", json.dumps(figures).encode())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--taxon", "Nemo"], "'Nemo' is not a taxon of demo-reef@1"),
        (["--survey", "atoll"], "no survey named 'atoll'"),
        (["--splits", "subset"], "survey 'reef' has the CVAT subset None"),
        (["--min-accuracy", "0.9"], "of 1 finished batches none passes"),
        (["--batch", "reef.0001", "--batch", "lagoon.0001"], "different taxonomies"),
        (["--previous", "r-0"], "no finished release 'r-0'"),
    ],
)
def test_what_can_never_be_made_is_said_when_it_is_asked_for_and_takes_no_name(home, words, said):
    finished(home, "reef.0001")
    if "lagoon.0001" in words:
        (home / "lagoon.yaml").write_text("name: lagoon\nphotos: {folder: photos}\ntaxonomy: agnostic\n")
        finished(home, "lagoon.0001")
    with pytest.raises((UsageProblem, SurveyError, ReleaseError), match=re.escape(said)):
        run("release", "r-1", *words)
    assert requests(LocalStore(home / "store")) == []


def test_a_release_below_the_thresholds_needs_a_reason_and_a_finished_name_is_taken(home):
    finished(home, "reef.0001", ["3 outlines break the rule 'tiny'"])
    with pytest.raises(UsageProblem, match=r"reef\.0001: 3 outlines break the rule 'tiny'.*--override"):
        run("release", "r-1")
    assert "1 batches" in run("release", "r-1", "--override", "specks, agreed with Anna")
    [row] = json.loads(run("release", "list", "--json"))
    assert (row["name"], row["made"], row["pictures"]) == ("r-1", False, None)
    record = {"counts": {"images": 3, "colonies": 7}, "override": "specks, agreed with Anna"}
    LocalStore(home / "store").put(release_key("r-1", "release.json"), json.dumps(record).encode())
    assert "override: specks" in " ".join(run("release", "list").split())
    with pytest.raises(UsageProblem, match="'r-1' is finished and never changes"):
        run("release", "r-1")
