"""Quality: CVAT's outputs reproduced, the same numbers as pycocotools, and the time beside two references.

References: each pair of shapes compared by a call of its own, as CVAT's matcher does, on run lengths made once
(``per pair``); and the whole picture in one pycocotools call (``per picture``). Both are followed by scipy's assignment
and stop at the number of matches, where ours goes on to confusion, conflicts, edits and pixels. So there is the same
work on both sides, too: our matching alone beside theirs, with the compiled loops, where there are any, and with NumPy
alone; and all of ours beside theirs with shapely's areas and distances behind it, which comes to the same figures.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from scipy.optimize import linear_sum_assignment

from analytics.quality import BatchQuality, QualitySettings, compare_batch, compare_picture, loops, oks, pair
from analytics.quality.detection import average_precision
from analytics.quality.overlap import outline_iou, outlines_of
from labels.schema import Kind, Shape

VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors" / "quality.json"
SIDE, SHAPES, POINTS = 1920, 60, 40
PICTURES = 1000
PER_PAIR_PICTURES = 50
LABELS = ("Acropora", "Pocillopora", "Porites", "Montipora", "Millepora")
THRESHOLD = 0.4
TIMES = 4


def rows() -> list[dict[str, object]]:
    """The rows."""
    return [*vector_rows(), *speed_rows(), *precision_rows()]


def vector_rows() -> list[dict[str, object]]:
    """How many of CVAT's own outputs are reproduced; nothing where they are absent."""
    if not VECTORS.exists():
        return []
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    matched = sum(_case_matches(case) for case in vectors["cases"]) + sum(
        abs(oks(c["a"], c["b"], c["visible_a"], c["visible_b"], c["scale"], c["sigma"]) - c["expected"]) < 1e-9
        for c in vectors["oks"]
    )
    total = len(vectors["cases"]) + len(vectors["oks"])
    row = {"name": "quality.vectors_matched", "value": matched, "unit": f"of {total} outputs of CVAT's own functions"}
    return [{**row, "note": "33 pictures matched shape by shape, 18 keypoint similarities; all figures of each"}]


def _case_matches(case: dict) -> bool:
    labels = tuple(str(k) for k in range(case["n_labels"]))
    sides = [
        [
            Shape("a", f"{s}{i}", Kind.POLYGON, str(r["label"]), [v - 0.5 for v in r["points"]])
            for i, r in enumerate(case[s])
        ]
        for s in ("ds", "gt")
    ]
    given = QualitySettings(case["iou_threshold"], case["low_overlap_threshold"])
    picture = compare_picture("a", *sides, labels, (case["image"]["width"], case["image"]["height"]), given)
    expected, figures = case["expected"], picture.confusion.micro()
    return (
        picture.confusion.matrix.tolist() == expected["confusion_matrix_rows_ds_cols_gt"]
        and all(abs(figures[name] - expected[name]) < 1e-9 for name in ("accuracy", "precision", "recall"))
        and abs(picture.mean_iou - expected["mean_iou"]) < 1e-9
    )


def speed_rows() -> list[dict[str, object]]:
    """Seconds for 1,000 pictures of 60 x 60 outlines, beside both references; the numbers are compared."""
    batch = [_pictures(k) for k in range(PICTURES)]
    ds, gt = [s for pair in batch for s in pair[0]], [s for pair in batch for s in pair[1]]
    sizes = {f"p{k}": (SIDE, SIDE) for k in range(PICTURES)}
    (seconds, ours), matching, by_numpy, by_picture, (all_s, all_figures) = _in_turns(
        lambda: compare_batch(ds, gt, LABELS, sizes),
        lambda: [_matches(*pair) for pair in batch],
        lambda: _without_compiled_loops(lambda: [_matches(*pair) for pair in batch]),
        lambda: [_reference(*pair) for pair in batch],
        lambda: [_reference_figures(*pair) for pair in batch],
    )
    by_pair = _timed(lambda: [_per_pair(*pair) for pair in batch[:PER_PAIR_PICTURES]])
    if (
        sum(by_picture[1]) != ours.confusion.valid
        or by_picture[1] != matching[1]
        or by_picture[1] != by_numpy[1]
        or by_pair[1] != by_picture[1][:PER_PAIR_PICTURES]
    ):
        raise AssertionError("the reference counts other pairs than compare_batch")
    np.testing.assert_allclose(np.sum(all_figures, axis=0), _figures(ours), rtol=1e-9)
    per_pair_s = by_pair[0] * PICTURES / PER_PAIR_PICTURES
    note = f"{PICTURES} pictures, {SHAPES} x {SHAPES} outlines of {POINTS} points; the same pairs everywhere"
    same = f"pixels, IoUs and assignment on both sides and nothing else, best of {TIMES} in turns; {note}"
    if loops.compiled is None:
        note += "; without compiled loops: no C compiler was there"
    return [
        _ratio("quality.vs_reference", seconds, "s", "a pycocotools call per pair of shapes + scipy", per_pair_s, note),
        _ratio("quality.vs_one_call_per_picture", seconds, "s", "one pycocotools call + scipy, stops at the matches",
               by_picture[0], note),
        _ratio("quality.vs_one_call_same_figures", seconds, "s", "one pycocotools call + scipy + shapely, same figures",
               all_s, f"confusion, conflicts, areas that changed hands, moves; {note}"),
        _ratio("quality.matching_vs_one_call", matching[0], "s", "one pycocotools call + scipy", by_picture[0], same),
        _ratio("quality.matching_vs_one_call.numpy", by_numpy[0], "s", "one pycocotools call + scipy", by_picture[0],
               f"without the compiled loops; {same}"),
    ]  # fmt: skip


def precision_rows() -> list[dict[str, object]]:
    """Largest difference of average precision to pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    batch = [_pictures(k) for k in range(40)]
    ds = [s for pair in batch for s in pair[0]]
    gt = [s for pair in batch for s in pair[1]]
    sizes = {f"p{k}": (SIDE, SIDE) for k in range(40)}
    ours = average_precision(ds, gt, LABELS, sizes)
    images = [{"id": k + 1, "width": SIDE, "height": SIDE} for k in range(40)]
    cats = [{"id": k + 1, "name": name} for k, name in enumerate(LABELS)]
    truth = COCO()
    truth.dataset = {"images": images, "categories": cats, "annotations": _coco(gt, scored=False)}
    truth.createIndex()
    run = COCOeval(truth, truth.loadRes(_coco(ds, scored=True)), "segm")
    run.evaluate()
    run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, -1]
    theirs = {"AP": precision[precision > -1].mean(), "AP50": precision[0][precision[0] > -1].mean()}
    worst = max(abs(ours[name] - value) for name, value in theirs.items())
    note = f"AP {ours['AP']:.4f}, 40 pictures, {len(ds)} proposals"
    return [{"name": "ap.max_abs_diff", "value": float(worst), "unit": "to pycocotools", "note": note}]


def _pictures(number: int) -> tuple[list[Shape], list[Shape]]:
    rng = np.random.default_rng((11, number))
    ds, gt = [], []
    angle = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    for k in range(SHAPES):
        centre, radius = rng.uniform(100, SIDE - 100, 2), float(np.exp(rng.uniform(np.log(25), np.log(90))))
        wave = radius * (1 + 0.12 * np.sin(5 * angle + rng.uniform(0, 6)))
        ring = centre + np.column_stack([np.cos(angle), np.sin(angle)]) * wave[:, None]
        label = LABELS[int(rng.integers(len(LABELS)))]
        gt.append(_shape(number, f"g{k}", label, ring, None))
        moved = ring + rng.normal(0, 0.12 * radius, 2)
        other = label if rng.random() < 0.9 else LABELS[int(rng.integers(len(LABELS)))]
        ds.append(_shape(number, f"d{k}", other, moved, float(rng.random())))
    return ds, gt


def _shape(number: int, name: str, label: str, ring: np.ndarray, score: float | None) -> Shape:
    return Shape(f"p{number}", f"p{number}{name}", Kind.POLYGON, label, [float(v) for v in ring.ravel()], score=score)


def _runs(shapes: list[Shape]) -> list[dict]:
    from pycocotools import mask

    return mask.frPyObjects([[v + 0.5 for v in s.points] for s in shapes], SIDE, SIDE)


def _reference(ds: list[Shape], gt: list[Shape]) -> int:
    from pycocotools import mask

    return _valid(np.asarray(mask.iou(_runs(ds), _runs(gt), [0] * len(gt))), ds, gt)


def _reference_figures(ds: list[Shape], gt: list[Shape]) -> tuple[float, ...]:
    """What :func:`_figures` asks for, of one picture, put together as one would with the usual libraries."""
    from pycocotools import mask

    ious = np.asarray(mask.iou(_runs(ds), _runs(gt), [0] * len(gt)))
    cost = np.where(1 - ious > 1 - THRESHOLD, 1.0, 1 - ious)
    rows, columns = linear_sum_assignment(cost)
    real = cost[rows, columns] < 1
    rows, columns = rows[real], columns[real]
    values = ious[rows, columns]
    same = np.array([ds[i].label == gt[j].label for i, j in zip(rows, columns, strict=True)], bool)
    mine, theirs = _rings(ds), _rings(gt)
    areas = [shapely.area(shapely.polygons(rings)) for rings in (mine, theirs)]
    changed = (areas[0][rows] + areas[1][columns]) * (1 - values) / (1 + values)
    alone = np.delete(areas[0], rows).sum() + np.delete(areas[1], columns).sum()
    moved = shapely.hausdorff_distance(mine[rows], theirs[columns]) * (values < 1)  # the same pixels are no move
    extra, missing = len(ds) - len(rows), len(gt) - len(rows)
    conflicts = (
        extra + missing + (~same).sum() + ((values > 0) & (values < QualitySettings().low_overlap_threshold)).sum()
    )
    return same.sum(), len(rows), conflicts, values.sum(), changed.sum() + alone, np.sum(moved)


def _rings(shapes: list[Shape]) -> np.ndarray:
    corners = np.concatenate([np.reshape(s.points, (-1, 2)) for s in shapes])
    return shapely.linearrings(corners, indices=np.repeat(np.arange(len(shapes)), [len(s.points) // 2 for s in shapes]))


def _figures(ours: BatchQuality) -> tuple[float, ...]:
    """Matches, pairs, conflicts, sum of their IoUs, of pixels that changed hands, and of distances moved."""
    changed = sum(change.changed_px for change in ours.changes)
    moved = sum(change.moved_px or 0.0 for change in ours.changes)
    return ours.confusion.valid, len(ours.ious), len(ours.conflicts), sum(ours.ious), changed, moved


def _matches(ds: list[Shape], gt: list[Shape]) -> int:
    """What the references do, by our own parts."""
    similarity = outline_iou(outlines_of([*ds, *gt], SIDE, SIDE), len(ds))
    return len(pair(similarity, [s.label for s in ds], [s.label for s in gt], THRESHOLD).matches)


def _without_compiled_loops(work: Callable[[], Any]) -> Any:
    kept, loops.compiled = loops.compiled, None
    try:
        return work()
    finally:
        loops.compiled = kept


def _per_pair(ds: list[Shape], gt: list[Shape]) -> int:
    from pycocotools import mask

    theirs = _runs(gt)
    ious = np.array([[mask.iou([a], [b], [0])[0][0] for b in theirs] for a in _runs(ds)])
    return _valid(ious, ds, gt)


def _valid(ious: np.ndarray, ds: list[Shape], gt: list[Shape]) -> int:
    cost = np.where(1 - ious > 1 - THRESHOLD, 1.0, 1 - ious)
    pairs = zip(*linear_sum_assignment(cost), strict=True)
    return sum(cost[i, j] < 1 and ds[i].label == gt[j].label for i, j in pairs)


def _coco(shapes: list[Shape], *, scored: bool) -> list[dict]:
    from pycocotools import mask

    found = []
    for number, shape in enumerate(shapes):
        [runs] = _runs([shape])
        row = {"id": number + 1, "image_id": int(shape.image_id[1:]) + 1, "category_id": LABELS.index(shape.label) + 1}
        box = [float(v) for v in mask.toBbox(runs)]
        row |= {"segmentation": runs, "area": float(mask.area(runs)), "bbox": box, "iscrowd": 0}
        found.append(row | ({"score": shape.score} if scored else {}))
    return found


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _in_turns(*works: Callable[[], Any]) -> list[tuple[float, Any]]:
    """The best time of each, and its result; in turns, so that what else the machine does strikes all.

    Only first results are kept: Python's collector would walk through all of them in the middle of what is timed.
    """
    first = [_timed(work) for work in works]
    seconds = [[run[0]] for run in first]
    for _ in range(TIMES - 1):
        for own, work in zip(seconds, works, strict=True):
            gc.collect()
            own.append(_timed(work)[0])
    return [(min(own), result) for own, (_, result) in zip(seconds, first, strict=True)]


def _ratio(name: str, value: float, unit: str, reference: str, other: float, note: str) -> dict[str, object]:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "reference": reference,
        "reference_value": round(other, 3),
        "ratio": round(other / value, 2),
        "note": note,
    }
