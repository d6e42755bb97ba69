"""A small installation with a batch that waits in CVAT, to be backed up, wiped, restored and worked on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import dagster as dg

from assets.common.names import TAG_BATCH, TAG_GATE, TAG_INBOX_ID, Gate
from deploy.backup.restore import drop_everything
from deploy.backup.shelf import Part, Shelf, differences
from deploy.local.reviewer import Reviewer
from deploy.local.runtime import Embedded, prepare
from deploy.local.services import services
from deploy.local.supervisor import Supervisor
from inference.scenes import render_quadrat
from orchestration.cli.cvat import apply, declare
from orchestration.definitions import build_defs
from orchestration.instance import dagster_instance
from orchestration.jobs import AFTER
from resources.bundle import make_cvat
from resources.cvat.session import Session
from resources.inbox import Inbox
from resources.object_store import LocalStore, open_store
from resources.offers import cut_new_batches
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

BATCH = "reef.0001"
SURVEY = (
    "name: reef\nphotos: {folder: photos}\ntaxonomy: demo-reef\nframe: {side_cm: 50, rectified_px: 512}\n"
    "gates: {corners: {policy: always}, lattice: {policy: always}, corals: {policy: always}}\n"
)
FILL = """
import sys
from resources.clickhouse import ClickHouse
with ClickHouse(sys.argv[1]).session() as session:
    session.migrate()
    session.client.command(
        "INSERT INTO images (batch, survey, stage, image_id, status, loaded_at) "
        "SELECT 'reef.0001', 'reef', 'images/raw', toString(number), 'ok', now64(3) FROM numbers(1000)")
"""
PARTS = ("dagster", "inbox", "store", "clickhouse", "sandbox", "surveys")


@dataclass(slots=True)
class RestoreWorld:
    """An installation in a folder; ``database``: URL of an empty Postgres database, empty for SQLite."""

    folder: Path
    database: str = ""
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        """Backups lie beside it."""
        self.shelf = Shelf(LocalStore(self.folder / "backups"))

    @property
    def home(self) -> Path:
        """Its home."""
        return self.folder / "home"

    @property
    def surveys(self) -> Path:
        """Its survey files."""
        return self.folder / "surveys"

    def given(self, **other: Any) -> Settings:
        """What its operator has set."""
        return Settings(
            _env_file=None,
            home=self.home,
            surveys_dir=self.surveys,
            dagster_url=self.database,
            inbox_url=self.database,
            backup_passphrase="correct horse",
            **other,
        )

    def prepare(self) -> Embedded:
        """The installation, made or taken up."""
        return prepare(self.home, self.surveys, given=self.given())

    def settings(self) -> Settings:
        """The settings its processes run with, and the backup's passphrase."""
        return self.prepare().settings

    @contextmanager
    def cvat(self) -> Iterator[Embedded]:
        """Its CVAT sandbox runs."""
        made = self.prepare()
        with Supervisor(made.home) as supervisor:
            [sandbox] = [s for s in services(made, web=False) if s.name == "sandbox"]
            supervisor.start(sandbox)
            supervisor.wait_ready("sandbox")
            yield made

    def begin(self) -> None:
        """Photos, a survey, and a batch that waits for people at its first gate."""
        (self.surveys / "photos").mkdir(parents=True)
        (self.surveys / "reef.yaml").write_text(SURVEY, encoding="utf-8")
        scene = render_quadrat(42, difficulty=0.2, size=(1000, 900))
        picture = cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(self.surveys / "photos" / "Temae_2021_01.jpg"), picture)
        with self.cvat() as made:
            settings = made.settings
            catalog = SurveyCatalog(settings.surveys_dir)
            apply(make_cvat(settings), declare(settings, catalog.all()[0]))
            survey = catalog.get("reef")
            cut_new_batches(open_store(settings.store), survey, catalog.photos(survey).list())
            self.run(made, "start_batch", {})
            subprocess.run([sys.executable, "-c", FILL, settings.clickhouse], check=True)

    def run(self, made: Embedded, job: str, tags: dict[str, str]) -> None:
        """Run a job of the batch in this process, with the installation's own Dagster storage."""
        with dagster_instance(made.home / "dagster", made.settings.dagster) as instance:
            instance.add_dynamic_partitions("batch", [BATCH])
            defs: Any = build_defs(made.settings)
            done = defs.resolve_job_def(job).execute_in_process(
                partition_key=BATCH, instance=instance, tags=tags, raise_on_error=True
            )
            if not done.success:
                raise RuntimeError(f"{job} failed")

    def wipe(self) -> None:
        """Nothing is left of it but its backups and the photos of the field."""
        shutil.rmtree(self.home)
        (self.surveys / "reef.yaml").unlink()
        if self.database:
            drop_everything(self.database)

    def go_on(self) -> dict[str, int]:
        """A person reviews, and the next stage runs; how many CVAT tasks and rectified pictures there are."""
        with self.cvat() as made:
            settings = made.settings
            cvat, inbox = make_cvat(settings), Inbox(settings.inbox)
            password = settings.cvat_password.get_secret_value()
            Reviewer(Session(settings.cvat_url, None, settings.cvat_username, password)).work_once()
            [review] = inbox.reviews("open")
            inbox.apply_job_states(cvat.jobs(review.task_id or 0))
            inbox.interpret_new()
            [due] = inbox.due()
            tags = {TAG_BATCH: BATCH, TAG_GATE: due.gate, TAG_INBOX_ID: str(due.last_id)}
            self.run(made, AFTER[Gate(due.gate)].name, tags)
            names = cvat.task_names()
            rows = BatchTables(open_store(settings.store)).manifest("images/rectified", BATCH)
            return {"tasks": len(names), "different": len(set(names)), "rectified": sum(row.usable for row in rows)}

    def runs(self) -> int:
        """Number of runs that Dagster knows."""
        made = self.prepare()
        with dagster_instance(made.home / "dagster", made.settings.dagster) as instance:
            return len(instance.get_runs(dg.RunsFilter()))


def unlike(first: dict[str, Part], second: dict[str, Part]) -> list[str]:
    """What differs between two backups: files by their bytes, SQLite by its rows, ClickHouse by rows and their sum."""
    found = []
    for name in PARTS:
        changed = differences(first[name], second[name])
        found += [f"{name}/{path}" for path in changed if not path.endswith((".db", ".native"))]
        a, b = (parts[name].facts.get("content", {}) for parts in (first, second))
        found += [f"{name}/{path}" for path in sorted(a.keys() | b.keys()) if a.get(path) != b.get(path)]
    tables = [json.dumps(parts["clickhouse"].facts.get("tables"), sort_keys=True) for parts in (first, second)]
    return found + (["clickhouse tables"] if tables[0] != tables[1] else [])
