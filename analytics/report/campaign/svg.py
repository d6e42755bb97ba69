"""Charts as SVG text: sharp at any size, readable offline, the exact number under the pointer.

All charts are :data:`WIDTH` units wide and scale with the page. Text is escaped here, so the result is safe to embed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import pairwise
from typing import Final

WIDTH: Final = 560.0
PALETTE: Final = ("#0b7285", "#4dabf7", "#f59f00", "#37b24d", "#e03131", "#845ef7", "#9fb3b8", "#e8590c")
SMALLEST: Final = 1e-9
"""Less than this is drawn as nothing."""
INK, SOFT, GRID = "#22303a", "#5c6f7a", "#e3e8ea"
_ROW, _TOP, _RIGHT = 30.0, 10.0, 16.0


@dataclass(frozen=True, slots=True)
class Line:
    """A series over time: (moment, value, lower end, upper end); the ends may be None."""

    name: str
    points: Sequence[tuple[datetime, float, float | None, float | None]]


def bars(
    rows: Sequence[tuple[str, Mapping[str, float]]],
    *,
    unit: str = "",
    colors: Mapping[str, str] | None = None,
    stacked: bool = False,
    top: float | None = None,
) -> str:
    """Lying bars: a row per label, with a bar per series or one bar of all series.

    Args:
        rows: (label, series -> value).
        unit: written behind numbers.
        colors: by series; the palette's otherwise.
        stacked: one bar of parts.
        top: end of the scale; what the values need when left out.
    """
    names = list(dict.fromkeys(name for _, values in rows for name in values))
    paint = _paint(names, colors)
    label_width = min(240.0, 16 + 6.6 * max((len(label) for label, _ in rows), default=4))
    thick = 16.0 if stacked or len(names) == 1 else 13.0
    pitch = _ROW if stacked or len(names) == 1 else max(_ROW, thick * len(names) + 12)
    biggest = max((sum(v.values()) if stacked else max(v.values(), default=0) for _, v in rows), default=0)
    ticks = _ticks(top or biggest)
    room = WIDTH - label_width - _RIGHT - (0 if stacked else 46)
    scale = room / (ticks[-1] or 1)
    height = _TOP + pitch * len(rows) + 22
    made = [_gridline(label_width + t * scale, _TOP, height - 22, _number(t)) for t in ticks]
    for place, (label, values) in enumerate(rows):
        y = _TOP + pitch * place + pitch / 2
        made.append(_text(label_width - 8, y + 4, label, anchor="end"))
        left = label_width
        used = thick if stacked else thick * len(values)
        for number, (name, value) in enumerate(values.items()):
            width = max(0.0, value * scale)
            at = y - used / 2 + (0 if stacked else thick * number)
            said = f"{label}: {name} {_number(value)} {unit}".strip() if name else f"{label}: {_number(value)} {unit}"
            made.append(_rect(left, at, width, thick - (0 if stacked else 1.5), paint[name], said))
            if not stacked:
                made.append(_text(label_width + width + 5, at + thick / 2 + 3.5, _number(value), color=SOFT, size=11))
            left += width if stacked else 0
    return _frame(made, height, _legend(paint) if len(names) > 1 else "")


def columns(
    times: Sequence[datetime],
    series: Mapping[str, Sequence[float]],
    *,
    unit: str = "",
    colors: Mapping[str, str] | None = None,
    height: float = 220.0,
) -> str:
    """Standing bars over time, stacked; times may have gaps."""
    paint = _paint(list(series), colors)
    totals = [sum(values) for values in zip(*series.values(), strict=True)]
    ticks = _ticks(max(totals, default=0))
    left, bottom = 46.0, height - 24
    x, span = _time_axis(times, left)
    scale = (bottom - _TOP) / (ticks[-1] or 1)
    steps = [(b - a).total_seconds() for a, b in pairwise(times) if b > a]
    step = min(steps, default=span or 86_400)
    thick = max(1.5, min(26.0, (WIDTH - left - _RIGHT) * step / ((span or step) + step) * 0.8))
    made = _y_axis(ticks, left, bottom, scale) + _x_labels(times, x, height - 6)
    for place, moment in enumerate(times):
        y = bottom
        for name, values in series.items():
            tall = max(0.0, values[place]) * scale
            said = f"{moment:%d %b %Y}: {name} {_number(values[place])} {unit}".strip()
            if tall:
                made.append(_rect(x(moment) - thick / 2, y - tall, thick, tall, paint[name], said))
            y -= tall
    return _frame(made, height, _legend(paint) if len(series) > 1 else "")


def lines(
    given: Sequence[Line], *, unit: str = "", height: float = 220.0, colors: Mapping[str, str] | None = None,
    years: bool = False, top: float | None = None,
) -> str:  # fmt: skip
    """Lines over time, with a shade from lower to upper end where points have them."""
    given = [line for line in given if line.points]
    paint = _paint([line.name for line in given], colors)
    times = sorted({point[0] for line in given for point in line.points})
    highest = max((max(p[1], p[3] or 0) for line in given for p in line.points), default=0)
    ticks = _ticks(top or highest)
    left, bottom = 46.0, height - 24
    x, _ = _time_axis(times, left, inset=14)
    scale = (bottom - _TOP) / (ticks[-1] or 1)
    made = _y_axis(ticks, left, bottom, scale) + _x_labels(times, x, height - 6, years=years)
    for line in given:
        color = paint[line.name]
        ends = [(x(t), bottom - low * scale, bottom - high * scale)
                for t, _, low, high in line.points if low is not None and high is not None]  # fmt: skip
        if ends:
            shade = [(px, high) for px, _, high in ends] + [(px, low) for px, low, _ in reversed(ends)]
            made.append(f'<polygon points="{_points(shade)}" fill="{color}" opacity=".14"/>')
        path = [(x(t), bottom - value * scale) for t, value, _, _ in line.points]
        made.append(f'<polyline points="{_points(path)}" fill="none" stroke="{color}" stroke-width="2"/>')
        for (px, py), (moment, value, low, high) in zip(path, line.points, strict=True):
            when = f"{moment:%Y}" if years else f"{moment:%d %b %Y}"
            between = "" if low is None or high is None else f" ({_number(low)}–{_number(high)})"
            said = _safe(f"{line.name} {when}: {_number(value)} {unit}{between}".strip())
            made.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.2" fill="{color}"><title>{said}</title></circle>')
    return _frame(made, height, _legend(paint) if len(paint) > 1 else "")


def _frame(parts: Sequence[str], height: float, legend: str) -> str:
    svg = f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" font-family="inherit">{"".join(parts)}</svg>'
    return legend + svg


def _legend(paint: Mapping[str, str]) -> str:
    items = "".join(
        f'<span><i style="background:{color}"></i>{_safe(name)}</span>' for name, color in paint.items() if name
    )
    return f'<div class="legend">{items}</div>'


def _safe(text: str) -> str:
    """For a page: escaped, and without control characters, which are in no alphabet."""
    return escape("".join(letter for letter in text if letter.isprintable()))


def _paint(names: Sequence[str], colors: Mapping[str, str] | None) -> dict[str, str]:
    given = colors or {}
    return {name: given.get(name, PALETTE[place % len(PALETTE)]) for place, name in enumerate(names)}


def _ticks(top: float) -> list[float]:
    """Zero to at least ``top`` in three to six round steps."""
    if top < SMALLEST:
        return [0.0, 1.0]
    raw = top / 4
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    return [step * i for i in range(math.ceil(top / step - 1e-9) + 1)]


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _time_axis(times, left, inset=0.0):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - a function and seconds
    first, last = (times[0], times[-1]) if times else (datetime.min, datetime.min)  # noqa: DTZ901 - an empty axis
    span = (last - first).total_seconds()
    room = WIDTH - left - _RIGHT - 2 * inset - 12

    def x(moment: datetime) -> float:
        share = (moment - first).total_seconds() / span if span else 0.5
        return float(left + inset + 6 + room * share)

    return x, span


def _x_labels(times, x, y, years=False):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    shown = times if years else [times[round(i * (len(times) - 1) / 4)] for i in range(5)] if times else []
    form = "%Y" if years else "%d %b"
    return [_text(x(moment), y, moment.strftime(form), anchor="middle", color=SOFT, size=11)
            for moment in dict.fromkeys(shown)]  # fmt: skip


def _y_axis(ticks: Sequence[float], left: float, bottom: float, scale: float) -> list[str]:
    made = []
    for tick in ticks:
        y = bottom - tick * scale
        made.append(f'<line x1="{left}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        made.append(_text(left - 6, y + 4, _number(tick), anchor="end", color=SOFT, size=11))
    return made


def _gridline(x: float, top: float, bottom: float, label: str) -> str:
    line = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom:.1f}" stroke="{GRID}"/>'
    return line + _text(x, bottom + 15, label, anchor="middle", color=SOFT, size=11)


def _rect(x: float, y: float, width: float, height: float, color: str, said: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} rx="1.5" fill="{color}"><title>{_safe(said)}</title></rect>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", color: str = INK, size: float = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" font-size="{size}"'
    return f"<text {place}>{_safe(text)}</text>"


def _points(path: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{px:.1f},{py:.1f}" for px, py in path)
