"""The functions through ``cvat-cli`` against the CVAT sandbox: both real processes."""

import io
import os
import subprocess
import sys
from pathlib import Path

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import pytest
from cvat_sdk import Client, Config
from PIL import Image

from inference.functions import corals, lattice
from inference.functions.detectors import CORNERS_LABEL, LATTICE_LABEL
from inference.scenes import render_quadrat
from labels.formats.cvat import (
    HALF_PIXEL,
    TaskAnswer,
    corner_label_spec,
    from_cvat,
    lattice_label_spec,
    taxonomy_label_specs,
)
from labels.lattice import load_topology
from labels.schema import label_defects
from labels.taxonomy import load_taxonomy
from resources.cvat import CvatClient, Picture
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess

pytest.importorskip("cvat_cli", reason="needs cvat-cli, one of the development tools")

SIDE = 640
TAXA = load_taxonomy("demo-reef")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    running = SandboxProcess(tmp_path_factory.mktemp("sandbox")).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def cvat(sandbox):
    return CvatClient(sandbox.url, username=ADMIN, password=PASSWORD)


@pytest.fixture(scope="module")
def client(sandbox, tmp_path_factory):
    """CVAT's own client in this process: the same way as ``cvat-cli``, without its start."""
    config = Config(cache_dir=tmp_path_factory.mktemp("cache"))
    with Client(sandbox.url, config=config) as made:
        made.login((ADMIN, PASSWORD))
        yield made


@pytest.fixture(scope="module")
def scene():
    return render_quadrat(31, difficulty=0.2, size=(1200, 1000))


def offered(name, image):
    data = io.BytesIO()
    Image.fromarray(image).save(data, "PNG")
    return Picture(name, data.getvalue)


def task_of(cvat, name, labels, images):
    pictures = [offered(f"{name}{n}.png", image) for n, image in enumerate(images)]
    project = cvat.create_project(name, labels)
    return cvat.ensure_task(project, name, pictures, lambda *_: {"version": 0, "tags": [], "shapes": [], "tracks": []})


def annotate(sandbox, home, task, module, *more):
    """``cvat-cli task auto-annotate``; the password is not among its arguments."""
    place = ["--server-host", f"http://127.0.0.1:{sandbox.port}", "--auth", ADMIN]
    command = [sys.executable, "-m", "cvat_cli", *place, "task", "auto-annotate", str(task.task_id)]
    env = {
        **os.environ,
        "PASS": PASSWORD,
        "HOME": str(home),
        "PYTHONPATH": str(Path.cwd()),
        "XDG_CACHE_HOME": str(home),
    }
    return subprocess.run(
        [*command, "--function-module", f"inference.functions.{module}", *more],
        env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def shapes_of(cvat, task):
    read = cvat.read_task(task.task_id)
    return [shape for job in read.jobs for shape in job.annotations["shapes"]]


def rows_of(cvat, task):
    """Label rows, read as reviewed labels are."""
    frames = {frame: name for name, frame in task.frames.items()}
    read = cvat.read_task(task.task_id)
    return from_cvat(TaskAnswer(read.task_id, read.labels, read.jobs), frames, [])


def test_corners_become_a_skeleton_on_each_picture_with_a_frame(sandbox, cvat, scene, tmp_path):
    empty = np.full((600, 800, 3), 90, np.uint8)
    task = task_of(cvat, "corners", [corner_label_spec(CORNERS_LABEL)], [scene.image, empty])
    done = annotate(sandbox, tmp_path, task, "corners")
    assert done.returncode == 0, done.stderr
    rows, defects = rows_of(cvat, task)
    assert (defects, [row.image_id for row in rows]) == ({}, ["corners0.png"])
    assert np.abs(np.array(rows[0].xy()) - scene.corners).max() < 3


def test_every_node_of_the_lattice_arrives_under_its_own_name(client, cvat, scene):
    topology = load_topology()
    task = task_of(cvat, "lattice", [lattice_label_spec(LATTICE_LABEL, topology)], [scene.rectified(SIDE)])
    cvataa.annotate_task(client, task.task_id, lattice.create())
    rows, defects = rows_of(cvat, task)
    assert defects == {}
    assert len(rows) == 1
    assert np.abs(np.array(rows[0].xy()) - scene.nodes_unit * (SIDE - 1)).mean() < 2


def test_corals_become_polygons_of_the_projects_taxa(sandbox, cvat, scene, tmp_path):
    task = task_of(cvat, "corals", taxonomy_label_specs(TAXA), [scene.clean(SIDE)])
    done = annotate(sandbox, tmp_path, task, "corals", "--conf-threshold", "0.5")
    assert done.returncode == 0, done.stderr
    shapes = shapes_of(cvat, task)
    assert {(shape["type"], shape["source"]) for shape in shapes} == {("polygon", "auto")}
    assert all(50 <= int(shape["attributes"][0]["value"]) <= 100 for shape in shapes)
    assert min(min(shape["points"]) for shape in shapes) >= HALF_PIXEL
    rows, defects = rows_of(cvat, task)
    assert defects == {}
    assert label_defects(rows, set(TAXA.names), dict.fromkeys(task.frames, (SIDE, SIDE))) == []


def test_a_project_that_is_drawn_with_the_brush_gets_masks(client, cvat, scene):
    task = task_of(cvat, "masks", taxonomy_label_specs(TAXA, "mask"), [scene.clean(SIDE)])
    cvataa.annotate_task(client, task.task_id, corals.create(shape="mask"))
    shapes = shapes_of(cvat, task)
    assert {shape["type"] for shape in shapes} == {"mask"}
    assert rows_of(cvat, task)[1] == {}


def test_a_project_without_the_labels_is_refused_before_any_picture_is_looked_at(sandbox, cvat, tmp_path):
    labels = [{"name": "fish", "type": "polygon", "color": "#ff0000", "attributes": []}]
    task = task_of(cvat, "fish", labels, [np.full((64, 64, 3), 90, np.uint8)])
    done = annotate(sandbox, tmp_path, task, "corals")
    assert done.returncode != 0
    assert "'Acropora' is not in dataset" in done.stderr
    assert PASSWORD not in done.stderr
    assert shapes_of(cvat, task) == []
