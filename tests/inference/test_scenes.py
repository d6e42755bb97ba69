"""Generated scenes: the same from the same seed, and their truth is where it says."""

import cv2
import numpy as np
import pytest
from shapely.geometry import Polygon

from inference.scenes import TAXA, plan_survey, render_quadrat, split_of
from labels.lattice import load_topology
from labels.transforms import apply_homography

SIZE = (1300, 1100)


@pytest.fixture(scope="module")
def scene():
    return render_quadrat(5, difficulty=0.3, size=SIZE)


@pytest.fixture(scope="module")
def photos():
    return plan_survey(2026, sites=2, years=3, quadrats=4)


def test_a_seed_gives_the_same_scene_again(scene):
    again = render_quadrat(5, difficulty=0.3, size=SIZE)
    assert np.array_equal(scene.image, again.image)
    assert np.array_equal(scene.clean(300), again.clean(300))
    assert scene.truth_json() == again.truth_json()
    assert not np.array_equal(scene.image, render_quadrat(6, difficulty=0.3, size=SIZE).image)


def test_the_truth_hangs_together(scene):
    truth = scene.truth_json()
    matrix = np.array(truth["homography"]).reshape(3, 3)
    assert apply_homography(matrix, truth["corners"]) == pytest.approx(
        np.array([[0, 0], [1, 0], [1, 1], [0, 1]]), abs=1e-6
    )
    assert apply_homography(matrix, truth["nodes"]) == pytest.approx(np.array(truth["nodes_unit"]), abs=1e-5)
    assert len(truth["nodes"]) == load_topology().size == 117


def test_strings_cross_at_the_nodes(scene):
    side = 1000
    with_strings, without = scene.rectified(side).astype(int), scene.clean(side).astype(int)
    changed = np.abs(with_strings - without).sum(axis=2)
    nodes = np.round(scene.nodes_unit * (side - 1)).astype(int)
    assert np.median(changed[nodes[:, 1], nodes[:, 0]]) > 60
    away = nodes + 22  # half a cell away there is no string
    assert np.median(changed[away[:, 1].clip(0, side - 1), away[:, 0].clip(0, side - 1)]) < 15


def test_colonies_lie_within_the_frame_and_do_not_overlap(scene):
    shapes = [Polygon(ring).buffer(0) for _, ring in scene.rings(1000)]
    assert len(shapes) >= 8
    assert {taxon for taxon, _ in scene.rings(1000)} <= set(TAXA)
    for i, a in enumerate(shapes):
        assert a.bounds[0] >= 0
        assert a.bounds[2] <= 999
        assert all(a.intersection(b).area < 1 for b in shapes[i + 1 :])


def test_the_inner_edge_of_the_bars_is_where_the_corners_say(scene):
    flat = cv2.GaussianBlur(scene.rectified(800), (0, 0), 1).astype(int)
    # Just outside the opening lies the bar, in the frame's own colour; the rectified picture ends there.
    inside = flat[300:500, 6:10].mean(axis=(0, 1))
    assert inside.shape == (3,)
    raw = scene.image[int(scene.corners[:, 1].mean())]
    assert raw.std() > 5


@pytest.mark.parametrize("name", ["grid-7x7", "cross", "diagonals"])
def test_other_lattices_are_painted_too(name):
    topology = load_topology(name)
    assert render_quadrat(3, topology=topology, size=(700, 600)).nodes.shape == (topology.size, 2)


def test_a_survey_has_fixed_quadrats_that_recur_through_the_years(photos):
    assert len(photos) == len({p.file_name for p in photos}) == 24
    by_quadrat = {}
    for photo in photos:
        site, _, quadrat = photo.file_name.removesuffix(".jpg").split("_")
        by_quadrat.setdefault((site, quadrat), []).append(photo)
    assert len(by_quadrat) == 8
    for years in by_quadrat.values():
        assert len({p.bottom_seed for p in years}) == 1
        assert len({p.seed for p in years}) == 3, "every year has its own pose and light"
        seeds = [{c.seed for c in p.colonies} for p in years]
        assert len(seeds[0] & seeds[1]) >= 0.7 * len(seeds[0]), "most colonies live on"
    assert plan_survey(2026) == photos


def test_the_sample_survey_stays_as_it_is(photos):
    """Numbers from the first release: the demo, its figures and the shipped models' training depend on them."""
    scene = render_quadrat(5, size=(320, 260))
    assert scene.corners == pytest.approx(
        np.array([[60.183, 30.9776], [257.8888, 32.244], [257.5812, 232.54], [59.7913, 232.9308]]), abs=1e-3
    )
    assert scene.nodes[[0, 58, 116]] == pytest.approx(
        np.array([[87.351, 40.5004], [159.1458, 132.0011], [230.7905, 223.4802]]), abs=1e-3
    )
    assert (len(scene.colonies), scene.colonies[0].taxon, scene.shot.seed) == (16, "Millepora", 218187056)
    hard = render_quadrat(2026, difficulty=0.8, size=(320, 260))
    assert hard.corners[2] == pytest.approx([261.0703, 236.6185], abs=1e-3)
    assert hard.shot.seed == 1354439136
    assert {split_of(seed) for p in photos for seed in (p.seed, p.bottom_seed)} == {None}, "never trained on"
    assert [(p.file_name, p.seed, p.bottom_seed) for p in (photos[0], photos[-1])] == [
        ("Tiahura_2021_01.jpg", 890594224, 1720299985),
        ("Linareva_2023_04.jpg", 857932849, 185022096),
    ]
