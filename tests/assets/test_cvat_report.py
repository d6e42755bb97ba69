"""CVAT's own quality report of a batch: fetched, asked for, and done without."""

import pytest

from analytics.quality import compare_batch
from analytics.quality.truth import Answer, against_truth
from analytics.report import BatchReport, batch_report
from assets.common.cvat_report import cvat_report
from assets.common.stage import shapes_by_image
from assets.corals import GATE as SPEC
from assets.quality import answers_and_truth
from labels.schema import Kind, Shape
from labels.taxonomy import load_taxonomy
from resources.cvat import CvatClient
from tests.assets.test_honeypots import GROUND_TRUTH, HONEYPOTS, Bench, cvat, photos  # noqa: F401 - fixtures

TAXA = load_taxonomy("demo-reef").names


def reviewed(folder, photos, cvat, name, more):  # noqa: F811
    """A batch whose annotators and whose ground truth are done; the truth is accepted."""
    bench = Bench(folder, photos, cvat, name, more)
    bench.create()
    [truth] = bench.jobs("ground_truth")
    frames = sorted(bench.task.layout.truth)
    real = bench.image_ids()
    shapes = []
    for number, frame in enumerate(frames):
        x = bench.place[real[frame]] + 0.5
        label = bench.task.labels["Porites" if number else "Acropora"]["id"]
        ring = [x, 10.5, x + 20, 10.5, x + 20, 28.5, x, 28.5]
        shapes.append({"type": "polygon", "frame": frame, "label_id": label, "points": ring})
    bench.draw(truth, shapes)
    bench.complete("annotation")
    bench.complete("ground_truth")
    return bench


def ours(bench):
    rows = bench.tables.manifest(SPEC.reviewed, bench.batch)
    labels = shapes_by_image(bench.tables.labels(SPEC.reviewed, bench.batch))
    sizes = {row.image_id: (row.width, row.height) for row in rows}
    return against_truth(*answers_and_truth(bench.tables, bench.batch, rows, labels), TAXA, sizes)


@pytest.mark.parametrize(("name", "more"), [("own-gt", GROUND_TRUTH), ("own-pool", HONEYPOTS)])
def test_cvats_own_figures_are_fetched_and_are_those_we_work_out(tmp_path, photos, cvat, name, more):  # noqa: F811
    bench = reviewed(tmp_path, photos, cvat, name, more)
    bench.collect()
    assert cvat_report(bench.tables, bench.batch, cvat) is None, "CVAT makes none before the truth is accepted"
    [truth] = bench.jobs("ground_truth")
    body = {"stage": "acceptance", "state": "completed"}
    cvat.session.request("PATCH", f"/api/jobs/{truth.job_id}", body)
    bench.collect()
    theirs, mine = cvat_report(bench.tables, bench.batch, cvat), ours(bench)
    assert theirs["total"] > 0
    for figure in ("accuracy", "precision", "recall", "ds_count", "gt_count", "valid", "missing", "extra"):
        assert theirs[figure] == pytest.approx(mine[figure]), figure
    assert theirs["mean_iou"] == pytest.approx(mine["mean_iou"])
    # CVAT compares attributes, too: a proposal has a confidence, a shape of the ground truth has none.
    others = {kind: n for kind, n in theirs["conflicts_by_type"].items() if kind != "mismatching_attributes"}
    assert others == mine["conflicts_by_type"]
    assert not theirs["stale"]
    again = cvat_report(bench.tables, bench.batch, cvat)
    assert again["report"] == theirs["report"], "a report of the task as it is was asked for again"
    job = bench.jobs("annotation")[0].job_id
    bench.cvat.session.request("PATCH", f"/api/jobs/{job}", {"state": "in progress"})
    bench.cvat.session.request("PUT", f"/api/jobs/{job}/annotations", {"shapes": [], "tags": [], "tracks": []})
    assert cvat_report(bench.tables, bench.batch, cvat)["report"] > again["report"]


def test_a_cvat_that_is_away_costs_its_column_and_nothing_else(tmp_path, photos, cvat, caplog):  # noqa: F811
    bench = Bench(tmp_path, photos, cvat, "away", GROUND_TRUTH)
    bench.create()
    assert cvat_report(bench.tables, bench.batch, None) is None
    found = cvat_report(bench.tables, bench.batch, CvatClient(""))
    assert "no CVAT is configured" in found["problem"]
    assert bench.batch in caplog.text


def test_the_page_shows_both_columns():
    ring = [10.0, 10, 30, 10, 30, 30, 10, 30]
    drawn = Shape("a", "a:1", Kind.POLYGON, "Porites", ring)
    told = Shape("a", "a:2", Kind.POLYGON, "Acropora", ring)
    sizes = {"a": (64, 64)}
    truth = against_truth([Answer("a", 1, "ann", [drawn])], {"a": [told]}, TAXA, sizes)
    theirs = {"report": 12, "created": "2026-11-21T02:38:03Z", "stale": True, "why": "CVAT is still at work"}
    theirs |= {name: truth[name] for name in ("ds_count", "gt_count", "valid", "missing", "extra")}
    theirs |= {
        "accuracy": 0.987,
        "precision": 1.0,
        "recall": 1.0,
        "mean_iou": 0.5,
        "conflicts_by_type": {"low_overlap": 3},
    }
    theirs |= {
        "per_label": {"Porites": {"precision": 0.25, "recall": 0.5, "accuracy": 1.0}},
        "settings": {"oks_sigma": 0.1},
    }
    quality = compare_batch([drawn], [told], TAXA, sizes)
    figures = {"corals": quality.to_json(), "ground_truth": truth, "cvat": theirs}
    report = BatchReport("reef.0001", "Reef", quality, figures, [], {}, {}, [])
    report.quality.pictures.clear()
    page = batch_report(report).decode()
    assert "Report 12 of 2026-11-21 02:38; the task has changed since (CVAT is still at work)" in page
    assert '<td>accuracy</td><td class="n">0.00</td><td class="n">0.99</td>' in page
    assert '<td>low overlap</td><td class="n">0</td><td class="n">3</td>' in page
    figures["cvat"] = {"problem": "CVAT <does> not answer"}
    assert "It could not be had: CVAT &lt;does&gt; not answer" in batch_report(report).decode()
    figures["cvat"] = None
    assert "beside ours" not in batch_report(report).decode()
