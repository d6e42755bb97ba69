"""A small picture per analytics table, for the page of the asset that fills it: PNG bytes from rows of a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from analytics.figures import new_figure, png

Rows = Sequence[Mapping[str, Any]]
_BLUE, _GRAY, _ORANGE, _RED, _GREEN = "#0b7285", "#b9c4cc", "#f59f00", "#e03131", "#37b24d"


def batches_plot(rows: Rows) -> bytes:
    """How far each batch is, the newest on top; those that wait for people in orange. Rows of ``campaign``."""
    shown = sorted(rows, key=lambda row: row["batch"])[-24:]
    figure, panel = _panel(height=max(1.4, 0.24 * len(shown) + 0.7))
    colors = [_ORANGE if row["waits_for"].startswith("people") else _BLUE for row in shown]
    panel.barh([row["batch"] for row in shown], [100 * row["progress"] for row in shown], color=colors, height=0.7)
    panel.set(xlim=(0, 100), xlabel="% of the stages; orange waits for people")
    return png(figure)


def waiting_plot(rows: Rows) -> bytes:
    """Hours from question to answer by gate, and of it work. Rows of ``gate_latency``."""
    figure, panel = _panel(height=max(1.4, 0.28 * len(rows) + 0.8))
    names = [f"{row['survey']} {row['gate']}" for row in rows]
    panel.barh(names, [row["mean_hours"] for row in rows], color=_GRAY, height=0.7, label="waiting")
    panel.barh(names, [row["hours_of_work"] / row["reviews"] for row in rows], color=_BLUE, height=0.7, label="work")
    panel.set_xlabel("hours, mean of the reviews")
    panel.legend(frameon=False, fontsize=8)
    return png(figure)


def cover_plot(rows: Rows) -> bytes:
    """Coral cover by site and year with 95 % intervals. Rows of ``cover_total``."""
    figure, panel = _panel()
    for site in sorted({row["site"] for row in rows}):
        mine = [row for row in rows if row["site"] == site]
        years, means = [row["year"] for row in mine], [100 * row["mean_share"] for row in mine]
        # One quadrat has a mean and no interval.
        down = [100 * (row["mean_share"] - _or(row["low"], row["mean_share"])) for row in mine]
        up = [100 * (_or(row["high"], row["mean_share"]) - row["mean_share"]) for row in mine]
        panel.errorbar(years, means, [down, up], marker="o", capsize=3, label=site or "all pictures")
    panel.set_xticks(sorted({row["year"] for row in rows}))
    panel.set(ylim=(0, None), ylabel="cover (% of the quadrat)")
    panel.legend(frameon=False, fontsize=8)
    return png(figure)


def changes_plot(rows: Rows) -> bytes:
    """What people did to the proposals of each model version. Rows of ``models``."""
    figure, panel = _panel(height=max(1.4, 0.34 * len(rows) + 0.9))
    names = [row["model_version"].partition("#")[0] for row in rows]
    left = [0.0] * len(rows)
    for what, color in {"accepted": _GRAY, "reshaped": "#4dabf7", "relabelled": _ORANGE, "deleted": _RED}.items():
        shares = [100 * row[f"{what}_share"] for row in rows]
        panel.barh(names, shares, left=left, color=color, height=0.65, label=what)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    panel.set_xlabel("% of the proposals")
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return png(figure)


def quality_plot(rows: Rows) -> bytes:
    """Proposals of the coral gate against reviewed labels, batch by batch. Rows of ``quality_trend``."""
    figure, panel = _panel()
    mine = [row for row in rows if row["gate"] == "corals" and row["against"] == "review"]
    for measure in dict.fromkeys(row["measure"] for row in mine):
        points = [row for row in mine if row["measure"] == measure]
        panel.plot([p["time"] for p in points], [p["value"] for p in points], "o-", ms=3, label=measure)
    panel.set(ylim=(0, 1.02))
    _dates(figure, panel)
    return png(figure)


def webhooks_plot(rows: Rows) -> bytes:
    """Events a day: by webhook, healed, dead. Rows of ``webhooks``."""
    return _stack(rows, {"by_webhook": _BLUE, "lost_and_healed": _ORANGE, "dead": _RED}, "events")


def runs_plot(rows: Rows) -> bytes:
    """Runs a day, by outcome. Rows of ``runs_days``."""
    return _stack(rows, {"succeeded": _GREEN, "failed": _RED, "unfinished": _BLUE}, "runs")


PLOTS: Final[Mapping[str, tuple[str, Callable[[Rows], bytes]]]] = {
    "images": ("campaign", batches_plot),
    "reviews": ("gate_latency", waiting_plot),
    "cover": ("cover_total", cover_plot),
    "objects": ("models", changes_plot),
    "quality": ("quality_trend", quality_plot),
    "deliveries": ("webhooks", webhooks_plot),
    "runs": ("runs_days", runs_plot),
}
"""Table -> the question its picture answers, and what draws it."""


def _stack(rows: Rows, colors: Mapping[str, str], unit: str) -> bytes:
    figure, panel = _panel()
    shown = rows[-90:]
    bottom = [0] * len(shown)
    for name, color in colors.items():
        values = [row[name] for row in shown]
        panel.bar([row["time"] for row in shown], values, bottom=bottom, color=color, label=name.replace("_", " "))
        bottom = [a + b for a, b in zip(bottom, values, strict=True)]
    panel.set_ylabel(unit)
    _dates(figure, panel)
    return png(figure)


def _panel(height: float = 2.8) -> tuple[Any, Any]:
    figure = new_figure(7.2, height, dpi=100)
    panel = figure.subplots()
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
    panel.grid(color="#e3e8ea", linewidth=0.7)
    panel.set_axisbelow(True)
    return figure, panel


def _dates(figure: Any, panel: Any) -> None:
    panel.legend(frameon=False, fontsize=8, ncols=4)
    figure.autofmt_xdate()


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
