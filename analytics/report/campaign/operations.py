"""The sections on models and on the pipeline."""

from __future__ import annotations

from collections.abc import Mapping

from analytics.report.campaign import svg
from analytics.report.campaign.boxes import Box, Card, Rows, Section, chart, table, written

CHANGES = {"accepted": "#9fb3b8", "reshaped": "#4dabf7", "relabelled": "#f59f00", "deleted": "#e03131"}
EVENTS = {"by webhook": "#4dabf7", "lost and healed": "#f59f00", "dead": "#e03131"}
RUNS = {"succeeded": "#37b24d", "failed": "#e03131", "unfinished": "#4dabf7"}


def models(answers: Mapping[str, Rows]) -> Section:
    """What people accept of each version, and the minutes that it saves."""
    versions, saved = answers["models"], answers["models_saved"]
    shares = [(_short(r["model_version"]), {what: 100 * r[f"{what}_share"] for what in CHANGES}) for r in versions]
    minutes = [(_short(r["model_version"]), {"": r["minutes_per_picture"] or 0.0}) for r in saved]
    cards = [
        Card(
            "hours saved", written(round(sum(r["hours_saved"] or 0 for r in saved), 1)), "against each version before"
        ),
    ]
    if versions:
        newest = versions[-1]
        cards += [
            Card("proposals accepted", written(newest["accepted_share"], "percent"), _short(newest["model_version"])),
            Card("minutes a picture", written(newest["minutes_per_picture"]), "of people, with the newest version"),
        ]
    classes = {"class": "taxon", "objects": "colonies", "touched_share": "touched", "seconds_per_object": "s / colony",
               "seconds_per_touched_object": "s / touched one"}  # fmt: skip
    boxes = [
        chart("models", svg.bars(shares, unit="%", stacked=True, colors=CHANGES, top=100),
              title="What becomes of proposals (%)"),
        chart("models_saved", svg.bars(minutes, unit="min"), title="Minutes of people per picture"),
        _trend(answers["quality_trend"]),
        table("time_per_class", answers["time_per_class"], classes, forms={"touched_share": "bar"}),
    ]  # fmt: skip
    return Section("models", "Models", cards, boxes)


def _trend(rows: Rows) -> Box:
    mine = [row for row in rows if row["gate"] == "corals" and row["against"] == "review"]
    names = list(dict.fromkeys(row["measure"] for row in mine))
    made = [
        svg.Line(
            name.replace("_iou", " IoU"),
            [(r["time"], r["value"], r["low"], r["high"]) for r in mine if r["measure"] == name],
        )
        for name in names
    ]
    return chart("quality_trend", svg.lines(made, top=1.0), title="Proposals against reviewed labels")


def pipeline(answers: Mapping[str, Rows]) -> Section:
    """Webhooks, runs, signs of life, GPU."""
    hooks, runs, gpu, intake = (answers[name] for name in ("webhooks", "runs_days", "gpu", "intake"))
    healed, came = (sum(r[n] for r in hooks) for n in ("lost_and_healed", "by_webhook"))
    unaccounted = sum(r["unaccounted"] for r in intake)
    dead = len(answers["dead_letters"])
    failed = len(answers["failures"])
    cards = [
        Card("webhooks", written(came), f"{healed} lost and healed, {sum(r['late'] for r in hooks)} late"),
        Card("dead letters", str(dead), "wait for 'reefline inbox replay'", bad=bool(dead)),
        Card("failed runs", str(failed), "of " + written(sum(r["runs"] for r in answers["runs"]))),
        Card("CVAT events", written(sum(r["inserted"] for r in intake)),
             f"{unaccounted} unaccounted for, {sum(r['duplicates'] for r in intake)} came twice",
             bad=bool(unaccounted)),
    ]  # fmt: skip
    events = svg.columns([r["time"] for r in hooks], {
        "by webhook": [r["by_webhook"] for r in hooks], "lost and healed": [r["lost_and_healed"] for r in hooks],
        "dead": [r["dead"] for r in hooks]}, colors=EVENTS)  # fmt: skip
    by_day = svg.columns([r["time"] for r in runs], {name: [r[name] for r in runs] for name in RUNS}, colors=RUNS)
    stages = [(r["stage"], {"median": r["median_s"] or 0.0, "95th percentile": r["p95_s"] or 0.0})
              for r in answers["stage_latency"]]  # fmt: skip
    boxes = [
        chart("webhooks", events),
        chart("runs_days", by_day),
        chart("stage_latency", svg.bars(stages, unit="s")),
        _gpu(gpu),
        table("heartbeat", answers["heartbeat"], {"service": "service", "minutes_ago": "last sign of life",
                                                  "said": "said"}, forms={"minutes_ago": "min ago"}),
        table("failures", answers["failures"], {"ended_at": "when", "job": "job", "batch": "batch", "error": "error"}),
        table("dead_letters", answers["dead_letters"], {"received_at": "when", "event": "event", "task_id": "task",
                                                        "reason": "reason"}),
        table("failed_pictures", answers["failed_pictures"], {"survey": "survey", "stage": "stage", "reason": "reason",
                                                              "pictures": "pictures"}),
        table("exceptions", answers["exceptions"], {"message": "message", "times": "times", "people": "people",
                                                    "last_time": "last"}),
    ]  # fmt: skip
    return Section("pipeline", "Pipeline", cards, boxes)


def _gpu(rows: Rows) -> Box:
    times = sorted({row["time"] for row in rows})
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    used = {(row["time"], row["stage"]): 60 * row["gpu_hours"] for row in rows}
    picture = svg.columns(times, {stage: [used.get((t, stage), 0.0) for t in times] for stage in stages}, unit="min")
    return chart("gpu", picture, title="GPU use (minutes a day)")


def _short(reference: str) -> str:
    """A model as people name it: without its hash."""
    return reference.partition("#")[0]
