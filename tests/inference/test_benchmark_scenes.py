"""Benchmark scenes: the truth is where the picture shows it, and each named trouble is really there."""

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiLineString, Point, Polygon

from inference.scenes import (
    SETTINGS,
    SPLITS,
    TAXA,
    Camera,
    Lens,
    TextureError,
    Textures,
    paint_lattice,
    render_scene,
    split_of,
    split_seeds,
    water,
)
from inference.scenes.__main__ import main
from inference.scenes.hanging import hang
from inference.scenes.optics import UNIT_SQUARE
from inference.training.samples import HELD_OUT_FROM
from labels.lattice import load_topology, parse_topology
from labels.transforms import apply_homography, homography_from_points

REEF = Path(__file__).resolve().parents[3] / "shared" / "data" / "reef" / "images_1000px"
SMALL = (320, 260)


@pytest.fixture(scope="module", params=["easy", "lens", "sag"])
def scene(request):
    return render_scene(11, request.param, size=(1200, 1000))


def _crossing(cover, node, reach):
    """Where two strings cross, from the pixels alone: a line through either string's middle at the window's edges."""
    x, y = np.round(node).astype(int)
    window = cover[y - reach : y + reach + 1, x - reach : x + reach + 1]
    steps = np.arange(-reach, reach + 1)
    top, bottom = (window[row] @ steps / window[row].sum() for row in (0, -1))
    left, right = (window[:, column] @ steps / window[:, column].sum() for column in (0, -1))
    # x = mx + ax * y, y = my + ay * x
    ax, ay, mx, my = (bottom - top) / (2 * reach), (right - left) / (2 * reach), (top + bottom) / 2, (left + right) / 2
    dx = (mx + ax * my) / (1 - ax * ay)
    return np.array([x + dx, y + my + ay * dx])


def _cover(scene, kind="strings"):
    cover = np.zeros(scene.image.shape[0] * scene.image.shape[1])
    for layer in scene.layers:
        if layer.kind == kind:
            cover[layer.at] = layer.cover
    return cover.reshape(scene.image.shape[:2])


def test_nodes_are_where_the_painted_strings_cross(scene):
    cover, frame = _cover(scene), scene.frame
    # Not the outermost nodes: there the frame is near, and a string turns towards its knot.
    inner = frame.visible & ((frame.nodes_unit > 0.1) & (frame.nodes_unit < 0.9)).all(axis=1)
    assert inner.sum() >= 70
    found = np.array([_crossing(cover, node, 9) for node in frame.nodes[inner]])
    error = np.hypot(*(found - frame.nodes[inner]).T)
    assert error.mean() < 0.06
    assert error.max() < 0.3


def test_the_photo_shows_strings_at_the_nodes_and_none_between_them(scene):
    clean = scene.clean()
    difference = np.abs(scene.image.astype(int) - clean).sum(axis=2)
    nodes = np.round(scene.frame.nodes[scene.frame.visible]).astype(int)
    assert np.median(difference[nodes[:, 1], nodes[:, 0]]) > 60
    between = nodes + round(scene.camera.px_per_unit / 22)
    assert np.median(difference[between[:, 1], between[:, 0]]) == 0


def test_the_string_mask_holds_exactly_the_pixels_that_strings_change(scene):
    clean = scene.clean()
    mask = scene.changed(clean)
    assert np.array_equal(scene.image[~mask], clean[~mask])
    assert (scene.image[mask] != clean[mask]).any(axis=1).all()
    assert mask[scene.mask("strings")].mean() > 0.97, "where a string is seen it changes the photo"
    near = cv2.dilate((_cover(scene) > 0).astype(np.uint8), np.ones((61, 61), np.uint8)) > 0
    assert not mask[~near].any(), "and nothing changes far from one"


def test_the_opening_of_the_painted_frame_ends_at_the_true_corners(scene):
    cover = _cover(scene, "frame")
    middle = scene.frame.corners.mean(axis=0)
    for corner in scene.frame.corners:
        inward = np.sign(middle - corner)
        inside, outside = (np.round(corner + 2.5 * way).astype(int) for way in (inward, -inward))
        assert cover[inside[1], inside[0]] < 0.05
        assert cover[outside[1], outside[0]] > 0.95
    assert cover.sum() > 0.02 * cover.size


def test_colonies_are_cut_to_the_opening_and_do_not_overlap(scene):
    shapes = [Polygon(c.ring_unit).buffer(0) for c in scene.frame.colonies]
    assert len(shapes) >= 5
    assert {c.taxon for c in scene.frame.colonies} <= set(TAXA)
    for i, a in enumerate(shapes):
        assert min(a.bounds) >= 0
        assert max(a.bounds) <= 1
        assert all(a.intersection(b).area < 1e-4 for b in shapes[i + 1 :])


def test_the_rectified_picture_has_nodes_where_a_perfect_corner_finder_would_see_them():
    bent, straight = (render_scene(11, name, size=SMALL).frame for name in ("lens", "easy"))
    side = 500
    assert straight.to_rectified(straight.nodes_unit, side) == pytest.approx(straight.nodes_unit * (side - 1), abs=1e-6)
    off = np.hypot(*(bent.to_rectified(bent.nodes_unit, side) - bent.nodes_unit * (side - 1)).T)
    assert 1 < off.max() < 40, "with a lens no homography maps units exactly"
    assert bent.to_rectified(UNIT_SQUARE, side) == pytest.approx(UNIT_SQUARE * (side - 1), abs=1e-6)


@given(st.floats(-0.11, 0.08), st.floats(0, 0.03), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1))
@settings(deadline=None, max_examples=60)
def test_lens_and_pose_can_be_undone(k1, k2, points):
    corners = [[210, 120], [1010, 160], [980, 930], [190, 900]]
    camera = Camera(homography_from_points(UNIT_SQUARE, corners), (1200, 1000), Lens(k1, k2))
    units = np.array(points)
    assert camera.to_unit(camera.to_raw(units)) == pytest.approx(units, abs=1e-8)


def test_painting_and_truth_use_the_same_lens():
    camera = Camera(homography_from_points(UNIT_SQUARE, UNIT_SQUARE * 700 + 150), (1000, 1000), Lens(-0.11, 0.02))
    x, y = camera.unit_rows(0, 1000)
    pixels = np.random.default_rng(0).integers(0, 1000, (500, 2))
    exact = camera.to_unit(pixels)
    painted = np.column_stack([x[pixels[:, 1], pixels[:, 0]], y[pixels[:, 1], pixels[:, 0]]])
    assert np.abs(painted - exact).max() * 700 < 0.02
    at = pixels[:, 1] * 1000 + pixels[:, 0]
    assert np.abs(camera.unit_at(at) - exact).max() * 700 < 0.02


def test_a_lens_that_folds_the_picture_is_refused():
    with pytest.raises(ValueError, match="fold the picture"):
        Lens(-0.6, 0.0)


@pytest.mark.parametrize("name", ["criobe-117", "grid-7x7"])
def test_a_node_is_absent_exactly_where_its_strings_no_longer_cross(name):
    topology = load_topology(name)
    for seed in range(12):
        hung = hang(topology, np.random.default_rng(seed), sag=0.006, missing=seed % 3)
        lines = [LineString(piece) for piece in hung.pieces]
        through = np.array([sum(line.distance(Point(node)) < 1e-9 for line in lines) for node in hung.nodes_unit])
        assert np.array_equal(hung.present, through == 2)
        assert hung.present.all() == (seed % 3 == 0)


def test_a_cut_string_leaves_a_gap_without_its_nodes():
    topology = load_topology()
    for seed in range(20):
        hung = hang(topology, np.random.default_rng(seed), cuts=2)
        lost = ~hung.present
        assert 1 <= lost.sum() <= 8
        assert len(hung.pieces) >= len(topology.strings)
        for node in hung.nodes_unit[hung.present]:
            assert sum(LineString(piece).distance(Point(node)) < 1e-9 for piece in hung.pieces) >= 2
        whole = MultiLineString([LineString(piece) for piece in hang(topology, np.random.default_rng(seed)).pieces])
        assert sum(LineString(piece).length for piece in hung.pieces) < whole.length


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_makes_a_photo_with_the_trouble_it_names(name):
    scene = render_scene(21, name, size=SMALL)
    assert scene.image.shape == (SMALL[1], SMALL[0], 3)
    truth = json.loads(json.dumps(scene.to_json()))
    assert len(truth["frames"]) == {"two-frames": 2, "no-frame": 0}.get(name, 1)
    for frame in scene.frames:
        assert len(frame.node_states) == len(frame.nodes) == 117
    if name == "cut-off":
        assert "outside" in scene.frame.corner_states
    if name == "breaks":
        assert "absent" in scene.frame.node_states
        assert scene.frame.corner_states == ("visible",) * 4
    if name in {"fish", "tape", "hidden-markers"}:
        kind = "growth" if name == "hidden-markers" else name
        assert scene.mask(kind).any()
    if name == "no-frame":
        assert not scene.mask("strings").any()
        with pytest.raises(ValueError, match="shows no frame"):
            _ = scene.frame
    if name == "easy":
        assert scene.frame.visible.all()


def test_what_lies_above_hides_nodes_and_colonies():
    hidden = 0
    for seed in range(30, 34):
        scene = render_scene(seed, "tape", size=SMALL)
        over = scene.mask("tape")
        for node, state in zip(np.round(scene.frame.nodes).astype(int), scene.frame.node_states, strict=True):
            assert (state == "hidden") == over[node[1], node[0]]
            hidden += state == "hidden"
        shares = scene.colony_hidden()
        assert len(shares) == len(scene.frame.colonies)
        assert max(shares) <= 1
        assert scene.without("tape").shape == scene.image.shape
        assert (scene.without("tape") != scene.image)[over].any(axis=1).mean() > 0.9
    assert hidden > 4


def test_a_seed_gives_the_same_scene_again_and_another_size_the_same_scene_smaller():
    one, again, large = (render_scene(40, "usual", size=size) for size in (SMALL, SMALL, (640, 520)))
    assert np.array_equal(one.image, again.image)
    assert one.to_json() == again.to_json()
    assert np.array_equal(one.frame.nodes_unit, large.frame.nodes_unit)
    assert (large.frame.corners + 0.5) / 2 == pytest.approx(one.frame.corners + 0.5, abs=1e-6)
    small = cv2.resize(large.image, SMALL, interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(float) - one.image).mean() < 14, "not only the truth: the picture too"
    assert not np.array_equal(one.image, render_scene(41, "usual", size=SMALL).image)


def test_the_camera_leaves_no_seam_between_the_strips_it_works_in(monkeypatch):
    scene = render_scene(42, "motion", size=SMALL)
    quiet = water.Water(0.5, (90, 130, 130), 0.3, 30, 0.3, 0.1, 1.2, (2.0, 1.0), 0.0, 7)
    whole = water.expose(scene.ground, scene.camera, quiet)
    monkeypatch.setattr(water, "_ROWS", 37)
    assert np.abs(whole.astype(int) - water.expose(scene.ground, scene.camera, quiet)).max() <= 1


def test_any_lattice_can_be_painted():
    yaml = (
        "name: odd\nnodes: {a: [0.2, 0.5], b: [0.5, 0.5], c: [0.8, 0.6], d: [0.5, 0.1]}\nstrings: [[a, b, c], [d, b]]"
    )
    for topology in (load_topology("cross"), load_topology("diagonals"), parse_topology(yaml)):
        scene = render_scene(43, "hard", topology=topology, size=SMALL)
        assert scene.frame.nodes.shape == (topology.size, 2)


def test_splits_are_disjoint_and_keep_the_older_held_out_seeds_held_out():
    ranges = sorted(SPLITS.values(), key=lambda seeds: seeds.start)
    assert all(a.stop <= b.start for a, b in pairwise(ranges))
    assert split_of(HELD_OUT_FROM) == split_of(HELD_OUT_FROM + 500) == "test"
    assert split_of(9001) is None, "seeds of the older benchmark"
    assert [split_of(seed) for seed in split_seeds("validation", 3, start=5)] == ["validation"] * 3
    with pytest.raises(ValueError, match="no split"):
        split_seeds("dev", 1)
    with pytest.raises(ValueError, match="not among them"):
        split_seeds("validation", 10, start=99_995)


def _photo(side=400):
    rng = np.random.default_rng(3)
    rough = cv2.resize(rng.integers(60, 200, (40, 40, 3)).astype(np.uint8), (side, side))
    return cv2.add(rough, rng.integers(0, 12, rough.shape).astype(np.uint8))


def test_a_lattice_painted_on_a_photo_lies_where_its_truth_says():
    corners = [[52, 61], [1010, 48], [1040, 1022], [40, 1035]]
    painted = paint_lattice(_photo(1100), corners, seed=4, sag=0.003)
    frame = painted.frame
    assert frame.corners == pytest.approx(np.array(corners), abs=1e-6)
    units = apply_homography(homography_from_points(corners, UNIT_SQUARE), frame.nodes)
    assert units == pytest.approx(frame.nodes_unit, abs=1e-9)
    assert np.array_equal(painted.image[~painted.mask], painted.clean[~painted.mask])
    assert (painted.image[painted.mask] != painted.clean[painted.mask]).any(axis=1).all()
    nodes = np.round(frame.nodes).astype(int)
    assert painted.mask[nodes[:, 1], nodes[:, 0]].mean() > 0.97
    again = paint_lattice(_photo(1100), corners, seed=4, sag=0.003)
    assert np.array_equal(painted.image, again.image)


def test_real_photos_serve_as_the_bottom(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), _photo())
    scene = render_scene(44, "easy", size=SMALL, textures=Textures.of_folder(tmp_path))
    assert scene.frame.colonies == ()
    assert len(scene.frame.nodes) == 117
    assert scene.image.std() > 10


def test_a_folder_that_cannot_serve_as_textures_is_refused_in_words(tmp_path):
    with pytest.raises(TextureError, match="no folder"):
        Textures.of_folder(tmp_path / "none")
    with pytest.raises(TextureError, match="no photos in"):
        Textures.of_folder(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(TextureError, match=r"broken\.jpg"):
        Textures.of_folder(tmp_path)
    with pytest.raises(TextureError, match="too small"):
        Textures([np.zeros((20, 20, 3), np.uint8)])


@pytest.mark.skipif(not REEF.is_dir(), reason="the Moorea pictures are not here (../shared)")
def test_a_lattice_painted_on_a_moorea_photo_stays_within_its_frame():
    known = json.loads((Path(__file__).parent / "moorea_corners.json").read_text(encoding="utf-8"))["corners"]
    path = next(p for p in sorted(REEF.iterdir()) if p.name in known)
    photo = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    painted = paint_lattice(photo, known[path.name], seed=1)
    opening = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillPoly(opening, [np.round(known[path.name]).astype(np.int32)], 1)
    opening = cv2.dilate(opening, np.ones((31, 31), np.uint8))  # shadows fall onto the bars
    assert painted.mask.sum() > 10_000
    assert not painted.mask[opening == 0].any()


def test_the_command_writes_photos_masks_and_truth(tmp_path, capsys):
    out = tmp_path / "set"
    assert main(["--out", str(out), "--count", "2", "--setting", "hard", "--size", "320x260", "--masks"]) == 0
    truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    assert capsys.readouterr().out.strip() == str(out / "truth.json")
    assert [photo["seed"] for photo in truth["photos"]] == list(split_seeds("test", 2))
    for photo in truth["photos"]:
        assert cv2.imread(str(out / photo["file"])).shape == (260, 320, 3)
        assert cv2.imread(str(out / photo["clean"])).shape == (260, 320, 3)
        mask = cv2.imread(str(out / photo["mask"]), cv2.IMREAD_GRAYSCALE)
        assert (mask & truth["mask_bits"]["strings"]).any()
        assert (mask & truth["mask_bits"]["frame"]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "0"], "are not among them"),
        (["--count", "1", "--size", "90x90"], "a scene's sides are"),
        (["--count", "1", "--lattice", "none"], "no lattice 'none'"),
        (["--count", "1", "--textures", "nowhere"], "no folder nowhere"),
        (["--count", "1", "--texture-edge", "0.7"], "edge"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(tmp_path, capsys, arguments, message):
    if "--texture-edge" in arguments:
        cv2.imwrite(str(tmp_path / "a.png"), _photo())
        arguments = [*arguments, "--textures", str(tmp_path)]
    assert main(["--out", str(tmp_path / "out"), *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--setting", "stormy"], ["--size", "big"], ["--split", "dev"]])
def test_an_unknown_word_on_the_command_line_is_exit_code_2(tmp_path, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path), "--count", "1", *arguments])
    assert stopped.value.code == 2
