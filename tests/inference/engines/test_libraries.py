"""The real libraries: one model, the same numbers by each; files that are none are refused with a reason."""

import copy
import io
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inference.engines import ENGINES, EngineError, backend_of, open_engine
from inference.engines.onnx import providers_for
from inference.engines.opencv import METHODS, method
from inference.registry import MODELS

WEIGHTS = (MODELS / "demo-corals-3.onnx").read_bytes()


def pictures(count, side=32, seed=1):
    return np.random.default_rng(seed).random((count, 3, side, side), np.float32)


@pytest.fixture(scope="module")
def small():
    """A network of two layers, with any batch and size, as ONNX and as TorchScript."""
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'reefline[torch]'")
    pytest.importorskip("onnx", reason="needs onnx: pip install 'reefline[train]'")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1)).eval()
    script = io.BytesIO()
    torch.jit.save(torch.jit.trace(net, torch.zeros(1, 3, 8, 8)), script)
    files = {"torch": script.getvalue()}
    for name, inner in (("onnxruntime", net), ("half", copy.deepcopy(net).half())):
        held = io.BytesIO()
        sample = torch.zeros(1, 3, 8, 8, dtype=torch.float16 if name == "half" else torch.float32)
        axes = {"images": {0: "n", 2: "h", 3: "w"}, "out": {0: "n", 2: "h", 3: "w"}}
        torch.onnx.export(
            inner, (sample,), held, input_names=["images"], output_names=["out"], dynamic_axes=axes, dynamo=False
        )
        files[name] = held.getvalue()
    return files


def test_the_shipped_model_runs_empty_and_in_parts():
    engine = open_engine("onnxruntime", WEIGHTS, threads=1)
    empty = engine.predict(np.zeros((0, 3, 640, 640), np.float32))
    assert [out.shape for out in empty] == [(0, 7, 320, 320)]
    assert (engine.batch_limit, engine.device, engine.input_shape) == (1, "cpu", (1, 3, 640, 640))


def test_onnx_runtime_tells_nobody_what_runs_here(tmp_path):
    code = (
        "from inference.engines import open_engine; from inference.registry import MODELS; import numpy as np;"
        "engine = open_engine('onnxruntime', (MODELS / 'demo-corals-3.onnx').read_bytes());"
        "engine.predict(np.zeros((1, 3, 640, 640), np.float32))"
    )
    env = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    # Where it speaks, it keeps what it is going to say.
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]


def test_every_engine_here_gives_the_same_numbers(small):
    reference = open_engine("onnxruntime", small["onnxruntime"]).predict(pictures(3))
    others = {"torch": small["torch"], "half": small["half"]}
    try:
        backend_of("openvino").devices()
        others["openvino"] = small["onnxruntime"]
    except EngineError:
        pass
    for name, weights in others.items():
        engine = open_engine("onnxruntime" if name == "half" else name, weights, threads=1)
        [found] = engine.predict(pictures(3))
        assert found.dtype == np.float32, name
        np.testing.assert_allclose(found, reference[0], atol=5e-3 if name == "half" else 1e-5, err_msg=name)
        assert engine.predict(pictures(0))[0].shape == (0, 2, 32, 32), name


def test_openvino_gives_the_numbers_of_onnx_runtime(small):
    pytest.importorskip("openvino", reason="needs openvino: pip install 'reefline[openvino]'")
    [one] = open_engine("onnxruntime", small["onnxruntime"]).predict(pictures(2))
    [other] = open_engine("openvino", small["onnxruntime"]).predict(pictures(2))
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", ["onnxruntime", "torch", "openvino"])
def test_calls_at_a_time_give_the_numbers_of_one_call(small, name):
    pytest.importorskip(name, reason=f"needs {name}")
    engine = open_engine(name, small["torch" if name == "torch" else "onnxruntime"], threads=3)
    many = engine.for_batches()
    assert many.calls == (1 if name == "torch" else 3)
    asked = [pictures(2)[:, ::-1] * share for share in np.linspace(0, 1, 12, dtype=np.float32)]
    alone = [engine.predict(batch)[0] for batch in asked]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda batch: many.predict(batch)[0], asked))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", ["onnxruntime", "torch", "openvino"])
@pytest.mark.parametrize("cut", ["half", "nothing", "text"])
def test_weights_that_are_no_model_are_refused(name, cut):
    if name != "onnxruntime":
        pytest.importorskip(name, reason=f"needs the extra {name}")
    data = {"half": WEIGHTS[: len(WEIGHTS) // 2], "nothing": b"", "text": b"404: Not Found"}[cut]
    with pytest.raises(EngineError, match="no model that"):
        open_engine(name, data).load()


def test_a_torchscript_file_cut_in_half_is_refused(small):
    with pytest.raises(EngineError, match="no model that torch can read"):
        open_engine("torch", small["torch"][: len(small["torch"]) // 2]).load()


def test_a_batch_that_does_not_fit_the_model_is_said(small):
    with pytest.raises(EngineError, match=r"a batch of shape \(1, 5, 8, 8\) on cpu"):
        open_engine("onnxruntime", small["onnxruntime"]).predict(np.zeros((1, 5, 8, 8), np.float32))


class _Net:
    """Stands for a pickled network; opening it must not happen unasked."""

    opened = 0

    def __reduce__(self):
        return (_opened, ())


def _opened():
    _Net.opened += 1
    return {"model": None}


def test_a_pickle_is_opened_only_when_it_is_trusted():
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'reefline[torch]'")
    held = io.BytesIO()
    torch.save({"model": _Net()}, held, pickle_module=pickle)
    with pytest.raises(EngineError, match="mark the model 'trusted'"):
        open_engine("torch", held.getvalue()).load()
    assert _Net.opened == 0
    with pytest.raises(EngineError, match="weights without the network"):
        open_engine("torch", held.getvalue(), trusted=True).load()
    assert _Net.opened == 1


def test_bare_weights_without_a_network_are_said():
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'reefline[torch]'")
    held = io.BytesIO()
    torch.save({"layer.weight": torch.zeros(2)}, held)
    with pytest.raises(EngineError, match="export it to ONNX or TorchScript"):
        open_engine("torch", held.getvalue()).load()


def test_a_trusted_ultralytics_file_gives_the_outputs_of_its_onnx_export():
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'reefline[torch]'")
    pytest.importorskip("ultralytics", reason="needs ultralytics: pip install 'reefline[torch]'")
    from inference.engines.torchvision_shim import import_torchvision

    import_torchvision()
    from ultralytics.nn.tasks import SegmentationModel

    torch.manual_seed(0)
    held = io.BytesIO()
    torch.save({"model": SegmentationModel("yolo26n-seg.yaml", verbose=False).half()}, held)
    outputs = open_engine("torch", held.getvalue(), trusted=True, threads=1).predict(pictures(2, 64))
    assert [len(out) for out in outputs] == [2, 2]
    assert outputs[1].shape == (2, 32, 16, 16)


@pytest.mark.parametrize("name", ["opencv", "caffe"])
def test_an_engine_that_is_none_says_what_to_do(name):
    with pytest.raises(EngineError, match=r"name the method in the survey|use one of onnxruntime"):
        open_engine(name, b"")
    assert name not in ENGINES


def test_opencv_methods_have_references_like_models():
    from inference.corners import OPENCV as CORNERS
    from inference.lattice import OPENCV as LATTICE
    from inference.removal import MODELS as REMOVAL

    in_use = {CORNERS, LATTICE, *REMOVAL.values()}
    assert in_use <= {m.reference for m in METHODS} | {m for m in in_use if not m.startswith("opencv-")}
    assert method("opencv-telea@2") is method("opencv-telea")
    assert method("opencv-telea@9") is None


def test_providers_are_named_best_first():
    names = [name for name, _ in providers_for("cuda:1")]
    assert names == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert providers_for("cuda:1")[0][1]["device_id"] == 1
    assert [name for name, _ in providers_for("cpu")] == ["CPUExecutionProvider"]


def test_tensorrt_keeps_its_plans(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    [(name, options), *rest] = providers_for("tensorrt:0", half=True)
    assert name == "TensorrtExecutionProvider"
    assert options["trt_fp16_enable"]
    assert options["trt_engine_cache_path"] == str(tmp_path / "reefline" / "tensorrt")
    assert [n for n, _ in rest] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
