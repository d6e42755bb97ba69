"""The sections on people and on science."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from analytics.report.campaign import svg
from analytics.report.campaign.boxes import Box, Card, Rows, Section, chart, table, written

HOUR_MS = 3_600_000
MEASURES = ("accuracy", "precision", "recall", "mean_iou")


def people(answers: Mapping[str, Rows]) -> Section:
    """Working time both ways, pace, agreement."""
    rows = answers["worktime_people"]
    ours, cvats = sum(r["hours"] for r in rows), sum(r["cvat_reported_hours"] for r in rows)
    outside = sum(r["hours_outside_jobs"] for r in rows)
    cards = [
        Card("people", str(len(rows))),
        Card("hours, our reading", written(round(ours, 1)), "union of intervals, thinking time capped"),
        Card("hours CVAT booked", written(round(cvats, 1)), "what its own dashboard adds up"),
        Card("outside jobs", written(round(outside, 1)), "hours that CVAT's table leaves out"),
    ]
    readings = [(r["person"], {"ours": r["hours"], "CVAT's algorithm": r["cvat_hours"],
                               "CVAT has booked": r["cvat_reported_hours"]}) for r in rows]  # fmt: skip
    days = answers["worktime_days"]
    by_day = svg.columns(
        [r["time"] for r in days],
        {"in jobs": [r["hours_in_jobs"] for r in days], "outside jobs": [r["hours_outside_jobs"] for r in days]},
        unit="h",
        colors={"outside jobs": "#a5d8e6"},
    )
    gates = [(f"{r['survey_name']} {r['where_to']}", {"hours": r["hours"]}) for r in answers["worktime_gates"]]
    pace = {"person": "person", "pictures": "pictures", "touched": "colonies touched", "hours": "hours",
            "pictures_per_hour": "pictures / h", "touched_per_hour": "touched / h"}  # fmt: skip
    boxes = [
        chart("worktime_people", svg.bars(readings, unit="h", colors={"CVAT has booked": "#9fb3b8"})),
        chart("worktime_days", by_day),
        chart("worktime_gates", svg.bars(gates, unit="h")),
        _agreement(answers["people_quality"]),
        table("people_pace", answers["people_pace"], pace),
        _differences(rows),
        _places(answers["worktime_places"]),
    ]
    return Section("people", "People", cards, boxes)


def _agreement(rows: Rows) -> Box:
    who = list(dict.fromkeys(row["person"] for row in rows))
    found = {(row["person"], row["measure"]): row["mean_value"] for row in rows}
    bars = [
        (person, {m.replace("_iou", " IoU"): found[person, m] for m in MEASURES if (person, m) in found})
        for person in who
    ]
    return chart("people_quality", svg.bars(bars, top=1.0))


def _differences(rows: Rows) -> Box:
    """Why the two readings differ, in hours."""
    columns = {"person": "person", "hours": "ours", "cvat_hours": "CVAT's", "thinking_hours": "thinking",
               "inside_hours": "inside events", "repeated_hours": "booked twice", "sessions": "sessions"}  # fmt: skip
    return table("worktime_people", rows, columns, title="Why the readings differ (hours)")


def _places(rows: Rows) -> Box:
    shown = [{**row, "ours_h": row["ours_ms"] / HOUR_MS, "cvat_h": row["cvat_ms"] / HOUR_MS,
              "place": " ".join(filter(None, (row["batch_key"], row["gate_name"]))) or row["where_to"]}
             for row in rows]  # fmt: skip
    columns = {"person": "person", "place": "where", "job_id": "job", "ours_h": "ours (h)", "cvat_h": "CVAT's (h)",
               "difference": "the difference"}  # fmt: skip
    return table("worktime_places", shown, columns, wide=True, most=12)


def science(answers: Mapping[str, Rows]) -> Section:
    """Cover by site and year with its intervals."""
    totals = answers["cover_total"]
    sites = sorted({row["site"] for row in totals})
    newest = max((row["year"] for row in totals), default=None)
    cards = [
        Card(f"cover, {row['site'] or 'all pictures'} {row['year']}", written(row["mean_share"], "percent"),
             f"{written(row['low'], 'percent')} to {written(row['high'], 'percent')}, {row['quadrats']} quadrats")
        for row in totals if row["year"] == newest
    ]  # fmt: skip
    total = [svg.Line(site or "all pictures", [_point(row) for row in totals if row["site"] == site]) for site in sites]
    boxes = [chart("cover_total", svg.lines(total, unit="%", years=True, height=260))]
    for site in sites:
        here = [row for row in answers["cover_years"] if row["site"] == site]
        taxa = list(dict.fromkeys(row["taxon"] for row in here))
        made = [svg.Line(taxon, [_point(row) for row in here if row["taxon"] == taxon]) for taxon in taxa]
        picture = svg.lines(made, unit="%", years=True, height=260)
        boxes.append(chart("cover_years", picture, title=f"Cover by taxon, {site or 'all pictures'}"))
    columns = {"site": "site", "year": "year", "taxon": "taxon", "mean_share": "cover", "low": "from", "high": "to",
               "quadrats": "quadrats", "colonies": "colonies"}  # fmt: skip
    percent = dict.fromkeys(("mean_share", "low", "high"), "percent")
    boxes.append(table("cover_years", answers["cover_years"], columns, forms=percent, most=60, wide=True))
    return Section("science", "Science", cards, boxes)


def _point(row: Mapping[str, object]) -> tuple[datetime, float, float | None, float | None]:
    """Of a year, in per cent. One quadrat has no interval."""
    year = datetime(int(str(row["year"])) or 1, 1, 1, tzinfo=UTC)
    mean, low, high = (_percent(row[name]) for name in ("mean_share", "low", "high"))
    return year, mean or 0.0, low, high


def _percent(value: object) -> float | None:
    number = float(str(value)) if value is not None else float("nan")
    return None if number != number else 100 * number  # noqa: PLR0124 - NaN is what differs from itself
