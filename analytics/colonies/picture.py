"""A quadrat through its years as one picture: the years side by side, every colony in its own steady colour."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from io import BytesIO
from threading import Lock
from typing import Any

import cv2
import numpy as np
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from analytics.colonies.events import Event
from analytics.colonies.tracks import History, Outcome, Photo
from labels.transforms import apply_homography

PANEL_IN, DPI = 3.3, 150
GAP_IN, HEAD_IN, FOOT_IN = 0.08, 0.48, 0.36
QUALITY = 92
INK, PALE = "#22303a", "#6b7a80"
MARKS: Mapping[Event, tuple[str, str, str]] = {
    Event.GREW: ("▲", "#69db7c", "grew"),
    Event.SHRANK: ("▼", "#ffa94d", "shrank"),
    Event.PARTIAL_MORTALITY: ("◐", "#ff922b", "partly died"),
    Event.RECRUITED: ("✚", "#4dabf7", "recruited"),
    Event.DIED: ("✖", "#ff6b6b", "died"),
    Event.SPLIT: ("◆", "#da77f2", "split"),
    Event.FUSED: ("■", "#da77f2", "fused"),
    Event.ABSORBED: ("□", "#da77f2", "fused into another"),
    Event.ENTERED: ("→", "#ced4da", "came into the frame"),
    Event.LEFT: ("←", "#ced4da", "left the frame"),
    Event.UNRESOLVED: ("?", "#ffe066", "cannot be told"),
}
"""Mark, colour and words of the events that are marked; the others only keep their colour."""

GOLDEN = 0.381966
"""Steps of the golden angle give neighbours in a list hues that lie far apart."""


_DRAWING = Lock()
"""Matplotlib shares fonts between threads without guarding them."""


def quadrat_picture(history: History) -> bytes:
    """The picture as JPEG, about 500 pixels per year wide.

    Raises:
        ValueError: no picture of the quadrat can be shown.
    """
    photos = history.used
    if not photos:
        raise ValueError(f"{history.site} {history.quadrat} has no picture to show")
    with _DRAWING:
        return _drawn(history, photos)


def _drawn(history: History, photos: Sequence[Photo]) -> bytes:
    width = (PANEL_IN + GAP_IN) * len(photos) + GAP_IN
    height = PANEL_IN + HEAD_IN + FOOT_IN
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    numbers = _numbers(history)
    for column, photo in enumerate(photos):
        left = GAP_IN + column * (PANEL_IN + GAP_IN)
        axes = figure.add_axes((left / width, FOOT_IN / height, PANEL_IN / width, PANEL_IN / height))
        _panel(axes, photo, history, numbers)
    title = f"{history.site} · quadrat {history.quadrat}"
    place = (GAP_IN / width, 1 - 0.16 / height)
    figure.text(*place, title, color=INK, fontsize=10.5, fontweight="bold", va="center")
    _legend(figure, history)
    buffer = BytesIO()
    figure.savefig(buffer, format="jpg", pil_kwargs={"quality": QUALITY, "subsampling": 0})
    return buffer.getvalue()


def identity_color(number: int) -> tuple[float, float, float]:
    """The colour of the n-th colony of a quadrat: the same in all its years, unlike its neighbours' in the list."""
    return colorsys.hsv_to_rgb((0.02 + number * GOLDEN) % 1.0, (0.75, 0.5, 0.95)[number % 3], 1.0)


def overview(pictures: Sequence[bytes], width_px: int = 960) -> bytes:
    """Pictures of quadrats below each other, as JPEG."""
    strips = []
    for data in pictures:
        strip: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        scale = min(1.0, width_px / strip.shape[1])
        size = (round(strip.shape[1] * scale), round(strip.shape[0] * scale))
        small = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
        right = width_px - small.shape[1]
        strips.append(cv2.copyMakeBorder(small, 0, 8, 0, right, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
    ok, sheet = cv2.imencode(".jpg", np.vstack(strips), [cv2.IMWRITE_JPEG_QUALITY, 84])
    if not ok:
        raise ValueError(f"an overview of {len(strips)} quadrats could not be written")
    return sheet.tobytes()


def _numbers(history: History) -> dict[str, int]:
    """A short number for every colony, in the order in which they were first seen."""
    numbers: dict[str, int] = {}
    for row in history.tracks:
        numbers.setdefault(str(row["colony_id"]), len(numbers))
    return numbers


def _panel(axes: Any, photo: Photo, history: History, numbers: Mapping[str, int]) -> None:
    """One year."""
    ground = photo.sight.ground.bounds
    axes.imshow(_shown(photo), extent=(ground[0], ground[2], ground[3], ground[1]), interpolation="antialiased")
    axes.set(xlim=(ground[0], ground[2]), ylim=(ground[3], ground[1]), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set_visible(False)
    outlines = {o.shape_id: o for o in photo.sight.outlines}
    rows = [row for row in history.tracks if row["image_id"] == photo.image_id]
    for row in rows:
        color = identity_color(numbers[str(row["colony_id"])])
        event = Event(str(row["event"]))
        number = str(numbers[str(row["colony_id"])] + 1)
        if row["shape_id"] is not None:
            shape = outlines[str(row["shape_id"])].ground
            axes.add_patch(_patch(shape, facecolor=(*color, 0.22), edgecolor=color, linewidth=1.3))
        else:
            shape = _last_seen(history, row, photo)
            if shape is None:
                continue
            axes.add_patch(_patch(shape, facecolor="none", edgecolor=color, linewidth=1.1, linestyle=(0, (3, 2))))
        _mark(axes, shape, number, event, row["confidence"])
    axes.text(0, 1.012, f"{photo.year}", color=INK, fontsize=9, fontweight="bold", transform=axes.transAxes)
    axes.text(0.115, 1.013, _heading(photo, history), color=PALE, fontsize=7, transform=axes.transAxes)


def _shown(photo: Photo) -> NDArray[np.uint8]:
    try:
        picture = photo.load().picture
    except ValueError:  # its outcome is recorded already; its outlines are still worth seeing
        return np.full((8, 8, 3), 225, np.uint8)
    scale = PANEL_IN * DPI / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def _mark(axes: Any, shape: BaseGeometry, number: str, event: Event, confidence: object) -> None:
    """The colony's number, and what became of it; an unsure event is marked with less ink."""
    (x0, x1), (y1, y0) = axes.get_xlim(), axes.get_ylim()
    inset = 0.02 * (x1 - x0)
    place = shape.representative_point()
    # What left the frame lies beyond the panel; its number stands at the edge that it went over.
    x, y = float(np.clip(place.x, x0 + inset, x1 - inset)), float(np.clip(place.y, y0 + inset, y1 - inset))
    axes.text(x, y, number, color="white", fontsize=7, fontweight="bold", ha="center", va="center", **_halo(1.8))
    if event in MARKS:
        mark, color, _ = MARKS[event]
        corners = shapely.get_coordinates(shape)
        right, top = corners[np.argmax(corners[:, 0] - corners[:, 1])]  # its upper right
        # A small colony's mark would lie on its number.
        right, top = max(float(right), x + 1.6 * inset), min(float(top), y)
        right, top = float(np.clip(right, x0 + inset, x1 - inset)), float(np.clip(top, y0 + inset, y1 - inset))
        sure = float(confidence) if isinstance(confidence, float) else 1.0
        axes.text(
            right,
            top,
            mark,
            color=color,
            fontsize=8.5,
            ha="center",
            va="center",
            alpha=0.45 + 0.55 * sure,
            **_halo(1.8),
        )


def _last_seen(history: History, row: Mapping[str, object], photo: Photo) -> BaseGeometry | None:
    """The outline of a colony that is gone, where it would be in this picture."""
    index = history.used.index(photo)
    before = history.used[index - 1]
    known = {r["colony_id"]: r["shape_id"] for r in history.tracks if r["image_id"] == before.image_id}
    shapes = {o.shape_id: o.ground for o in before.sight.outlines}
    shape = shapes.get(str(known.get(row["colony_id"])))
    if shape is None:
        return None
    matrix = next(p["matrix"] for p in history.pictures if p["image_id"] == photo.image_id)
    laid = np.eye(3) if matrix is None else np.array(matrix, float).reshape(3, 3)
    return shapely.transform(shape, lambda points: apply_homography(laid, points))


def _heading(photo: Photo, history: History) -> str:
    row = next(p for p in history.pictures if p["image_id"] == photo.image_id)
    count = int(str(row["outlines"]))
    colonies = "1 colony" if count == 1 else f"{count} colonies"
    if row["outcome"] == Outcome.REGISTERED:
        shift, sure = float(str(row["shift_cm"])), float(str(row["confidence"]))
        moved = f"{shift:.1f} cm" if shift >= 1 else f"{10 * shift:.1f} mm"
        return f"{colonies} · moved {moved} · {sure:.0%} of ground agrees"
    said = {
        Outcome.FIRST: "first picture",
        Outcome.UNREGISTERED: "not registered: as the frame lay",
        Outcome.NOT_COMPARED: "cannot be compared: starts anew",
    }
    return f"{colonies} · {said.get(Outcome(str(row['outcome'])), '')}"


def _legend(figure: Figure, history: History) -> None:
    """The marks that occur, below the panels, and what dashes mean."""
    seen = {Event(str(row["event"])) for row in history.tracks}
    handles: list[Line2D] = []
    for event, (mark, color, words) in MARKS.items():
        if event in seen:
            handles.append(Line2D([], [], linestyle="none", marker=f"${mark}$", color=color, markersize=6, label=words))
    if any(row["shape_id"] is None for row in history.tracks):
        handles.append(Line2D([], [], linestyle=(0, (3, 2)), color=PALE, linewidth=1.2, label="where it was"))
    if handles:
        figure.legend(
            handles=handles,
            loc="lower left",
            ncols=len(handles) if len(history.used) > 1 else 3,
            frameon=False,
            fontsize=7.5,
            handlelength=1.4,
            handletextpad=0.4,
            columnspacing=1.2,
            labelcolor=INK,
        )


def _halo(width: float) -> dict[str, Any]:
    return {"path_effects": [withStroke(linewidth=width, foreground=(0.08, 0.12, 0.14, 0.85))]}


def _patch(shape: BaseGeometry, **style: Any) -> PathPatch:
    paths = []
    for part in shapely.get_parts(shape):
        if part.geom_type == "Polygon":
            paths += [Path(np.asarray(ring.coords)[:, :2], closed=True) for ring in (part.exterior, *part.interiors)]
    return PathPatch(Path.make_compound_path(*paths) if paths else Path(np.zeros((1, 2))), **style)
