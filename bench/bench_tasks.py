"""How many requests a review task of 250 pictures costs, with 117-node skeletons and with 60 polygons on each."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
from PIL import Image

from labels.formats.cvat import lattice_label_spec, to_cvat
from labels.lattice import load_topology
from labels.schema import Kind, Shape
from resources.cvat import CvatClient, Picture
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess

PICTURES = 250
SIDE = 320


@contextmanager
def counted() -> Iterator[list[str]]:
    """All HTTP requests of this process meanwhile, uploads too: method and path."""
    sent: list[str] = []
    plain = urllib3.HTTPConnectionPool.urlopen

    def urlopen(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        sent.append(f"{method} {url}")
        return plain(self, method, url, *args, **kwargs)

    urllib3.HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        urllib3.HTTPConnectionPool.urlopen = plain  # type: ignore[method-assign]


def skeletons(image_id: str) -> list[Shape]:
    """One lattice."""
    places = load_topology().ideal(SIDE).ravel().tolist()
    return [Shape(image_id, f"{image_id}:lattice", Kind.SKELETON, "lattice", places)]


def polygons(image_id: str) -> list[Shape]:
    """Sixty outlines."""
    made = []
    for number in range(60):
        x, y = 10.0 + 30 * (number % 10), 10.0 + 50 * (number // 10)
        ring = [x, y, x + 20, y, x + 20, y + 30, x, y + 30]
        made.append(Shape(image_id, f"{image_id}:{number}", Kind.POLYGON, "Porites", ring))
    return made


LABELS = {
    "skeletons": [lattice_label_spec("lattice", load_topology())],
    "polygons": [{"name": "Porites", "type": "polygon", "color": "#00ff00", "attributes": []}],
}
MAKERS = {"skeletons": skeletons, "polygons": polygons}


def requests_for(cvat: CvatClient, kind: str, count: int) -> int:
    """Requests that a task of ``count`` pictures takes, from nothing to whole."""
    data = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (60, 90, 120)).save(data, "JPEG")
    names = [f"p{n:04d}.jpg" for n in range(count)]
    shapes = [shape for name in names for shape in MAKERS[kind](name)]
    project = cvat.create_project(f"bench {kind}", LABELS[kind])
    with counted() as sent:
        task = cvat.ensure_task(
            project,
            f"bench.{kind}.{count}",
            [Picture(name, data.getvalue) for name in names],
            lambda frames, labels: to_cvat(shapes, frames, labels),
        )
    drawn = sum(len(job.annotations["shapes"]) for job in cvat.read_task(task.task_id).jobs)
    if drawn != len(shapes):
        raise AssertionError(f"{drawn} of {len(shapes)} shapes are in the task")
    return len(sent)


def rows() -> list[dict[str, Any]]:
    """One row."""
    with tempfile.TemporaryDirectory(prefix="reefline-bench-") as folder:
        sandbox = SandboxProcess(Path(folder)).start()
        try:
            cvat = CvatClient(sandbox.url, username=ADMIN, password=PASSWORD)
            cvat.check()
            found = {kind: requests_for(cvat, kind, PICTURES) for kind in MAKERS}
        finally:
            sandbox.stop()
    worst = max(found.values())
    shapes = {"skeletons": PICTURES, "polygons": PICTURES * 60}
    told = "; ".join(f"{n} requests for {PICTURES} pictures with {shapes[kind]} {kind}" for kind, n in found.items())
    note = f"{told}; against the CVAT sandbox. The reference is one request per picture and shape."
    reference = (PICTURES + shapes["polygons"]) / PICTURES * 100
    value = round(worst / PICTURES * 100, 1)
    return [
        {
            "name": "task_create.calls_per_100",
            "value": value,
            "unit": "requests per 100 pictures",
            "reference": "one request per picture and shape",
            "reference_value": reference,
            "ratio": round(reference / value, 1),
            "note": note,
        }
    ]
