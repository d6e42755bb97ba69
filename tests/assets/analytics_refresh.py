"""Refreshes the analytics of a small installation: empty, filled, and once more.

``python -m tests.assets.analytics_refresh FOLDER`` prints what each time was found.

A process of its own: an embedded ClickHouse serves one folder per process.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa

from analytics.cover import COVER_SCHEMA
from analytics.events import read_lines, table_of
from analytics.quality.changes import CHANGE_SCHEMA
from analytics.questions import questions
from labels.manifest import ManifestRow
from labels.schema import Shape
from orchestration.definitions import build_defs
from resources.clickhouse import ClickHouse
from resources.events import load_events
from resources.inbox import Delivery, Inbox, JobState
from resources.settings import Settings
from resources.tables import BatchTables

BATCH, TASK = "reef.0001", 7
STAGES = ("images/raw", "corners/proposed", "corners/reviewed", "images/rectified", "lattice/proposed",
          "lattice/reviewed", "images/clean", "corals/proposed", "corals/reviewed", "cover/quadrats",
          "quality/report")  # fmt: skip
POINTS = {"rms_px": 1.5, "moved_share": 0.25, "nodes": 4}
FIGURES = {
    "corals": {"precision": 0.9, "recall": 0.8, "changes": {"added": 1}},
    "corners": POINTS,
    "lattice": POINTS,
    "ground_truth": {
        "accuracy": 0.7,
        "agreement": {"all": {"value": 0.6, "low": 0.5, "high": 0.7}},
        "by_annotator": {"ann": {"accuracy": 0.7}},
    },
}


def fill(settings: Settings, tables: BatchTables, inbox: Inbox) -> None:
    """One batch that went all the way; its coral review was collected, another batch waits for people."""
    photos = settings.home / "photos"
    photos.mkdir()
    (settings.surveys_dir / "reef.yaml").write_text(f"name: reef\nphotos: {{path: {photos}}}\n")
    rows = [ManifestRow(f"p{n}", f"sha{n}", "ok", "1", extra={"person": True}, duration_ms=5.0) for n in range(4)]
    for stage in (*STAGES, "corals/review", "corners/review"):
        tables.write_manifest(stage, BATCH, rows)
    shapes = [
        Shape(f"p{n % 4}", f"s{n}", "polygon", "Porites", [0, 0, 9, 0, 9, 9], source=("edited", "model")[n % 2],
              model="m@1#abc", annotator="ann", cvat_task=TASK, cvat_job=1)
        for n in range(8)
    ]  # fmt: skip
    for gate in ("corners", "lattice", "corals"):
        tables.write_labels(f"{gate}/reviewed", BATCH, shapes)
    change = {"image_id": "p0", "what": "unchanged", "label": "Porites", "label_before": "Porites", "iou": 1.0,
              "changed_px": 0.0, "moved_px": 0.0, "model": "m@1#abc", "annotator": "ann"}  # fmt: skip
    tables.write_table("quality/changes", BATCH, pa.Table.from_pylist([change, change], schema=CHANGE_SCHEMA))
    tables.store.put(f"tables/quality/report/{BATCH}.json", json.dumps(FIGURES).encode())
    empty = {field.name: 0.0 for field in COVER_SCHEMA if not field.nullable}
    known = {"batch": BATCH, "survey": "reef", "image_id": "p0", "site": "Temae", "year": 2025, "quadrat": "1",
             "taxon": "Porites", "share": 0.2, "cm2": 50.0, "colonies": 3, "inpainted_share": 0.01}  # fmt: skip
    cover = {**empty, **known}
    tables.write_table("cover/quadrats", BATCH, pa.Table.from_pylist([cover], schema=COVER_SCHEMA))
    now = datetime.now(UTC)
    job = JobState(1, TASK, "annotation", "completed", "annotation", "ann", now)
    inbox.register_review(BATCH, "corals", TASK, "http://cvat/tasks/7", [job])
    inbox.mark_done(BATCH, "corals", inbox.last_id(), "a run")
    waiting = JobState(2, TASK + 1, "annotation", "in progress", "annotation", "ann", now)
    inbox.register_review("reef.0002", "corners", TASK + 1, "http://cvat/tasks/8", [waiting])
    job_body = {"id": 2, "task_id": TASK + 1, "type": "annotation", "state": "in progress", "stage": "annotation",
                "assignee": None, "updated_date": now.isoformat(), "url": "u"}  # fmt: skip
    inbox.insert(Delivery("update:job", {"event": "update:job", "job": job_body, "before_update": {}}))


def events() -> pa.Table:
    """Ten minutes of drawing in the coral task, every 30 s."""
    start = int(datetime.now(UTC).timestamp()) - 3600
    lines = [
        {"scope": "draw:object", "source": "client", "timestamp": str(start + 30 * n), "duration": 1000, "user_id": 5,
         "user_name": "ann", "project_id": 1, "task_id": TASK, "job_id": 1, "payload": "{}"}
        for n in range(21)
    ]  # fmt: skip
    found, rejects = read_lines("\n".join(map(json.dumps, lines)).encode())
    assert not rejects
    return table_of(found)


def main() -> None:
    """Refresh what is empty; fill, refresh, ask every question; refresh again and count."""
    home = Path(sys.argv[1])
    settings = Settings(home=home, surveys_dir=home / "surveys", events_pull=False)
    defs = build_defs(settings)
    resources = defs.resources
    tables, inbox, clickhouse = resources["tables"], resources["inbox"], resources["clickhouse"]
    assert isinstance(tables, BatchTables)
    assert isinstance(inbox, Inbox)
    assert isinstance(clickhouse, ClickHouse)
    settings.surveys_dir.mkdir(parents=True)
    instance = dg.DagsterInstance.ephemeral()
    told: list[dict[str, object]] = []
    for turn in ("empty", "filled", "again"):
        if turn == "filled":
            fill(settings, tables, inbox)
            with clickhouse.session() as session:
                load_events(session, events(), "sink", "segment")
        result = defs.resolve_job_def("refresh_analytics").execute_in_process(instance=instance)
        assert result.success
        with clickhouse.session({"run_id": "asking"}) as session:
            answers = {name: session.query(q.sql, q.values()).to_pylist() for name, q in questions().items()}
            counts = {
                table: session.value(f"SELECT count() FROM {table} FINAL")
                for table in ("images", "objects", "object_changes", "quality", "cover", "reviews", "deliveries")
            }
        checks = {
            f"{e.asset_key.to_user_string()}:{e.check_name}": e.passed for e in result.get_asset_check_evaluations()
        }
        told.append({"answers": answers, "counts": counts, "checks": checks})
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main()
