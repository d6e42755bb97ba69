"""The batch runner beside the bare engine, beside the way of the platform before, and its memory."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from bench.bridge_way import ask
from bench.runner_tasks import YOLO_PX, make_yolo, open_task
from inference.runner import Picture, decode_rgb, run_batch
from inference.scenes import render_quadrat

ROUNDS = 3
SHORT, LONG = 50, 1000
LARGE = (4000, 3000)


def rows() -> list[dict[str, Any]]:
    """Speed beside the bare engine and the bridge, memory of 1,000 pictures beside that of 50."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = [_jpeg(seed) for seed in range(4)]
        found = [_vs_engine("runner.vs_engine.demo-corals", open_task("demo-corals"), pictures, 48)]
        if make_yolo(Path(folder)):
            for engine in ("onnxruntime", "torch", "openvino"):
                if importlib.util.find_spec(engine):
                    name = "runner.vs_engine" + ("" if engine == "onnxruntime" else f".{engine}")
                    found.append(_vs_engine(name, open_task(folder, engine), pictures, 6 if engine == "torch" else 12))
            found.append(_vs_bridge("runner.vs_bridge", folder, pictures, 12, "ultralytics"))
            found.append(_vs_bridge("runner.vs_bridge.same_engine", folder, pictures, 6))
        else:
            found[0]["name"] = "runner.vs_engine"
        found.append(_vs_bridge("runner.vs_bridge.demo-corals", "demo-corals", pictures, 24))
    return [*found, *memory_rows()]


def _vs_engine(name: str, task: Any, pictures: list[bytes], count: int) -> dict[str, Any]:
    """Images/s of the runner from JPEG bytes to outlines, beside the engine alone on arrays that are ready."""
    views = [task.prepare(decode_rgb(data)) for data in pictures]
    task.engine.predict(views[0])

    def bare() -> None:
        for n in range(count):
            task.engine.predict(views[n % len(views)])

    def runner() -> None:
        assert all(outcome.ok for outcome in run_batch(_many(pictures, count), task))

    runner_s, bare_s = _in_turn(runner, bare)
    note = (
        f"{count} JPEGs of {YOLO_PX} px, decode and outlines included, against engine calls on prepared arrays; "
        f"{task.engine.name} on {task.engine.device}, {os.cpu_count()} processors"
    )
    reference = f"bare {task.engine.name} calls, images/s"
    return _row(name, count / runner_s, "images/s", reference, count / bare_s, bare_s / runner_s, note)


def _vs_bridge(name: str, model: str, pictures: list[bytes], count: int, *library: str) -> dict[str, Any]:
    """The runner beside a server with one worker that is asked for one picture at a time.

    ``library``: ``ultralytics``, when the server runs the model by that library as QUADRATSEG does; else by our engine.
    """
    task = open_task(model)
    with subprocess.Popen(
        [sys.executable, "-m", "bench.bridge_way", model, *library], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            port = int(server.stdout.readline()) if server.stdout else 0
            ask(port, pictures[0])
            list(run_batch(_many(pictures, 2), task))
            runner_s, bridge_s = _in_turn(
                lambda: list(run_batch(_many(pictures, count), task)),
                lambda: [ask(port, pictures[n % len(pictures)]) for n in range(count)],
            )
        finally:
            server.kill()
    what = "demo-corals" if model == "demo-corals" else f"YOLO26n-seg at {YOLO_PX} px"
    engines = f"{task.engine.name} here, ultralytics on torch there" if library else "the same engine in both"
    note = f"{count} JPEGs, {what}, {engines}; without the bridge's downloads from CVAT"
    reference = "one picture at a time, base64 JSON over HTTP, one worker, images/s"
    return _row(name, count / runner_s, "images/s", reference, count / bridge_s, bridge_s / runner_s, note)


def memory_rows() -> list[dict[str, Any]]:
    """Peak memory of processes that do nothing but a run."""
    peaks = {}
    for count in (SHORT, LONG):
        done = subprocess.run(
            [sys.executable, "-m", "bench.bench_runner", str(count)], capture_output=True, text=True, check=True
        )
        peaks[count] = json.loads(done.stdout.splitlines()[-1])
    short, long = peaks[SHORT]["peak_mb"], peaks[LONG]["peak_mb"]
    note = f"{LARGE[0]}x{LARGE[1]} JPEGs through demo-corals; before the run {peaks[LONG]['before_mb']:.0f} MB"
    return [_row("runner.memory_ratio", long / short, "ratio", f"{SHORT} pictures, MB", short, short / long, note)]


def _run_large(count: int) -> dict[str, float]:
    data = cv2.imencode(".jpg", cv2.resize(cv2.imdecode(np.frombuffer(_jpeg(0), np.uint8), 1), LARGE))[1].tobytes()
    task = open_task("demo-corals")
    task.engine.predict(task.prepare(np.zeros((8, 8, 3), np.uint8)))
    before = _peak_mb()
    assert sum(outcome.ok for outcome in run_batch(_many([data], count), task)) == count
    return {"before_mb": before, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Most memory that this program has held. Not ``getrusage``: its peak counts the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _in_turn(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[float, float]:
    """Median seconds of two things, measured in turn so that both see the same machine."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for measured, kept in zip((one, other), seconds, strict=True):
            started = time.perf_counter()
            measured()
            kept.append(time.perf_counter() - started)
    return median(seconds[0]), median(seconds[1])


def _many(pictures: list[bytes], count: int) -> Iterator[Picture]:
    return (Picture(str(n), partial(pictures.__getitem__, n % len(pictures))) for n in range(count))


def _jpeg(seed: int) -> bytes:
    image = render_quadrat(70_000 + seed, difficulty=0.2, size=(YOLO_PX, YOLO_PX)).clean(YOLO_PX)
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def _row(name: str, value: float, unit: str, reference: str, beside: float, ratio: float, note: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "reference": reference,
        "reference_value": round(beside, 3),
        "ratio": round(ratio, 3),
        "note": note,
    }


if __name__ == "__main__":
    print(json.dumps(_run_large(int(sys.argv[1]))))
