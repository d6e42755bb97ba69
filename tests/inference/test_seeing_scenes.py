"""The finders together on generated photo quadrats with known truth: raw photo to clean picture."""

from __future__ import annotations

import numpy as np
import pytest

from inference.corners import find_corners
from inference.lattice import find_lattice
from inference.rectify import rectify
from inference.removal import lattice_mask, measured_mask, remove_lattice
from inference.scenes import Scene, render_quadrat
from labels.lattice import load_topology
from labels.transforms import Rectification

SIDE = 1920


@pytest.fixture(scope="module", params=[(31, 0.2), (32, 0.6), (33, 1.0)], ids=["calm", "usual", "murky"])
def scene(request: pytest.FixtureRequest) -> Scene:
    seed, difficulty = request.param
    return render_quadrat(seed, difficulty=difficulty)


def test_corners_and_nodes_of_a_generated_photo_are_found(scene: Scene) -> None:
    topology = load_topology()
    corners = find_corners(scene.image)
    assert corners.points is not None
    assert corners.defects == []
    assert corners.score >= 0.8
    truth = Rectification.from_corners(scene.corners, SIDE, 100)
    square = np.array([[0, 0], [SIDE - 1, 0], [SIDE - 1, SIDE - 1], [0, SIDE - 1]])
    assert np.hypot(*(truth.to_rectified(corners.points) - square).T).max() < 3.0

    nodes = Rectification.from_corners(corners.points, SIDE, 100).to_rectified(scene.nodes)
    lattice = find_lattice(rectify(scene.image, corners.points, SIDE), topology)
    error = np.hypot(*(lattice.nodes - nodes).T)
    assert error.mean() < 1.5
    assert error.max() < 4.0
    assert lattice.score >= 0.8
    assert lattice.defects == []


def test_removing_strings_with_their_shadow_brings_back_the_reef(scene: Scene) -> None:
    topology = load_topology()
    strung, bare = scene.rectified(960), scene.clean(960)
    lattice = find_lattice(strung, topology)
    mask = measured_mask(strung, lattice.nodes, topology, lattice.outside)
    clean = remove_lattice(strung, mask)

    def error(picture: np.ndarray) -> float:
        return float(((picture.astype(float) - bare) ** 2).mean())

    # Ten times less squared error is 10 dB.
    assert error(clean) < 0.1 * error(strung)
    without_shadow = lattice_mask(lattice.nodes, topology, 960, lattice.string_width_px, lattice.outside)
    assert error(clean) < error(remove_lattice(strung, without_shadow))
    assert (mask > 0).mean() < 0.4


def test_a_lattice_of_another_kind_is_doubted(scene: Scene) -> None:
    finding = find_lattice(scene.rectified(960), load_topology("grid-7x7"))
    assert finding.defects
    assert finding.score < 0.6
