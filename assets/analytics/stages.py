"""Tables of what the stages make: batches, pictures, shapes, quality, cover, reviews."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import dagster as dg

from assets.analytics.common import (
    DECORATION,
    GROUP,
    all_of,
    due_batches,
    insert_rows,
    load_batches,
    open_table,
    result,
)
from assets.common.names import Gate
from assets.cover import STAGE as COVER
from assets.quality import CHANGES, report_key
from assets.quality import STAGE as QUALITY
from labels.survey import parse_batch_key
from resources.clickhouse import ClickHouse
from resources.events.people import without_forgotten
from resources.inbox import Inbox, ReviewStatus
from resources.offers import offers_of
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGES = (
    "images/raw",
    "corners/proposed",
    "corners/reviewed",
    "images/rectified",
    "lattice/proposed",
    "lattice/reviewed",
    "images/clean",
    "corals/proposed",
    "corals/reviewed",
)
REVIEWED = {gate: f"{gate}/reviewed" for gate in Gate}


@dg.asset(key=[GROUP, "batches"], **DECORATION)
def analytics_batches(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Every batch that was cut, with its photos; known before its first stage is made."""
    now = datetime.now(UTC)
    rows = [
        {
            "batch": offer.batch,
            "survey": survey.name,
            "photos": len(offer.files),
            "keep_days": survey.cvat.keep_events_days or 0,
            "loaded_at": now,
        }
        for survey in surveys.all()[0]
        for offer in offers_of(tables.store, survey.name)
    ]
    with open_table(context, clickhouse, "batches") as session:
        return result(session, "batches", insert_rows(session, "batches", rows))


@dg.asset(key=[GROUP, "images"], deps=all_of(*STAGES), **DECORATION)
def analytics_images(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Every picture in every stage: outcome, reason, model, milliseconds."""
    loaded = 0
    with open_table(context, clickhouse, "images") as session:
        for stage in STAGES:
            due = due_batches(context, session, "images", tables.batches(stage), f"stage = '{stage}'")
            loaded += load_batches(context, session, "images", due, partial(_pictures, tables, stage))
        return result(session, "images", loaded)


def _pictures(tables: BatchTables, stage: str, batch: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {
            "batch": batch,
            "survey": parse_batch_key(batch)[0],
            "stage": stage,
            "image_id": row.image_id,
            "status": row.status,
            "reason": row.reason or "",
            "model": row.model or "",
            "duration_ms": row.duration_ms or 0.0,
            "person": int(row.extra.get("by") == "person"),
            "loaded_at": now,
        }
        for row in tables.manifest(stage, batch)
    ]


@dg.asset(key=[GROUP, "cover"], deps=all_of(COVER), **DECORATION)
def analytics_cover(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Cover per picture and taxon, for dashboards."""
    with open_table(context, clickhouse, "cover") as session:
        due = due_batches(context, session, "cover", tables.batches(COVER))
        loaded = load_batches(context, session, "cover", due, partial(_cover, tables))
        return result(session, "cover", loaded)


def _cover(tables: BatchTables, batch: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    names = ("batch", "survey", "image_id", "taxon", "share", "cm2", "colonies", "inpainted_share")
    return [
        {
            **{name: row[name] for name in names},
            "site": row["site"] or "",
            "year": row["year"] or 0,
            "quadrat": row["quadrat"] or "",
            "loaded_at": now,
        }
        for row in tables.table(COVER, batch).to_pylist()
    ]


@dg.asset(key=[GROUP, "objects"], deps=all_of(*REVIEWED.values(), QUALITY), **DECORATION)
def analytics_objects(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Reviewed shapes by picture, taxon and maker; and what people did to each proposed outline."""
    with open_table(context, clickhouse, "objects") as session:
        there = sorted(set().union(*(tables.batches(stage) for stage in REVIEWED.values())))
        due = due_batches(context, session, "objects", there)
        loaded = load_batches(
            context,
            session,
            "objects",
            due,
            lambda batch: without_forgotten(session, _objects(tables, batch), "annotator", "reviewer"),
        )
        measured = due_batches(context, session, "object_changes", tables.batches(QUALITY))
        changes = load_batches(
            context,
            session,
            "object_changes",
            measured,
            lambda batch: without_forgotten(session, _changes(tables, batch), "annotator"),
        )
        return result(session, "objects", loaded, {"changes": changes})


def _objects(tables: BatchTables, batch: str) -> list[dict[str, Any]]:
    now, survey = datetime.now(UTC), parse_batch_key(batch)[0]
    rows = []
    for gate, stage in REVIEWED.items():
        if not tables.has(stage, batch):
            continue
        counted: Counter[tuple[Any, ...]] = Counter()
        newest: dict[tuple[Any, ...], datetime] = {}
        for s in tables.labels(stage, batch):
            key = (s.image_id, s.label, str(s.source), s.model or "", s.annotator or "", s.reviewer or "",
                   s.cvat_task or 0, s.cvat_job or 0)  # fmt: skip
            counted[key] += 1
            if s.updated_at:
                newest[key] = max(s.updated_at, newest.get(key, s.updated_at))
        names = ("image_id", "label", "source", "model", "annotator", "reviewer", "task_id", "job_id")
        fixed = {"batch": batch, "survey": survey, "gate": gate.value, "loaded_at": now}
        rows += [
            {**dict(zip(names, key, strict=True)), **fixed, "shapes": n, "updated_at": newest.get(key)}
            for key, n in counted.items()
        ]
    return rows


def _changes(tables: BatchTables, batch: str) -> list[dict[str, Any]]:
    now, survey = datetime.now(UTC), parse_batch_key(batch)[0]
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    names = ("image_id", "what", "label", "label_before", "model", "annotator")
    for row in tables.table(CHANGES, batch).to_pylist():
        key = tuple(row[name] or "" for name in names)
        empty = {"shapes": 0, "changed_px": 0.0, "iou_sum": 0.0, "ious": 0}
        made = found.setdefault(key, {**dict(zip(names, key, strict=True)), **empty})
        made["shapes"] += 1
        made["changed_px"] += row["changed_px"]
        made["iou_sum"] += row["iou"] or 0.0
        made["ious"] += row["iou"] is not None
    return [{**row, "batch": batch, "survey": survey, "loaded_at": now} for row in found.values()]


@dg.asset(key=[GROUP, "quality"], deps=all_of(QUALITY), **DECORATION)
def analytics_quality(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Figures of the quality reports, one row each, so that they can be followed over time."""
    with open_table(context, clickhouse, "quality") as session:
        due = due_batches(context, session, "quality", tables.batches(QUALITY))
        first = session.query("SELECT batch, min(measured_at) AS at FROM quality GROUP BY batch").to_pylist()
        known = {row["batch"]: row["at"] for row in first}
        loaded = load_batches(
            context,
            session,
            "quality",
            due,
            lambda batch: without_forgotten(session, _figures(tables, batch, known.get(batch)), "who"),
        )
        return result(session, "quality", loaded)


def _figures(tables: BatchTables, batch: str, measured_at: datetime | None) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    figures = json.loads(tables.store.get(report_key(batch)))
    fixed = {"batch": batch, "survey": parse_batch_key(batch)[0], "loaded_at": now, "measured_at": measured_at or now}
    return [{**fixed, **row} for row in _measures(figures)]


def _measures(figures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Numbers of a report. Those of points are in pixels."""
    for gate in ("corners", "lattice", "corals"):
        yield from _numbers(gate, figures[gate], "review", "")
    truth = figures.get("ground_truth")
    if truth:
        yield from _numbers("corals", truth, "truth", "")
        for who, of_person in truth["by_annotator"].items():
            yield from _numbers("corals", of_person, "truth", who)
        kappa = truth["agreement"].get("all", {})
        if kappa.get("value") is not None:
            yield _measure("corals", "kappa", "truth", "", kappa["value"], kappa["low"], kappa["high"])


def _numbers(gate: str, figures: Mapping[str, Any], against: str, who: str) -> Iterator[dict[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield _measure(gate, name, against, who, float(value))


def _measure(
    gate: str, measure: str, against: str, who: str, value: float, low: float | None = None, high: float | None = None
) -> dict[str, Any]:
    named = {"gate": gate, "measure": measure, "against": against, "who": who}
    return {**named, "value": value, "low": low, "high": high}


@dg.asset(key=[GROUP, "reviews"], **DECORATION)
def analytics_reviews(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    inbox: dg.ResourceParam[Inbox],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """Every review: whom it waits for, since when, how far it is. Its metadata lists those that wait now."""
    now = datetime.now(UTC)
    known = inbox.reviews()
    with open_table(context, clickhouse, "reviews") as session:
        asked = session.query("SELECT batch, gate, pictures FROM reviews FINAL").to_pylist()
        pictures = {(row["batch"], row["gate"]): row["pictures"] for row in asked}
        rows = [
            {
                "batch": review.batch,
                "survey": parse_batch_key(review.batch)[0],
                "gate": review.gate,
                "task_id": review.task_id or 0,
                "state": review.state,
                "jobs_done": review.jobs_done,
                "jobs_total": review.jobs_total,
                "since": review.since,
                "asked_at": review.asked_at,
                "collected_at": review.collected_at,
                "pictures": pictures.get((review.batch, review.gate)) or _asked(tables, review),
                "waiting_for": list(review.waiting_for),
                "stages": list(review.stages),
                "url": review.url or "",
                "loaded_at": now,
            }
            for review in known
        ]
        without_forgotten(session, rows, "waiting_for")
        loaded = insert_rows(session, "reviews", rows)
        return result(session, "reviews", loaded, {"waiting": dg.MetadataValue.md(_waiting(known))})


def _asked(tables: BatchTables, review: ReviewStatus) -> int:
    """Pictures that people were asked about; 0 while the stage is being made."""
    return sum(bool(row.extra.get("person")) for row in tables.previous(f"{review.gate}/review", review.batch))


def _waiting(reviews: Sequence[ReviewStatus]) -> str:
    """The open reviews as a table, the longest wait first."""
    lines = ["| batch | gate | jobs done | stage | waits for | since (UTC) |", "|---|---|---|---|---|---|"]
    for review in sorted(reviews, key=lambda r: r.since):
        if review.state == "open":
            gate = f"[{review.gate}]({review.url})" if review.url else review.gate
            who, stage = ", ".join(review.waiting_for) or "anyone", ", ".join(review.stages)
            done = f"{review.jobs_done} of {review.jobs_total}"
            lines.append(f"| {review.batch} | {gate} | {done} | {stage} | {who} | {review.since:%Y-%m-%d %H:%M} |")
    return "\n".join(lines) if len(lines) > 2 else "nothing waits for people"
