"""Charts of reports, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analytics.figures import new_figure, png

INK, GRID, ACCENT = "#22303a", "#e3e8ea", "#0b7285"
LINES = ("#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c", "#1971c2", "#8f6b00", "#495057")
CHANGE_COLORS = {
    "unchanged": "#9fb3b8",
    "reshaped": "#4dabf7",
    "relabelled": "#f59f00",
    "added": "#37b24d",
    "deleted": "#e03131",
}


def overlap_curve(ious: Sequence[float]) -> bytes:
    """Share of pairs whose IoU reaches each value: how close proposals came to what people made of them."""
    figure, axes = _figure(5.2, 3.0)
    values = np.sort(np.asarray(ious, float))
    at = np.linspace(0, 1, 201)
    share = 1 - np.searchsorted(values, at, side="left") / max(1, len(values))
    axes.plot(at, share * 100, color=ACCENT, linewidth=2)
    axes.fill_between(at, 0, share * 100, color=ACCENT, alpha=0.12)
    axes.set(xlabel="IoU of at least", ylabel="share of pairs (%)", xlim=(0, 1), ylim=(0, 102))
    return png(figure)


def change_bars(changes: Mapping[str, Mapping[str, int]]) -> bytes:
    """What became of the proposals, a bar per label.

    Args:
        changes: label -> what -> count.
    """
    labels = sorted(changes, key=lambda label: sum(changes[label].values()))
    figure, axes = _figure(5.2, max(1.6, 0.36 * len(labels) + 1.1))
    left = np.zeros(len(labels))
    for what, color in CHANGE_COLORS.items():
        counts = np.array([changes[label].get(what, 0) for label in labels], float)
        axes.barh(labels, counts, left=left, color=color, label=what, height=0.7)
        left += counts
    axes.set_xlabel("colonies")
    figure.legend(loc="outside upper center", ncols=5, frameon=False, fontsize=8, handlelength=1)
    return png(figure)


def trend_lines(series: Mapping[str, Mapping[str, float]], batches: Sequence[str]) -> bytes:
    """A share of everyone from batch to batch.

    Args:
        series: name -> batch -> share, 0..1.
        batches: all of them, in their order.
    """
    figure, axes = _figure(5.2, 3.0)
    place = {batch: number for number, batch in enumerate(batches)}
    for number, (name, values) in enumerate(series.items()):
        at = [place[batch] for batch in values]
        color = LINES[number % len(LINES)]
        axes.plot(at, [100 * v for v in values.values()], marker="o", markersize=3.5, color=color, label=name)
    shown = range(0, len(batches), max(1, -(-len(batches) // 8)))
    axes.set_xticks(shown, [batches[k].rpartition(".")[2] for k in shown])  # batches of a survey differ in their number
    axes.set(xlabel="batch", ylabel="%", ylim=(-2, 102))
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8, handlelength=1.4)
    return png(figure)


def _figure(width: float, height: float):  # type: ignore[no-untyped-def]  # noqa: ANN202 - matplotlib's own types
    figure = new_figure(width, height, dpi=120)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes
