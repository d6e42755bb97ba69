"""Driving the demo: start the installation, let sensors, CVAT sandbox and reviewer do the work, wait, sum up."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.live import Live
from sqlalchemy.exc import SQLAlchemyError

from deploy.local.demo.photos import SampleSize, SampleSurvey, own_pictures, sample
from deploy.local.demo.progress import LineReporter, Progress, Watcher, draw
from deploy.local.demo.summary import finished_summary, print_summary, write_summary
from deploy.local.runtime import Embedded, prepare
from deploy.local.services import services
from deploy.local.supervisor import RuntimeProblem, Service, Supervisor
from orchestration.cli.context import UsageProblem
from orchestration.cli.cvat import apply, declare
from orchestration.cli.ingest import check_photos
from orchestration.cli.status import finished_batches
from orchestration.instance import dagster_instance
from resources.bundle import build_resources, make_cvat
from resources.inbox import Inbox
from resources.releases import ask_for_release, release_key
from resources.surveys import FolderPhotos, SurveyCatalog
from resources.tables import BatchTables

logger = logging.getLogger("reefline.demo")

RELEASE = "demo-1.0.0"
FAST = {
    # A demo is watched: look often, heal soon. An installation keeps the defaults. Each of these runs takes a
    # processor from the demo itself for some seconds, so not every minute.
    "REEFLINE_SENSOR_INTERVAL_S": "1",
    "REEFLINE_RECONCILE_CRON": "*/2 * * * *",
    "REEFLINE_ANALYTICS_CRON": "*/3 * * * *",
    "REEFLINE_HEALTH_CRON": "0 0 1 1 *",  # nobody reads it there
}
AT_WORK = frozenset(dg.DagsterRunStatus) - {
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
}
PATIENCE_S = 300.0
"""The demo gives up when nothing has moved for so long."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the user asked for.

    Attributes:
        settings: that differ from the demo's own, by the names of their variables; a database, say.
        web: with the Dagster UI.
    """

    folder: Path
    images: Path | None = None
    fresh: bool = False
    lattice: str | None = None
    frame_cm: float = 100.0
    size: SampleSize = field(default_factory=SampleSize)
    settings: Mapping[str, str] = field(default_factory=dict)
    web: bool = False


def run_demo(options: DemoOptions, console: Console) -> Path:
    """Run the demo to the end, or take it up where it was left; the path of its summary.

    Raises:
        UsageProblem: the given folder holds no pictures.
        RuntimeProblem: a service cannot run, or nothing moved for :data:`PATIENCE_S`.
    """
    if options.images is not None:
        check_photos(FolderPhotos(options.images.resolve()), str(options.images))
    if options.fresh:
        _remove(options.folder)
    started = time.monotonic()
    survey = _survey(options, console)
    done = finished_summary(options.folder, survey)
    if done is not None:
        console.print("Everything is done already; nothing was redone (--fresh starts over).")
        print_summary(done, console)
        return options.folder / "summary.json"
    installation = prepare(options.folder / "home", survey.surveys_dir, {**FAST, **options.settings})
    with Supervisor(installation.home) as supervisor:
        _start(supervisor, installation, survey, console, web=options.web)
        _drive(supervisor, installation, survey, console, started)
        summary = write_summary(options.folder, installation, survey, RELEASE, time.monotonic() - started)
    print_summary(summary, console)
    return options.folder / "summary.json"


def _remove(folder: Path) -> None:
    if folder.exists() and not (folder / "surveys").is_dir():
        raise UsageProblem(f"{folder} was not made by reefline demo: give another --folder, or remove it yourself")
    if (folder / "home").exists():
        with Supervisor(folder / "home"):
            logger.debug("nothing runs on %s any more", folder)
    shutil.rmtree(folder, ignore_errors=True)


def _survey(options: DemoOptions, console: Console) -> SampleSurvey:
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.images is not None:
        return own_pictures(options.folder, options.images, options.lattice, options.frame_cm)
    with console.status("painting the sample survey") as status:
        return sample(options.folder, options.size, tell=status.update)


def _start(
    supervisor: Supervisor, installation: Embedded, survey: SampleSurvey, console: Console, *, web: bool
) -> None:
    with console.status("starting CVAT sandbox, webhook receiver and Dagster") as status:
        wanted = services(installation, web=web)
        for service in wanted:
            supervisor.start(service)
        for name in ("sandbox", "receiver"):
            supervisor.wait_ready(name)
        status.update("declaring projects, labels and webhooks in CVAT")
        settings = installation.settings
        apply(make_cvat(settings), declare(settings, SurveyCatalog(settings.surveys_dir).all()[0]))
        supervisor.start(_reviewer(installation, survey))
        status.update("starting Dagster")
        supervisor.wait_ready("code")


def _reviewer(installation: Embedded, survey: SampleSurvey) -> Service:
    truth = str(survey.truth) if survey.truth else "none"
    env = installation.env
    return Service(
        "reviewer",
        [sys.executable, "-m", "deploy.local.reviewer", "--url", env["REEFLINE_CVAT_URL"],
         "--user", env["REEFLINE_CVAT_USERNAME"], "--truth", truth],
        {**env, "REEFLINE_REVIEWER_PASSWORD": env["REEFLINE_CVAT_PASSWORD"]},
    )  # fmt: skip


def _drive(
    supervisor: Supervisor, installation: Embedded, survey: SampleSurvey, console: Console, started: float
) -> None:
    settings = installation.settings
    resources = build_resources(settings)
    tables, inbox = resources["tables"], resources["inbox"]
    assert isinstance(tables, BatchTables) and isinstance(inbox, Inbox)  # noqa: S101 - narrows for the type checker
    watcher = Watcher(tables, inbox, survey.name)
    asked = False
    moved, last = time.monotonic(), None
    with _display(console) as show:
        while True:
            if time.monotonic() - moved > PATIENCE_S:
                logs = supervisor.logs
                raise RuntimeProblem(f"nothing moved for {PATIENCE_S:.0f} s: look into {logs}, then run it again")
            restarted = supervisor.check()
            progress = _looked(watcher) or last
            if progress is None:
                time.sleep(0.5)
                continue
            note = f"restarted {', '.join(restarted)}" if restarted else _note(progress, asked)
            show(progress, time.monotonic() - started, note)
            if progress != last:
                moved, last = time.monotonic(), progress
            if progress.complete and not asked:
                ask_for_release(tables.store, RELEASE, finished_batches(tables), "made by reefline demo")
                asked = True
            # The release is there before its run ends, which draws its plot and makes it again to compare.
            written = asked and tables.store.exists(release_key(RELEASE, "release.json"))
            if written and _release_run_ended(installation):
                show(progress, time.monotonic() - started, "released")
                return
            time.sleep(0.5)


def _release_run_ended(installation: Embedded) -> bool:
    """Whether no run makes the release any more, however it ended."""
    at_work = dg.RunsFilter(job_name="make_release", tags={"dagster/partition": RELEASE}, statuses=list(AT_WORK))
    try:
        with dagster_instance(installation.home / "dagster", installation.settings.dagster) as instance:
            return not instance.get_run_records(at_work, limit=1)
    except SQLAlchemyError as error:
        logger.warning("Dagster's database does not answer: %s", str(error).splitlines()[0])
        return False


def _looked(watcher: Watcher) -> Progress | None:
    """How far everything is; ``None`` while the database is away, which is no reason to give up."""
    try:
        return watcher.look()
    except SQLAlchemyError as error:
        logger.warning("the inbox does not answer: %s", str(error).splitlines()[0])
        return None


def _note(progress: Progress, asked: bool) -> str:
    if asked:
        return "making the release"
    return "waiting for the first batch" if not progress.batches else ""


@contextmanager
def _display(console: Console) -> Iterator:
    if not console.is_terminal:
        reporter = LineReporter(console)
        yield lambda progress, seconds, note: reporter.show(progress, seconds)
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield lambda progress, seconds, note: live.update(draw(progress, seconds, note))
