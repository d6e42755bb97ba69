"""The section on the campaign: where every batch is, who waits for whom, when it is done, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from markupsafe import Markup

from analytics.questions import question
from analytics.report.campaign import svg
from analytics.report.campaign.boxes import Box, Card, Rows, Section, chart, table, written

STAGES = ("photos", "corners", "", "straight", "lattice", "", "clean", "corals", "")
"""Names over the nine steps of the machine and of people."""


def campaign(answers: Mapping[str, Rows], hour_cost: float) -> Section:
    """The section."""
    (totals,) = answers["campaign_totals"]
    boxes = [
        _batches(answers["campaign"]),
        _finish(answers["finish"]),
        _queue(answers["queue"]),
        _waiting(answers["gate_latency"]),
        _weeks(answers["throughput_weeks"]),
        _throughput(answers["throughput"], wide=not hour_cost),
    ]
    if hour_cost:
        boxes.append(_cost(answers["cost"]))
    left = sum(row["hours_left"] or 0 for row in answers["finish"])
    done_on = max((row["done_on"] for row in answers["finish"] if row["done_on"]), default=None)
    cards = [
        Card("photos", written(int(totals["photos"])), f"in {totals['batches']} batches"),
        Card("batches done", f"{totals['batches_done']} of {totals['batches']}"),
        Card("colonies outlined", written(int(totals["objects"] or 0))),
        Card("hours of people", written(round(totals["hours"] or 0, 1)), "so far, in jobs and outside"),
        Card("hours left", written(round(left, 1)), "at open gates and gates to come"),
        Card("done on", written(done_on, "long"), "at the pace of the last four weeks"),
    ]
    return Section("campaign", "Campaign", cards, boxes)


def _batches(rows: Rows) -> Box:
    """A track of nine steps per batch: made, waiting for people, to come."""
    asked = question("campaign")
    lines = []
    for row in sorted(rows, key=lambda row: row["batch"], reverse=True):
        reached = round(row["progress"] * len(STAGES))
        waits = row["waits_for"].startswith("people")
        steps = "".join(
            f'<i class="{"made" if n < reached else "waits" if n == reached and waits else ""}"></i>'
            for n in range(len(STAGES))
        )
        state = "done" if row["done"] else row["waits_for"] or "–"
        since = f", {row['hours_waiting'] / 24:.1f} days" if row["hours_waiting"] else ""
        failed = f'<span class="warn">{row["failed"]} failed</span>' if row["failed"] else ""
        lines.append(
            f'<div class="batch"><b>{escape(row["batch"])}</b><span class="track">{steps}</span>'
            f'<span class="{"soft" if row["done"] else ""}">{escape(state + since)}</span>{failed}</div>'
        )
    names = "".join(f"<span>{name}</span>" for name in STAGES)
    head = f'<div class="batch head"><b></b><span class="track names">{names}</span><span></span></div>'
    html = f'<div class="batches">{head}{"".join(lines)}</div>'
    return Box(asked.title, asked.says, Markup(html), asked.sql, wide=True)  # noqa: S704 - texts are escaped


def _queue(rows: Rows) -> Box:
    shown = [{**row, "waits_for": _holder(row["waits_for"])} for row in rows]
    columns = {"batch": "batch", "gate": "gate", "jobs_done": "jobs done", "jobs_total": "of", "waits_for": "with",
               "hours_waiting": "waiting"}  # fmt: skip
    return table("queue", shown, columns, links={"gate": "url"}, forms={"hours_waiting": "h"})


def _throughput(rows: Rows, *, wide: bool) -> Box:
    # Only the coral gate's objects are counted.
    shown = [{**row, "objects_per_hour": row["objects_per_hour"] or None} for row in rows]
    columns = {"survey": "survey", "gate": "gate", "pictures": "pictures", "hours": "hours",
               "minutes_per_picture": "min / picture", "objects_per_hour": "colonies / h"}  # fmt: skip
    return table("throughput", shown, columns, wide=wide)


def _cost(rows: Rows) -> Box:
    columns = {"survey": "survey", "gate": "gate", "hours": "hours", "cost": "cost", "cost_per_picture": "per picture"}
    return table("cost", rows, columns)


def _holder(waits_for: str) -> str:
    """Who has the open jobs; under pseudonyms the question says how many people."""
    if waits_for.isdigit():
        return {"0": "nobody", "1": "1 person"}.get(waits_for, f"{waits_for} people")
    return waits_for or "nobody"


def _finish(rows: Rows) -> Box:
    columns = {"survey": "survey", "hours_left": "hours left", "low": "at least", "high": "at most",
               "pace_a_day": "hours a day", "done_on": "done on", "at_the_latest": "at the latest"}  # fmt: skip
    return table("finish", rows, columns)


def _waiting(rows: Rows) -> Box:
    """Median hours from question to answer; the little of it that was work."""
    bars = [
        (f"{row['survey']} {row['gate']}",
         {"work": row["hours_of_work"] / row["reviews"],
          "waiting": max(0.0, row["mean_hours"] - row["hours_of_work"] / row["reviews"])})
        for row in rows
    ]  # fmt: skip
    says = "Mean hours from asking people until their answer is collected, and how much of it was work."
    colors = {"work": svg.PALETTE[0], "waiting": "#d5dee2"}
    return chart("gate_latency", svg.bars(bars, unit="h", stacked=True, colors=colors), says=says)


def _weeks(rows: Rows) -> Box:
    gates = list(dict.fromkeys(row["gate"] for row in rows))
    made = [
        svg.Line(gate, [(row["time"], row["pictures_per_hour"], None, None) for row in rows
                        if row["gate"] == gate and row["pictures_per_hour"] is not None])
        for gate in gates
    ]  # fmt: skip
    return chart("throughput_weeks", svg.lines(made, unit="pictures/h"))
