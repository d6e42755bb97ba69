"""Each function over real HTTP, its answers read the way CVAT reads them."""

import base64
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from threading import Thread

import httpx
import numpy as np
import pytest
import yaml
from PIL import Image
from shapely.geometry import Polygon

from deploy.nuclio.catalog import FOLDER
from deploy.nuclio.handler import MODEL_HEADER, NOTE_HEADER
from deploy.nuclio.serve import load, server_of
from inference.functions.detectors import FunctionSetupError
from inference.functions.sam import prepared
from inference.registry import ModelRegistry
from inference.scenes import render_quadrat
from labels.formats.cvat import (
    HALF_PIXEL,
    JobAnswer,
    TaskAnswer,
    corner_label_spec,
    from_cvat,
    lattice_label_spec,
    taxonomy_label_specs,
)
from labels.lattice import load_topology
from labels.raster import rasterise
from labels.schema import label_defects
from labels.taxonomy import load_taxonomy
from tests.deploy.cvat_lambda import described, numbered, taken

SIDE = 640
CORALS = "pth-yolo-coralsegv4"


@contextmanager
def serving(name, folder=None):
    """A client of a function's server in a thread."""
    module, context = load(name, folder)
    server = server_of(module, context)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_address[1]}", timeout=60) as client:
            yield client
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def scene():
    return render_quadrat(31, difficulty=0.2, size=(1200, 1000))


@pytest.fixture(scope="module")
def clean(scene):
    return scene.clean(SIDE)


@pytest.fixture(scope="module")
def corals():
    with serving(CORALS) as client:
        yield client


@pytest.fixture(scope="module")
def answer(corals, clean):
    """What the coral function says of the clean picture."""
    return corals.post("/", json={"image": encoded(clean)})


def encoded(image, form="PNG"):
    data = io.BytesIO()
    Image.fromarray(image).save(data, form)
    return base64.b64encode(data.getvalue()).decode()


def labels_of(name):
    return described(yaml.safe_load((FOLDER / name / "function.yaml").read_text()))


def rows_of(labeled_data, labels):
    return from_cvat(TaskAnswer(1, labels, [JobAnswer(1, labeled_data)]), {0: "p"}, [])


def test_corners_come_as_a_skeleton_that_cvat_draws_where_they_are(scene):
    with serving("pth-yolo-gridcorners") as client:
        answer = client.post("/", json={"image": encoded(scene.image)})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    project = numbered([corner_label_spec("quadrat_corner")])
    data = taken(answer.json(), labels_of("pth-yolo-gridcorners"), project)
    rows, defects = rows_of(data, project)
    assert defects == {}
    assert np.abs(np.array(rows[0].xy()) - scene.corners).max() < 3
    assert 0 <= int(rows[0].attributes["confidence"]) <= 100
    drawn = {node["label_id"]: node["points"] for node in data["shapes"][0]["elements"]}
    first = next(node["id"] for node in project[0]["sublabels"] if node["name"] == "1")
    assert np.allclose(drawn[first], np.array(scene.corners[0]) + HALF_PIXEL, atol=3)


def test_the_lattice_comes_with_every_node_and_hidden_ones_marked(scene):
    strung = scene.rectified(SIDE)
    strung[: SIDE // 4] = 120  # a quarter of the strings is covered
    with serving("pth-yolo-gridpose") as client:
        answer = client.post("/", json={"image": encoded(strung)})
        wide = client.post("/", json={"image": encoded(strung[: SIDE // 2])})
    project = numbered([lattice_label_spec("lattice", load_topology())])
    items = answer.json()
    data = taken(items, labels_of("pth-yolo-gridpose"), project)
    rows, defects = rows_of(data, project)
    assert defects == {}
    assert len(rows[0].xy()) == 117
    hidden = {element["label"] for element in items[0]["elements"] if element["outside"]}
    assert hidden == set(rows[0].outside_nodes())
    assert 0 < len(hidden) < 117
    assert (wide.status_code, wide.json()) == (200, []), "a picture of another shape does not stop CVAT's task"
    assert "square" in wide.headers[NOTE_HEADER]


@pytest.mark.parametrize("as_polygons", [False, True], ids=["masks", "polygons"])
@pytest.mark.parametrize("form", ["polygon", "mask"])
def test_corals_are_outlines_that_any_coral_project_takes(answer, form, as_polygons):
    taxonomy = load_taxonomy("criobe-finegrained")
    project = numbered(taxonomy_label_specs(taxonomy, form))
    data = taken(answer.json(), labels_of(CORALS), project, as_polygons)
    assert len(data["shapes"]) == len(answer.json()) > 2
    assert {shape["type"] for shape in data["shapes"]} == {"polygon" if as_polygons else "mask"}
    rows, defects = rows_of(data, project)
    assert defects == {}
    assert label_defects(rows, set(taxonomy.names), {"p": (SIDE, SIDE)}) == []
    assert all(25 <= int(row.attributes["confidence"]) <= 100 for row in rows)


def test_mask_and_polygon_of_an_answer_are_the_same_colony(answer):
    for item in answer.json():
        *pixels, left, top, right, bottom = item["mask"]
        ring = np.array(item["points"]).reshape(-1, 2) - HALF_PIXEL
        drawn = rasterise(Polygon(ring), SIDE, SIDE).astype(np.uint8)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[top : bottom + 1, left : right + 1] = np.reshape(pixels, (bottom - top + 1, right - left + 1))
        assert (mask & drawn).sum() / (mask | drawn).sum() > 0.9


def test_a_higher_threshold_leaves_the_surer_colonies(corals, clean, answer):
    usual = [item["confidence"] for item in answer.json()]
    scores = sorted({float(score) for score in usual})
    bound = (scores[-2] + scores[-1]) / 2  # between two that can be told apart
    sure = corals.post("/", json={"image": encoded(clean), "threshold": bound})
    assert [item["confidence"] for item in sure.json()] == [score for score in usual if float(score) >= bound]
    assert f"below the threshold of {bound:g}" in sure.headers[NOTE_HEADER]


def test_the_answer_says_which_model_made_it_and_a_project_may_keep_it(answer):
    reference = ModelRegistry().reference("demo-corals")
    assert answer.headers[MODEL_HEADER] == reference
    specs = taxonomy_label_specs(load_taxonomy("criobe-finegrained"))
    keeping = [
        {**s, "attributes": [*s["attributes"], {"name": "model", "input_type": "text", "values": []}]} for s in specs
    ]
    for labels, expected in ((specs, set()), (keeping, {reference})):
        project = numbered(labels)
        ids = {a["id"] for label in project for a in label["attributes"] if a["name"] == "model"}
        shapes = taken(answer.json(), labels_of(CORALS), project)["shapes"]
        assert {a["value"] for shape in shapes for a in shape["attributes"] if a["spec_id"] in ids} == expected


def test_another_taxonomy_is_reached_by_the_crosswalk(monkeypatch, clean):
    monkeypatch.setenv("REEFLINE_TAXONOMY", "criobe-families")
    monkeypatch.setenv("REEFLINE_OUTLINES", "polygon")
    with serving(CORALS) as client:
        items = client.post("/", json={"image": encoded(clean), "threshold": 0}).json()
    assert {item["type"] for item in items} == {"polygon"}
    assert {item["label"] for item in items} <= set(load_taxonomy("criobe-families").names)


def test_the_strings_are_painted_over_and_nothing_else_is_touched(scene):
    strung = scene.rectified(SIDE)
    nodes = (scene.nodes_unit * (SIDE - 1) + HALF_PIXEL).tolist()
    with serving("pth-lama") as client:
        body = {"image": encoded(strung), "keypoints": nodes, "format": "png"}
        answer = client.post("/", json=body, headers={"Accept": "*/*"})
        inside = client.post("/", json=body, headers={"Accept": "application/json"}).json()["image"]
        jpeg = client.post("/", json={**body, "format": "jpeg"})
    assert answer.headers["Content-Type"] == "image/png"
    made = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert base64.b64decode(inside) == answer.content
    changed = (made != strung).any(axis=2)
    assert 0.02 < changed.mean() < 0.5
    bare = scene.clean(SIDE).astype(float)
    assert ((made - bare) ** 2).mean() < 0.3 * ((strung - bare) ** 2).mean()
    assert Image.open(io.BytesIO(jpeg.content)).format == "JPEG"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A stand-in for the encoder: its output is made of means of 16 x 16 pixels."""
    onnx = pytest.importorskip("onnx", reason="the stand-in encoder is written with onnx")
    helper, numbers = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.zeros((256, 3, 1, 1), np.float32)
    weights[:3, :, 0, 0] = np.eye(3)
    graph = helper.make_graph(
        [
            helper.make_node("AveragePool", ["image"], ["small"], kernel_shape=[16, 16], strides=[16, 16]),
            helper.make_node("Conv", ["small", "weights"], ["embedding"]),
        ],
        "encoder",
        [helper.make_tensor_value_info("image", numbers, [1, 3, 1024, 1024])],
        [helper.make_tensor_value_info("embedding", numbers, [1, 256, 64, 64])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path = tmp_path_factory.mktemp("weights") / "stand_in.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def use_encoder(monkeypatch, path, digest=None):
    monkeypatch.setenv("REEFLINE_SAM_WEIGHTS", str(path))
    monkeypatch.setenv(
        "REEFLINE_SAM_SHA256", hashlib.sha256(path.read_bytes()).hexdigest() if digest is None else digest
    )


def test_segment_anything_answers_with_the_embedding_that_cvats_page_decodes(monkeypatch, encoder):
    use_encoder(monkeypatch, encoder)
    image = np.zeros((300, 600, 3), np.uint8)
    image[:, :300] = (255, 0, 0)
    clicks = {"pos_points": [[10, 10]], "neg_points": [], "obj_bbox": None}
    with serving("pth-facebookresearch-sam-vit-h") as client:
        answer = client.post("/", json={"image": encoded(image), **clicks})
    assert answer.headers[MODEL_HEADER].startswith("stand_in@user#")
    data = base64.b64decode(answer.json()["blob"])
    assert len(data) == 4 * 256 * 64 * 64, "the page reads exactly one float32 tensor"
    embedding = np.frombuffer(data, "<f4").reshape(256, 64, 64)
    expected = prepared(image)[0].reshape(3, 64, 16, 64, 16).mean(axis=(2, 4))
    assert np.allclose(embedding[:3], expected, atol=1e-3)
    assert np.abs(embedding[:3, :32]).max() > 1
    assert np.abs(embedding[:3, 33:]).max() == 0, "the wide picture fills the upper half"


def test_segment_anything_without_weights_says_what_to_give():
    with pytest.raises(FunctionSetupError, match=r"does not ship: no file is named; give an ONNX or TorchScript"):
        load("pth-facebookresearch-sam-vit-h")


def test_another_encoder_file_than_the_stated_one_is_refused(monkeypatch, encoder):
    use_encoder(monkeypatch, encoder, "0" * 64)
    with pytest.raises(FunctionSetupError, match=r"but 000000000000\.\.\. was stated"):
        load("pth-facebookresearch-sam-vit-h")
    use_encoder(monkeypatch, encoder, "")
    with pytest.raises(FunctionSetupError, match="no sha256 was stated"):
        load("pth-facebookresearch-sam-vit-h")


def test_a_model_that_is_no_encoder_is_refused_before_the_first_click(monkeypatch, tmp_path):
    use_encoder(monkeypatch, ModelRegistry().folder / ModelRegistry().card("demo-corals").file)
    with pytest.raises(FunctionSetupError, match=r"cannot encode|where an embedding"):
        load("pth-facebookresearch-sam-vit-h")
    broken = tmp_path / "half.onnx"
    broken.write_bytes(b"\x08\x07")
    use_encoder(monkeypatch, broken)
    with pytest.raises(FunctionSetupError, match=r"half\.onnx cannot be used"):
        load("pth-facebookresearch-sam-vit-h")


def test_an_encoder_in_torchscript_is_taken_too(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch", reason="TorchScript needs torch")
    net = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Conv2d(3, 256, 1)).half().float()
    path = tmp_path / "encoder.pt"
    torch.jit.trace(net, torch.zeros(1, 3, 1024, 1024)).save(str(path))
    use_encoder(monkeypatch, path)
    with serving("pth-facebookresearch-sam-vit-h") as client:
        blob = client.post("/", json={"image": encoded(np.full((64, 64, 3), 200, np.uint8))}).json()["blob"]
    embedding = np.frombuffer(base64.b64decode(blob), "<f4").reshape(256, 64, 64)
    weights, bias = net[1].weight.detach().numpy()[:, :, 0, 0], net[1].bias.detach().numpy()
    colour = prepared(np.full((64, 64, 3), 200, np.uint8))[0, :, 0, 0]
    assert np.allclose(embedding[:, 5, 5], weights @ colour + bias, atol=1e-4)


def test_people_can_try_a_function_without_docker(scene):
    command = [sys.executable, "-m", "deploy.nuclio.serve", "pth-yolo-gridcorners", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://\S+", process.stdout.readline())[0]
            answer = httpx.post(address, json={"image": encoded(scene.image, "JPEG")}, timeout=60)
            process.send_signal(signal.SIGINT)
            code = process.wait(timeout=30)
        finally:
            process.kill()
    assert [item["type"] for item in answer.json()] == ["skeleton"]
    assert code == 0


def test_a_wrong_setting_is_one_line_and_exit_code_2():
    command = [sys.executable, "-m", "deploy.nuclio.serve", CORALS, "--port", "0"]
    env = {**os.environ, "REEFLINE_MODEL": "best.pt"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert "no model 'best.pt' in the registry" in done.stderr
