"""Every kind of coral model, asked through an engine that knows the truth: tiles, seams, mirrors, taxa, bad input."""

import os
import tracemalloc
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import coverage_is_valid
from shapely.geometry import Polygon

from inference.engines import EngineError, open_engine
from inference.registry import Model, ModelCard, ModelError, ModelRegistry, class_map
from inference.segmentation import (
    Canvas,
    CoreSegmenter,
    Options,
    Segmenter,
    SemanticSegmenter,
    YoloSegmenter,
    segment,
)
from inference.segmentation.yolo import box_mask, thinned
from tests.inference.models import (
    OracleEngine,
    coded_picture,
    core_answer,
    end_to_end_answer,
    semantic_answer,
    yolo_answer,
)

LABELS = ("Porites", "Acropora", "Millepora")
KINDS = {
    "cores": (CoreSegmenter, core_answer),
    "yolo": (YoloSegmenter, yolo_answer),
    "end to end": (YoloSegmenter, end_to_end_answer),
    "semantic": (SemanticSegmenter, semantic_answer),
}
SIDE = 128


def discs(rng, width, height, count, largest):
    """Round colonies that do not touch each other, some of them cut off by the picture's border."""
    placed = []
    for _ in range(count * 30):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(9, largest)
        if len(placed) < count and all(np.hypot(x - a, y - b) > r + s + 6 for a, b, s, _ in placed):
            placed.append((x, y, r, int(rng.integers(3))))
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    rings = [(k, np.column_stack([x + r * np.cos(angle), y + r * np.sin(angle)])) for x, y, r, k in placed]
    edges = np.array([width, height]) - 0.5
    return [(k, np.clip(ring, -0.5, edges)) for k, ring in rings if Polygon(np.clip(ring, -0.5, edges)).area > 150]


def matched(found, truth):
    """IoU of every true colony with the proposal of its taxon that meets it best."""
    shapes = [(i.label, Polygon(i.ring, i.holes)) for i in found]
    best = []
    for label, ring in truth:
        real = Polygon(ring).buffer(0)
        best.append(
            max((s.intersection(real).area / s.union(real).area for n, s in shapes if n == LABELS[label]), default=0)
        )
    return best


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [None, SIDE])
def test_all_kinds_of_models_find_every_colony_once(kind, tile):
    task, answer = KINDS[kind]
    width, height = (SIDE, SIDE) if tile is None else (300, 220)
    colonies = discs(np.random.default_rng(5), width, height, 12, 40)
    engine = OracleEngine(colonies, 3, answer)
    found = segment(coded_picture(width, height), task(engine, LABELS, SIDE, "oracle@1", Options(tile_px=tile)))
    assert len(found) == len(colonies)
    assert min(matched(found, colonies)) > 0.9
    assert coverage_is_valid([Polygon(i.ring, i.holes) for i in found])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(130, 420), st.integers(130, 420), st.floats(0.1, 0.45), st.booleans())
def test_seams_neither_cut_nor_double_colonies(seed, width, height, overlap, flip):
    colonies = discs(np.random.default_rng(seed), width, height, 10, 90)
    engine = OracleEngine(colonies, 3, semantic_answer)
    options = Options(tile_px=SIDE, tile_overlap=overlap, flip=flip)
    found = segment(coded_picture(width, height), SemanticSegmenter(engine, LABELS, SIDE, "oracle@1", options))
    assert len(found) == len(colonies)
    assert min(matched(found, colonies), default=1) > 0.9


def test_a_colony_larger_than_a_tile_is_one():
    ring = np.array([(20.0, 20), (380, 30), (370, 390), (200, 330), (30, 380)])
    engine = OracleEngine([(0, ring)], 3, yolo_answer)
    [one] = segment(coded_picture(400, 400), YoloSegmenter(engine, LABELS, SIDE, "oracle@1", Options(tile_px=SIDE)))
    assert Polygon(one.ring).area == pytest.approx(Polygon(ring).area, rel=0.02)


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0.05, 0.5))
def test_tiles_cover_the_picture_and_overlap_enough(width, height, overlap):
    canvas = Canvas.of(width, height, 256, 256, overlap)
    for axis, length in (("left", width), ("top", height)):
        starts = sorted({getattr(tile, axis) for tile in canvas.tiles})
        assert starts[0] == 0
        assert starts[-1] + min(256, length) == length
        assert all(0 < b - a <= 256 * (1 - overlap) + 1 for a, b in pairwise(starts))


def test_a_tile_of_a_scaled_picture_shows_what_the_whole_scaled_picture_shows():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (500, 700, 3), np.uint8), (0, 0), 6)
    canvas = Canvas.of(700, 500, 128, 256, 0.2)
    whole = cv2.resize(image, (canvas.width, canvas.height), interpolation=cv2.INTER_AREA).astype(int)
    for number, tile in enumerate(canvas.tiles):
        seen = canvas.view(image, number)[: tile.height, : tile.width].astype(int)
        assert np.abs(seen - whole[tile.top : tile.bottom, tile.left : tile.right]).max() <= 4


def test_seen_at_once_or_a_few_tiles_at_a_time_the_result_is_the_same():
    colonies = discs(np.random.default_rng(2), 400, 300, 9, 50)
    task = YoloSegmenter(OracleEngine(colonies, 3, yolo_answer), LABELS, SIDE, "oracle@1", Options(tile_px=SIDE))
    image = coded_picture(400, 300)
    views = task.prepare(image)
    assert views.shape[1:] == (3, SIDE, SIDE)
    at_once, streamed = task.finish(image, task.engine.predict(views)), task.stream(image)
    assert len(at_once) == len(streamed) == len(colonies)
    for a, b in zip(at_once, streamed, strict=True):
        assert np.allclose(a.ring, b.ring)


def test_options_leave_out_what_is_unsure_or_small():
    colonies = discs(np.random.default_rng(3), SIDE, SIDE, 6, 25)
    task = YoloSegmenter(OracleEngine(colonies, 3, yolo_answer), LABELS, SIDE, "oracle@1", Options(min_score=0.95))
    assert segment(coded_picture(SIDE, SIDE), task) == []
    sizes = [Polygon(ring).area for _, ring in colonies]
    between = float(np.median(sizes)) / SIDE**2
    task = YoloSegmenter(task.engine, LABELS, SIDE, "oracle@1", Options(min_area_share=between))
    assert len(segment(coded_picture(SIDE, SIDE), task)) == sum(size > between * SIDE**2 for size in sizes)


def test_of_overlapping_boxes_the_surest_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [5, 0, 15, 10]], np.float32)
    scores = np.array([0.5, 0.9, 0.3, 0.2], np.float32)
    assert thinned(boxes, scores, 0.6, 10) == [1, 2, 3]
    assert thinned(boxes, scores, 0.3, 10) == [1, 2]
    assert thinned(boxes, scores, 0.6, 1) == [1]


def card(task="coral-instances", labels=LABELS, **more):
    return ModelCard("m", "1", task, "onnxruntime", "m.onnx", "0" * 64, labels, SIDE, "MIT", "nothing", **more)


def test_labels_become_taxa_of_the_survey_by_crosswalk():
    colonies = discs(np.random.default_rng(4), SIDE, SIDE, 6, 25)
    model = Model(card(crosswalk="criobe-finegrained"), OracleEngine(colonies, 3, yolo_answer))
    task = Segmenter.of(model, None, class_map(model.card, "criobe-families"))
    names = sorted(i.label for i in segment(coded_picture(SIDE, SIDE), task))
    assert names == sorted(("Porites", "Acropora", "Other")[k] for k, _ in colonies)
    semantic = Model(card("coral-semantic", crosswalk="demo-reef"), OracleEngine(colonies, 3, semantic_answer))
    agnostic = Segmenter.of(semantic, None, class_map(semantic.card, "agnostic"))
    assert {i.label for i in segment(coded_picture(SIDE, SIDE), agnostic)} == {"coral"}


def test_a_label_that_leads_nowhere_is_named_before_any_picture_is_seen():
    model = Model(card(labels=("Porites", "Krill")), OracleEngine([], 2, yolo_answer))
    with pytest.raises(ModelError, match="Krill"):
        class_map(model.card, "demo-reef")
    with pytest.raises(ModelError, match=r"Krill.*choose another model"):
        Segmenter.of(model, None, {"Porites": "Porites"})
    with pytest.raises(ModelError, match="not for corals"):
        Segmenter.of(Model(card("corners"), OracleEngine([], 2, yolo_answer)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_with_other_classes_than_its_card_says_so(kind):
    task, answer = KINDS[kind]
    colonies = [(4, np.array([(10.0, 10), (60, 10), (60, 60), (10, 60)]))]
    engine = OracleEngine(colonies, 5, answer)
    with pytest.raises(EngineError, match=r"classes apart.*models\.yaml"):
        segment(coded_picture(SIDE, SIDE), task(engine, LABELS, SIDE, "oracle@1"))


def test_a_model_that_is_no_segmenter_says_so():
    engine = OracleEngine([], 3, semantic_answer)
    with pytest.raises(EngineError, match="no YOLO-seg export"):
        segment(coded_picture(SIDE, SIDE), YoloSegmenter(engine, LABELS, SIDE, "oracle@1"))


def test_weights_cut_in_half_are_refused_when_the_model_is_loaded():
    registry = ModelRegistry()
    whole = (registry.folder / registry.card("demo-corals").file).read_bytes()
    with pytest.raises(EngineError, match="weights"):
        open_engine("onnxruntime", whole[: len(whole) // 2]).load()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (70, 40, 3), (400, 400, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_black_picture_of_any_size_has_no_colonies(kind, shape):
    task, answer = KINDS[kind]
    everything = [(0, np.array([(-9.0, -9), (9999, -9), (9999, 9999), (-9, 9999)]))]
    for tile in (None, SIDE):
        engine = OracleEngine(everything, 3, answer)
        assert segment(np.zeros(shape, np.uint8), task(engine, LABELS, SIDE, "oracle@1", Options(tile_px=tile))) == []


class Quiet:
    """An engine that sees nothing, at the size of a real one's outputs."""

    name, device, input_shape, batch_limit = "quiet", "cpu", (None, 3, None, None), None

    def load(self):
        pass

    def predict(self, batch):
        side = batch.shape[-1]
        return np.zeros((len(batch), 300, 38), np.float32), np.zeros((len(batch), 32, side // 4, side // 4), np.float32)


def test_200_megapixels_are_seen_in_bounded_memory():
    image = np.broadcast_to(np.uint8(90), (14_200, 14_200, 3))
    task = YoloSegmenter(Quiet(), LABELS, 640, "quiet@1", Options(tile_px=1920))
    tracemalloc.start()
    assert segment(image, task) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(task.canvas(image).tiles) > 50
    assert peak < 250e6


@pytest.fixture(scope="module", params=[("yolo11n-seg.yaml", {}), ("yolo26n-seg.yaml", {"nms": False})])
def exported(request, tmp_path_factory):
    """A YOLO-seg model with random weights, exported by ultralytics in one of its two layouts."""
    pytest.importorskip("torch", reason="ultralytics' own export needs the torch extra")
    pytest.importorskip("ultralytics", reason="ultralytics' own export needs the torch extra")
    from inference.training.ultralytics_door import yolo_class

    kind, how = request.param
    folder = tmp_path_factory.mktemp("export")
    before = Path.cwd()
    os.chdir(folder)  # ultralytics writes beside itself
    try:
        path = yolo_class()(kind).export(format="onnx", imgsz=160, opset=17, simplify=False, verbose=False, **how)
        return open_engine("onnxruntime", Path(path).read_bytes(), threads=1)
    finally:
        os.chdir(before)


def test_masks_of_real_exports_are_those_of_ultralytics(exported):
    import torch
    from ultralytics.utils.ops import process_mask

    rng = np.random.default_rng(1)
    image = cv2.resize(rng.integers(0, 255, (12, 12, 3), np.uint8), (160, 160), interpolation=cv2.INTER_CUBIC)
    labels = [f"taxon {n}" for n in range(80)]
    task = YoloSegmenter(exported, labels, 160, "random@1", Options(min_score=0.0, iou=1.0))
    outputs = exported.predict(task.prepare(image))
    task.finish(image, outputs)  # noise, but in a layout that is understood
    look = task._candidates(outputs[0][0], 32)
    checked = 0
    for box, own in zip(np.clip(look.boxes, 0, 160), look.coefficients, strict=True):
        crop, left, top = box_mask(outputs[1][0], own, box, 160)
        ours = np.zeros((160, 160), np.uint8)
        ours[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        planes, boxes = torch.tensor(outputs[1][0]), torch.tensor(box)[None]
        theirs = process_mask(planes, torch.tensor(own)[None], boxes, (160, 160), upsample=True)[0].numpy()
        left, top, right, bottom = np.round(box).astype(int) + np.array([1, 1, -1, -1])  # edges are rounded in two ways
        inner = np.s_[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        if theirs[inner].sum() > 200:
            checked += 1
            assert (ours[inner] != theirs[inner]).mean() < 0.002
    assert checked >= 5
