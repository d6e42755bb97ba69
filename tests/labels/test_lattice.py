"""Lattices: the shipped ones, and files of one's own that are read or explained."""

import html
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.lattice import LatticeError, load_topology, parse_topology
from labels.transforms import apply_homography, homography_from_points

CROSS = 'name: c\nnodes: {"1": [0.5, 0], "2": [0.5, 1], "3": [0, 0.5]}\nstrings: [["1", "2"]]\n'


def test_the_default_lattice_has_117_nodes_in_rows_of_9_11_and_9():
    topology = load_topology()
    assert topology.node_ids == tuple(str(n) for n in range(1, 118))
    assert np.bincount(topology.cells[:, 0]).tolist() == [9, *[11] * 9, 9]
    assert len(topology.strings) == 22
    assert topology.size == 117


def test_the_default_lattice_fits_the_skeleton_of_the_real_installation(shared):
    path = shared / "contracts" / "criobe_labels" / "grid_annotation_example.json"
    (label,) = json.loads(path.read_text(encoding="utf-8"))
    nodes = re.findall(r'cx="([\d.]+)" cy="([\d.]+)".*?data-node-id="(\d+)"', html.unescape(label["svg"]))
    drawn = {node: (float(x), float(y)) for x, y, node in nodes}
    topology = load_topology()
    points = np.array([drawn[node] for node in topology.node_ids])
    fitted = apply_homography(homography_from_points(topology.unit * 100, points), topology.unit * 100)
    assert np.sqrt(((fitted - points) ** 2).sum(axis=1).mean()) < 1


@given(st.integers(2, 14), st.integers(2, 14))
def test_every_node_of_a_grid_lies_on_one_string_each_way(rows, columns):
    topology = parse_topology(f"name: g\ngrid: {{rows: {rows}, columns: {columns}}}")
    assert topology.size == rows * columns
    times = np.bincount([node for string in topology.strings for node in string], minlength=topology.size)
    assert set(times) == {2}
    assert topology.unit.min() > 0
    assert topology.unit.max() < 1
    ideal = topology.ideal(1920)
    for string, (start, end) in zip(topology.strings, topology.string_ends * 1919, strict=True):
        along = (end - start) / np.linalg.norm(end - start)
        offsets = (ideal[list(string)] - start) @ np.array([-along[1], along[0]])
        assert np.abs(offsets).max() < 1e-9
        assert np.all(np.diff((ideal[list(string)] - start) @ along) > 0)


def test_own_files_load_by_path(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(CROSS, encoding="utf-8")
    assert load_topology(str(path)).strings == ((0, 1),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "name: x",
        "name: x\ngrid: 3",
        "name: x\ngrid: {rows: 2}",
        "name: x\ngrid: {rows: 1, columns: 5}",
        "name: x\ngrid: {rows: two, columns: 5}",
        "name: x\ngrid: {rows: 3, columns: 3, missing: [1]}",
        "name: x\ngrid: {rows: 3, columns: 3, missing: [[9, 9]]}",
        "name: x\ngrid: {rows: 3, columns: 3, margin: wide}",
        "name: x\ngrid: {rows: 3, columns: 3, margin: 0.7}",
        "name: x\ngrid: {rows: 300000, columns: 300000}",
        "name: x\ngrid: {rows: 3, columns: 3, missing: [[1, 1], [1, 2], [1, 3]]}",
        "name: x\nnodes: {}\nstrings: [[a]]",
        "name: x\nnodes: []\nstrings: [[a]]",
        CROSS.replace("0.5, 0]", "0.5, 2]"),
        CROSS.replace("[0.5, 0]", "[0.5]"),
        CROSS.replace("[0.5, 0]", "here"),
        CROSS.replace("[0.5, 0]", "[.nan, 0]"),
        CROSS.replace('["1", "2"]', '["1", "9"]'),
        CROSS.replace('["1", "2"]', '["1"]'),
        CROSS.replace('[["1", "2"]]', "3"),
        CROSS.replace("strings", "lines"),
    ],
)
def test_a_wrong_topology_file_is_explained(text):
    with pytest.raises(LatticeError, match="own") as caught:
        parse_topology(text, "own")
    assert len(str(caught.value)) > 15


def test_an_unknown_lattice_is_named_with_those_there_are():
    with pytest.raises(LatticeError, match="criobe-117, cross, diagonals, grid-7x7"):
        load_topology("round")
