"""The finders of corners and lattice as a survey gets them: which model, and what becomes of good and bad pictures."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from inference.corners import OPENCV as CORNERS_OPENCV
from inference.corners import CornerFinder, open_corner_finder
from inference.lattice import OPENCV as LATTICE_OPENCV
from inference.lattice import LatticeFinder, open_lattice_finder
from inference.rectify import rectify
from inference.registry import MODELS, ModelError, ModelRegistry
from inference.scenes import BenchmarkScene, render_scene
from labels.lattice import load_topology
from labels.transforms import Rectification

SIDE = 1280


@pytest.fixture(scope="module")
def corner_finder() -> CornerFinder:
    return open_corner_finder(ModelRegistry(), threads=1)


@pytest.fixture(scope="module", params=["usual", "lens"])
def scene(request: pytest.FixtureRequest) -> BenchmarkScene:
    return render_scene(71, request.param, size=(1320, 1100))


def _without_models(tmp_path: Path) -> ModelRegistry:
    shutil.copy(MODELS / "models.yaml", tmp_path)
    entries = yaml.safe_load((tmp_path / "models.yaml").read_text(encoding="utf-8"))["models"]
    left = [entry for entry in entries if entry["name"] == "demo-corals"]
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"models": left}), encoding="utf-8")
    return ModelRegistry(tmp_path)


def test_auto_takes_the_registrys_model_and_puts_its_hash_on_the_finding(corner_finder: CornerFinder) -> None:
    name, _, rest = corner_finder.reference.partition("@")
    assert name == "frame-corners"
    assert len(rest.partition("#")[2]) == 12
    lattice = open_lattice_finder(ModelRegistry(), load_topology(), threads=1)
    assert lattice.reference.startswith("string-crossings@")


def test_auto_without_a_model_in_the_registry_is_geometry_alone(tmp_path: Path) -> None:
    models = _without_models(tmp_path)
    assert open_corner_finder(models).engine is None
    assert open_corner_finder(models).reference == CORNERS_OPENCV
    assert open_lattice_finder(models, load_topology()).reference == LATTICE_OPENCV


def test_opencv_is_geometry_alone_though_the_registry_has_a_model() -> None:
    assert open_corner_finder(ModelRegistry(), "opencv").engine is None
    assert open_lattice_finder(ModelRegistry(), load_topology(), "opencv").engine is None


def test_a_model_that_is_for_something_else_is_refused() -> None:
    with pytest.raises(ModelError, match="not for corners"):
        open_corner_finder(ModelRegistry(), "string-crossings")
    with pytest.raises(ModelError, match="no model 'nobody'"):
        open_lattice_finder(ModelRegistry(), load_topology(), "nobody")


@pytest.mark.parametrize("choice", ["auto", "opencv"])
def test_corners_of_a_generated_photo_are_found(scene: BenchmarkScene, choice: str) -> None:
    finding = open_corner_finder(ModelRegistry(), choice, threads=1).find(scene.image)
    assert finding.points is not None
    truth = scene.frame.rectification(1920)
    square = np.array([[0, 0], [1919, 0], [1919, 1919], [0, 1919]])
    assert np.hypot(*(truth.to_rectified(finding.points) - square).T).max() < 8
    assert 0 <= finding.score <= 1


@pytest.mark.parametrize("choice", ["auto", "opencv"])
def test_nodes_of_a_generated_photo_are_found_and_their_uncertainty_is_honest(
    scene: BenchmarkScene, choice: str
) -> None:
    topology = load_topology()
    square = rectify(scene.image, scene.frame.corners, SIDE)
    truth = Rectification.from_corners(scene.frame.corners, SIDE, 100).to_rectified(scene.frame.nodes)
    finding = open_lattice_finder(ModelRegistry(), topology, choice, threads=1).find(square)
    error = np.hypot(*(finding.nodes - truth).T)[scene.frame.visible]
    assert error.mean() < 3
    assert finding.nodes.shape == (117, 2)
    if choice == "auto":
        known = finding.uncertainty_px[scene.frame.visible]
        assert (known > 0).all()
        assert (error <= 3 * known).mean() > 0.9
        assert finding.outside[~scene.frame.visible].mean() >= 0.5 or scene.frame.visible.all()


def test_a_lattice_of_another_kind_is_found_by_the_same_network() -> None:
    topology = load_topology("grid-7x7")
    scene = render_scene(72, "easy", topology=topology, size=(1000, 840))
    square = rectify(scene.image, scene.frame.corners, SIDE)
    truth = Rectification.from_corners(scene.frame.corners, SIDE, 100).to_rectified(scene.frame.nodes)
    finding = open_lattice_finder(ModelRegistry(), topology, threads=1).find(square)
    assert np.hypot(*(finding.nodes - truth).T).mean() < 2
    assert finding.defects == []


def test_one_picture_through_prepare_predict_and_finish_is_the_same_as_find(corner_finder: CornerFinder) -> None:
    scene = render_scene(73, "easy", size=(720, 600))
    assert corner_finder.engine is not None
    views = corner_finder.prepare(scene.image)
    assert views.dtype == np.float32
    assert views.shape[0] == 1
    finding = corner_finder.finish(scene.image, corner_finder.engine.predict(views))
    again = corner_finder.find(scene.image)
    assert finding.points is not None
    assert again.points is not None
    assert np.array_equal(finding.points, again.points)
    assert finding.score == again.score


@pytest.mark.parametrize("choice", ["auto", "opencv"])
@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((1, 1, 3), np.uint8), "too small"),
        (np.zeros((900, 1200, 3), np.uint8), "uniform"),
        (np.full((70, 5000, 3), 9, np.uint8), "uniform"),
    ],
    ids=["1x1", "black", "sliver"],
)
def test_a_picture_with_nothing_in_it_is_a_recorded_outcome(picture: np.ndarray, words: str, choice: str) -> None:
    finding = open_corner_finder(ModelRegistry(), choice, threads=1).find(picture)
    assert finding.points is None
    assert finding.score == 0
    assert any(words in defect for defect in finding.defects)


@pytest.mark.parametrize("seed", [74, 75])
def test_a_photo_without_a_frame_gives_a_reason_or_a_doubt(corner_finder: CornerFinder, seed: int) -> None:
    finding = corner_finder.find(render_scene(seed, "no-frame", size=(900, 750)).image)
    assert finding.points is None or finding.score < 0.5
    assert finding.defects or finding.score < 0.5


def test_of_two_frames_one_is_taken_and_the_other_is_told_of(corner_finder: CornerFinder) -> None:
    scene = render_scene(76, "two-frames", size=(1440, 900))
    finding = corner_finder.find(scene.image)
    assert finding.points is not None
    assert any("two frames" in defect for defect in finding.defects)
    error = min(np.hypot(*(finding.points - frame.corners).T).max() for frame in scene.frames)
    assert error < 10


def test_a_frame_that_the_photos_border_cuts_off_is_doubted_and_the_border_named(corner_finder: CornerFinder) -> None:
    scene = render_scene(77, "cut-off", size=(900, 750))
    finding = corner_finder.find(scene.image)
    assert any("cut" in defect and "off" in defect for defect in finding.defects)


def test_a_photo_of_200_megapixels_is_searched_in_bounded_memory(corner_finder: CornerFinder) -> None:
    small = render_scene(79, "easy", size=(1000, 800)).image
    huge = cv2.resize(small, (16_000, 12_500), interpolation=cv2.INTER_NEAREST)
    tracemalloc.start()
    finding = corner_finder.find(huge)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert finding.points is not None
    assert peak < huge.nbytes
    found = finding.points / [16, 15.625]
    expected = corner_finder.find(small).points
    assert expected is not None
    assert np.hypot(*(found - expected).T).max() < 2


@pytest.mark.parametrize("choice", ["auto", "opencv"])
@pytest.mark.parametrize("side", [1, 64, 960])
def test_a_black_rectified_picture_has_a_complete_lattice_that_is_all_outside(side: int, choice: str) -> None:
    finding = open_lattice_finder(ModelRegistry(), load_topology(), choice, threads=1).find(
        np.zeros((side, side, 3), np.uint8)
    )
    assert finding.nodes.shape == (117, 2)
    assert finding.outside.all()
    assert finding.score < 0.5
    assert finding.defects


def test_a_rectified_picture_that_is_not_square_is_refused() -> None:
    finder = LatticeFinder(load_topology())
    for find in (finder.find, finder.prepare):
        with pytest.raises(ValueError, match="square"):
            find(np.zeros((100, 120, 3), np.uint8))
