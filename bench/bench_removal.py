"""How well and how fast strings are removed: the learned painter beside Telea and Navier-Stokes, with the same masks.

Generated pictures come from seeds that no model was trained on, with nodes as the finder gives them. The Moorea photos
are three of quadrats the painter never saw; lattices are painted on them, so that what lies beneath is known. They are
read from ``../shared`` and left out where that is absent.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from inference.lattice import find_lattice
from inference.rectify import rectify
from inference.registry import ModelRegistry
from inference.removal import LEARNED_MODEL, Mask, find_tape, measured_string_mask, remove, tape_mask
from inference.scenes import render_quadrat, render_scene, split_seeds
from inference.scenes.frame import FrameStyle, Sag, paint_strings
from inference.scenes.reef import MARGIN, PLANE_PX, PX_PER_UNIT
from labels.lattice import load_topology

ROOT = Path(__file__).resolve().parents[1]
SIDE = 1920
HELD_OUT_SEEDS = range(9001, 9013)
DIFFICULTIES = (0.2, 0.4, 0.6, 0.8)
TAPE_SCENES = 8
METHODS = ("learned", "telea", "ns")
PEERS = {"telea": "Telea (OpenCV)", "ns": "Navier-Stokes (OpenCV)"}


def rows() -> list[dict[str, object]]:
    """One dict a figure: name, value, unit, reference, reference_value, ratio, note."""
    model = ModelRegistry().load(LEARNED_MODEL)
    generated = [measured(model.engine, *pair) for pair in generated_pairs()]
    moorea = [measured(model.engine, *pair) for pair in moorea_pairs()]
    note = f"{len(generated)} generated pictures of {SIDE} px, held-out seeds, {model.reference}"
    found = [
        *gain_rows("removal", generated, note),
        _row(
            "removal.psnr_db",
            _mean(generated, "whole"),
            "dB",
            f"whole picture; {note}",
            "strings left in",
            _mean(generated, "strung"),
        ),
        *(seconds_row(generated, peer, note) for peer in PEERS),
    ]
    found += tape_rows()
    if moorea:
        note = f"criobe-117 lattices painted on {len(moorea)} real photos of quadrats never trained on, {SIDE} px"
        found += gain_rows("removal_moorea", moorea, note)
    return found


def generated_pairs() -> Iterator[tuple[np.ndarray, np.ndarray, Mask]]:
    """Pictures with strings, the same without, and the mask as the pipeline makes it."""
    topology = load_topology()
    for i, seed in enumerate(HELD_OUT_SEEDS):
        scene = render_quadrat(seed, difficulty=DIFFICULTIES[i % len(DIFFICULTIES)])
        strung = scene.rectified(SIDE)
        found = find_lattice(strung, topology)
        yield strung, scene.clean(SIDE), measured_string_mask(strung, found.nodes, topology, found.outside)


def moorea_pairs() -> Iterator[tuple[np.ndarray, np.ndarray, Mask]]:
    """As above, with lattices painted on straightened real photos."""
    reef = ROOT.parent / "shared" / "data" / "reef" / "images_full"
    truth = json.loads((ROOT / "tests" / "inference" / "moorea_corners.json").read_text(encoding="utf-8"))["corners"]
    topology = load_topology()
    for number, path in enumerate(sorted(reef.glob("*.jpg")) if reef.is_dir() else []):
        photo = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        bare = rectify(photo, np.array(truth[path.name]), SIDE)
        rng = np.random.default_rng(number)
        style = FrameStyle.random(rng)
        sag = Sag(rng, style.sag)
        plane = np.zeros((PLANE_PX, PLANE_PX, 3), np.float32)
        opening = slice(round(MARGIN * PX_PER_UNIT), round((1 + MARGIN) * PX_PER_UNIT))
        plane[opening, opening] = cv2.resize(bare, (PX_PER_UNIT, PX_PER_UNIT), interpolation=cv2.INTER_AREA)
        bare = _straight(plane[opening, opening])
        paint_strings(plane, topology, style, sag, rng)
        strung = _straight(plane[opening, opening])
        nodes = sag(topology.unit) * SIDE - 0.5
        yield strung, bare, measured_string_mask(strung, nodes, topology)


def _straight(plane: np.ndarray) -> np.ndarray:
    lens = cv2.GaussianBlur(plane, (0, 0), 0.6)
    return np.clip(cv2.resize(lens, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def measured(engine: object, strung: np.ndarray, bare: np.ndarray, mask: Mask) -> dict[str, float]:
    """PSNR in the mask and seconds of each method on one picture; PSNR of the whole picture, and of the strings."""
    hole = mask.alpha > 0
    figures = {"strung": psnr(strung, bare), "share": float(hole.mean())}
    for method in METHODS:
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            clean = remove(strung, mask, method, engine=engine)
            seconds.append(time.perf_counter() - started)
        figures |= {f"{method}_db": psnr(clean[hole], bare[hole]), f"{method}_s": min(seconds)}
        if method == "learned":
            figures["whole"] = psnr(clean, bare)
    return figures


def gain_rows(name: str, figures: list[dict[str, float]], note: str) -> list[dict[str, object]]:
    """The learned painter's lead over the better of the others, and its PSNR beside each."""
    own = _mean(figures, "learned_db")
    best = max(PEERS, key=lambda peer: _mean(figures, f"{peer}_db"))
    theirs = _mean(figures, f"{best}_db")
    text = f"PSNR in the mask, learned {own:.2f} dB; {note}"
    return [
        _row(f"{name}.psnr_gain_db", own - theirs, "dB", text, f"{PEERS[best]}, PSNR in the mask", theirs),
        _row(f"{name}.mask_psnr_db", own, "dB", note, PEERS[best], theirs),
    ]


def seconds_row(figures: list[dict[str, float]], peer: str, note: str) -> dict[str, object]:
    """Seconds of one picture beside a peer's."""
    own, theirs = _mean(figures, "learned_s"), _mean(figures, f"{peer}_s")
    name = "removal.seconds" if peer == "telea" else f"removal.seconds_beside_{peer}"
    share = f"best of two runs, {100 * _mean(figures, 'share'):.0f} % of pixels in the mask; {note}"
    return _row(name, own, "s a picture", share, PEERS[peer], theirs, times=theirs / own)


def tape_rows() -> list[dict[str, object]]:
    """How much of survey tapes is found and covered, on generated scenes with a tape; and of how many without one."""
    topology = load_topology()
    covered, false = [], 0
    for seed in split_seeds("test", TAPE_SCENES):
        for kind in ("tape", "easy"):
            scene = render_scene(seed, kind)
            strung = scene.rectified(SIDE)
            nodes = scene.frame.rectification(SIDE).to_rectified(scene.frame.nodes)
            tape = find_tape(strung, measured_string_mask(strung, nodes, topology).hole)
            if kind == "easy":
                false += tape is not None
                continue
            truth = scene.rectified(SIDE, scene.mask("tape").astype(np.uint8) * np.uint8(255)) > 127
            covered.append(0.0 if tape is None else float((tape_mask(tape, SIDE).alpha[truth] > 0).mean()))
    note = f"{TAPE_SCENES} generated scenes with a tape, share of its pixels in the mask"
    without = f"tapes found in the same {TAPE_SCENES} scenes without one"
    return [_row("removal.tape_covered", float(np.mean(covered)), "share", note, without, float(false))]


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal to noise ratio in dB."""
    error = float(((picture.astype(np.float64) - truth) ** 2).mean())
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))


def _mean(figures: list[dict[str, float]], name: str) -> float:
    return float(np.mean([one[name] for one in figures]))


def _row(
    name: str, value: float, unit: str, note: str, reference: str, beside: float, *, times: float | None = None
) -> dict[str, object]:
    """``times``: how many times better than what is beside it, where that means something."""
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "reference": reference,
        "reference_value": round(beside, 4),
        "ratio": None if times is None else round(times, 4),
        "note": note,
    }


if __name__ == "__main__":
    json.dump(rows(), sys.stdout, indent=2)
    sys.stdout.write("\n")
