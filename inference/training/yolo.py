"""Training of a YOLO-seg model from a recipe: seeded, taken up again after a kill, exported as ONNX.

The run's folder is its memory. After every epoch the checkpoint is copied aside and renamed into place, so a kill in
the middle of a write never costs more than that epoch; ``trained.onnx`` is the commit point.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.training.recipe import Recipe
from inference.training.ultralytics_door import yolo_class

OPSET = 17
_RESUME, _BEST, _DONE, _PROGRESS = "resume.pt", "best.pt", "trained.onnx", "progress.json"
_WATCHED = "metrics/mAP50-95(M)"
_FOR_NOTHING = ("description", "date", "docs", "author")
"""Metadata of an export that holds paths or the clock: equal weights would give other bytes."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training.

    Attributes:
        onnx: the exported model.
        curves: a column per loss and watched figure, one value per epoch.
        metrics: watched figures of the best epoch, on the pictures kept aside; not for comparing models.
        resumed_at: epochs that an earlier, interrupted run had done; 0 when there was none.
    """

    onnx: bytes
    curves: dict[str, list[float]]
    metrics: dict[str, float]
    epochs: int
    resumed_at: int
    device: str
    seconds: float


def train(
    folder: Path, data_yaml: Path, recipe: Recipe, on_epoch: Callable[[int, Mapping[str, float]], None] | None = None
) -> Trained:
    """Train, or go on where an interrupted run in this folder stopped, and export.

    Args:
        folder: of this run alone.
        data_yaml: the dataset, see ``yolo_dataset``.
        recipe: every choice.
        on_epoch: is told the number of epochs done and the losses.

    Raises:
        MissingExtraError: torch or ultralytics is not installed.
    """
    started = time.monotonic()
    yolo = yolo_class()
    folder.mkdir(parents=True, exist_ok=True)
    device = _device()
    before = _epochs_done(folder)
    if not (folder / _DONE).is_file():
        if before < recipe.epochs:
            _fit(yolo, folder, data_yaml, recipe, device, on_epoch)
        _export(yolo, folder, recipe)
    curves = _curves(folder / "run" / "results.csv")
    best = max(range(len(curves[_WATCHED])), key=curves[_WATCHED].__getitem__)
    metrics = {f"tune_{name[8:-3]}": curves[name][best] for name in curves if name.endswith("(M)")}
    onnx = (folder / _DONE).read_bytes()
    return Trained(onnx, curves, metrics, len(curves["epoch"]), before, device, time.monotonic() - started)


def _fit(
    yolo: Any,
    folder: Path,
    data_yaml: Path,
    recipe: Recipe,
    device: str,
    on_epoch: Callable[[int, Mapping[str, float]], None] | None,
) -> None:
    resume = folder / _RESUME
    weights = folder / "run" / "weights"
    if resume.is_file():
        shutil.copyfile(folder / _BEST, weights / "best.pt")  # the run's own copy may be half written
    else:
        shutil.rmtree(folder / "run", ignore_errors=True)  # an attempt that ended before its first checkpoint
    model = yolo(str(resume) if resume.is_file() else recipe.architecture, task="segment")

    def keep(trainer: Any) -> None:
        _replace(folder / _BEST, (weights / "best.pt").read_bytes())
        _replace(resume, (weights / "last.pt").read_bytes())
        _replace(folder / _PROGRESS, json.dumps({"epochs": trainer.epoch + 1}).encode())
        if on_epoch is not None:
            on_epoch(trainer.epoch + 1, {k: float(v) for k, v in trainer.label_loss_items(trainer.tloss).items()})

    model.add_callback("on_model_save", keep)
    model.train(resume=resume.is_file(), **_arguments(folder, data_yaml, recipe, device))


def _arguments(folder: Path, data_yaml: Path, recipe: Recipe, device: str) -> dict[str, Any]:
    gpu = device != "cpu"
    chosen = recipe.model_dump(exclude={"architecture", "image_px", "learning_rate", "step_pictures", "licence"})
    return {
        **chosen,
        "imgsz": recipe.image_px,
        "lr0": recipe.learning_rate,
        "nbs": recipe.step_pictures,
        "data": str(data_yaml),
        "project": str(folder.resolve()),
        "name": "run",
        "exist_ok": True,
        "device": device,
        "workers": min(8, os.cpu_count() or 1) if gpu else 0,
        # 'True' would load foreign weights to test half precision with; bfloat16 needs no test.
        "amp": "bf16" if gpu and _bfloat16() else False,
        "deterministic": True,
        "pretrained": False,
        "plots": False,
        "verbose": False,
    }


def _export(yolo: Any, folder: Path, recipe: Recipe) -> None:
    best = folder / _BEST
    made = yolo(str(best)).export(
        format="onnx", imgsz=recipe.image_px, dynamic=True, simplify=False, opset=OPSET, device="cpu", verbose=False
    )
    import onnx

    model = onnx.load(made)
    kept = {prop.key: prop.value for prop in model.metadata_props if prop.key not in _FOR_NOTHING}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept)
    _replace(folder / _DONE, model.SerializeToString())


def _epochs_done(folder: Path) -> int:
    path = folder / _PROGRESS
    return int(json.loads(path.read_bytes())["epochs"]) if path.is_file() else 0


def _curves(path: Path) -> dict[str, list[float]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{key.strip(): float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    by_epoch = {row["epoch"]: row for row in rows}  # an epoch that was done again after a kill is there twice
    return {name: [row[name] for _, row in sorted(by_epoch.items())] for name in rows[0]}


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(f"{path.suffix}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def _device() -> str:
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _bfloat16() -> bool:
    import torch

    return bool(torch.cuda.is_bf16_supported())
