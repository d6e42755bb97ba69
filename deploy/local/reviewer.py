"""A scripted reviewer: works in CVAT as an annotator would, through the REST API alone.

It takes every open annotation or ground-truth job and every replica, corrects what it finds towards the truth it was
given (nodes and corners that are off, outlines that are poor, missing, superfluous or of the wrong taxon), saves, and
completes the job. Without truth it accepts what is there. It never touches a completed job, and says each action in one
line.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from shapely.geometry import Polygon

from assets.common.names import CORNERS_LABEL, LATTICE_LABEL
from labels.formats.cvat import HALF_PIXEL
from resources.cvat import CvatRefused, CvatUnavailable
from resources.cvat.making import HALF_MADE
from resources.cvat.session import Session

logger = logging.getLogger("reviewer")

PASSWORD_VARIABLE = "REEFLINE_REVIEWER_PASSWORD"  # noqa: S105 - the name of a variable
IMAGE_ID = re.compile(r"([0-9a-f]{16})\.[a-z0-9]+$")
"""Where a picture name in CVAT holds the image id (``labels.quadrats.safe_name``)."""
TOLERANCE_PX = {CORNERS_LABEL: 1.5, LATTICE_LABEL: 2.0}
"""A person does not move a point that looks right."""
HAND_PX = 0.4
"""Standard deviation of where a careful hand puts a point."""
KEEP_IOU, MATCH_IOU = 0.85, 0.3
"""Outlines better than the first are left alone; below the second they are taken for something else."""
PAUSE_S = 1.0

Json = dict[str, Any]


@dataclass(slots=True)
class Reviewer:
    """One person with a truth book: image id -> what is in the photo (``Scene.truth_json``)."""

    session: Session
    truth: Mapping[str, Json] = field(default_factory=dict)
    seed: int = 1

    def work_once(self) -> int:
        """Do every open job; how many were completed."""
        tasks = {t["id"]: t["name"] for t in self.session.listed("/api/tasks")}
        done = 0
        for job in sorted(self.session.listed("/api/jobs", stage="annotation"), key=lambda j: j["id"]):
            ready = not tasks.get(job["task_id"], HALF_MADE).endswith(HALF_MADE)
            if (
                ready
                and job["type"] in ("annotation", "ground_truth", "consensus_replica")
                and job["state"] in ("new", "in progress")
            ):
                self.review(job, tasks[job["task_id"]])
                done += 1
        return done

    def review(self, job: Json, name: str) -> None:
        """Correct and complete one job."""
        path = f"/api/jobs/{job['id']}"
        if job["state"] == "new":
            self.session.request("PATCH", path, {"state": "in progress"})
        labels = self.session.listed("/api/labels", job_id=job["id"])
        meta = self.session.request("GET", f"{path}/data/meta")
        annotations = self.session.request("GET", f"{path}/annotations")
        counts: Counter[str] = Counter()
        shapes: list[Json] = []
        for number, frame in enumerate(meta["frames"], job["start_frame"]):
            mine = [s for s in annotations["shapes"] if s["frame"] == number]
            found = IMAGE_ID.search(frame["name"])
            known = self.truth.get(found[1]) if found else None
            # A replica is drawn by another hand.
            hand = job["id"] if job["type"] == "consensus_replica" else 0
            rng = np.random.default_rng((self.seed, int(found[1], 16) if found else 0, hand))
            shapes += self._corrected(mine, known, number, frame, labels, rng, counts) if known else mine
        if counts:
            body = {"version": 0, "tags": annotations["tags"], "shapes": shapes, "tracks": []}
            self.session.request("PUT", f"{path}/annotations", body)
        self.session.request("PATCH", path, {"state": "completed"})
        said = ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "accepted as proposed"
        logger.info("%s: job %d, %d pictures: %s", name, job["id"], len(meta["frames"]), said)

    def _corrected(
        self,
        shapes: Sequence[Json],
        known: Json,
        number: int,
        frame: Json,
        labels: Sequence[Json],
        rng: np.random.Generator,
        counts: Counter[str],
    ) -> list[Json]:
        by_name = {label["name"]: label for label in labels}
        side = frame["width"] - 1
        if CORNERS_LABEL in by_name:
            points = np.array(known["corners"])
            return [_skeleton(shapes, by_name[CORNERS_LABEL], points, number, rng, counts, "corners moved")]
        if LATTICE_LABEL in by_name:
            points = np.array(known["nodes_unit"]) * side
            return [_skeleton(shapes, by_name[LATTICE_LABEL], points, number, rng, counts, "nodes moved")]
        truth = [(c["taxon"], np.array(c["ring_unit"]) * side) for c in known["colonies"]]
        return _outlines(shapes, by_name, truth, number, rng, counts)


def _skeleton(
    shapes: Sequence[Json],
    label: Json,
    truth: NDArray[np.float64],
    number: int,
    rng: np.random.Generator,
    counts: Counter[str],
    what: str,
) -> Json:
    """One skeleton with every node within tolerance of the truth; drawn anew when there is none."""
    nodes = sorted(label["sublabels"], key=lambda s: s["id"])
    if not shapes:
        counts[what.replace("moved", "placed")] += len(nodes)
        shapes = [{"type": "skeleton", "frame": number, "label_id": label["id"], "source": "manual", "elements": []}]
    given = {e["label_id"]: e for e in shapes[0]["elements"]}
    elements = []
    for node, true in zip(nodes, truth + HALF_PIXEL, strict=True):
        element = given.get(node["id"]) or {"type": "points", "frame": number, "label_id": node["id"], "points": []}
        off = np.linalg.norm(np.array(element["points"]) - true) if element["points"] else np.inf
        if off > TOLERANCE_PX[label["name"]] or element.get("outside"):
            placed = true + rng.normal(0, HAND_PX, 2)
            element = {**element, "points": [round(float(v), 2) for v in placed], "outside": False}
            counts[what] += bool(shapes[0]["elements"])
        elements.append(element)
    return {**shapes[0], "elements": elements}


def _outlines(
    shapes: Sequence[Json],
    labels: Mapping[str, Json],
    truth: Sequence[tuple[str, NDArray[np.float64]]],
    number: int,
    rng: np.random.Generator,
    counts: Counter[str],
) -> list[Json]:
    """Outlines that agree with the truth, made of the proposed ones where these are good enough."""
    rings = [np.array(s["points"]).reshape(-1, 2) - HALF_PIXEL for s in shapes]
    likeness = np.array([[_iou(ring, true) for _, true in truth] for ring in rings]).reshape(len(rings), len(truth))
    pairs = dict(zip(*linear_sum_assignment(-likeness), strict=True)) if likeness.size else {}
    pairs = {int(i): int(j) for i, j in pairs.items() if likeness[i, j] >= MATCH_IOU}
    counts["outlines removed"] += len(shapes) - len(pairs)
    kept = []
    for i, j in pairs.items():
        taxon, true = truth[j]
        shape = dict(shapes[i])
        if shape["label_id"] != labels[taxon]["id"]:
            shape |= {"label_id": labels[taxon]["id"], "attributes": []}
            counts["taxa corrected"] += 1
        if likeness[i, j] < KEEP_IOU:
            shape["points"] = _by_hand(true, rng)
            counts["outlines redrawn"] += 1
        kept.append(shape)
    for j in sorted(set(range(len(truth))) - set(pairs.values())):
        taxon, true = truth[j]
        counts["outlines added"] += 1
        new = {"type": "polygon", "frame": number, "label_id": labels[taxon]["id"], "source": "manual"}
        kept.append({**new, "points": _by_hand(true, rng), "attributes": [], "occluded": False})
    for name in [n for n, count in counts.items() if not count]:
        del counts[name]
    return kept


def _by_hand(ring: NDArray[np.float64], rng: np.random.Generator) -> list[float]:
    drawn = ring[::2] + rng.normal(0, HAND_PX, (len(ring[::2]), 2)) + HALF_PIXEL
    return [round(float(v), 2) for v in drawn.ravel()]


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    first, second = Polygon(a).buffer(0), Polygon(b).buffer(0)
    if not first.intersects(second):
        return 0.0
    common = first.intersection(second).area
    return float(common / (first.area + second.area - common))


def main() -> int:
    """Work until stopped, or until nothing has been open for a while."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.reviewer", description=__doc__)
    parser.add_argument("--url", required=True, help="address of CVAT")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", default="", help=f"default: the variable {PASSWORD_VARIABLE}")
    parser.add_argument("--truth", default="none", help="JSON by image id, or 'none' to accept everything")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--idle", type=float, default=0, help="stop after so many seconds without work; 0: never")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    truth = {} if options.truth == "none" else json.loads(Path(options.truth).read_text(encoding="utf-8"))
    password = options.password or os.environ.get(PASSWORD_VARIABLE, "")
    reviewer = Reviewer(Session(options.url, None, options.user, password), truth, options.seed)
    busy = time.monotonic()
    while not options.idle or time.monotonic() - busy < options.idle:
        try:
            if reviewer.work_once():
                busy = time.monotonic()
                continue
        except (CvatUnavailable, CvatRefused) as error:
            logger.warning("%s; trying again", error)
        time.sleep(PAUSE_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
