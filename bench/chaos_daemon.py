"""The storm of ``bench.chaos`` over Dagster's own daemon, sensor, queue and runs, with fewer and larger reviews.

A run of its own process takes seconds, so twenty reviews of fifty jobs stand for two hundred of five. The daemon is
killed again and again; the code server and the runs it has started go on, as they do in an installation.
"""

import os
import subprocess
import time
from pathlib import Path

import dagster as dg
import yaml

from assets.common.names import TAG_BATCH, TAG_GATE, TAG_INBOX_ID, Gate
from assets.common.partitions import BATCHES
from bench.chaos_consumer import Consumer
from bench.chaos_plan import Storm, batch_of
from bench.receiver_process import ROOT
from deploy.local.loopback import HOST, free_port
from deploy.local.services import script
from resources.inbox import Inbox
from sensors.reviews import reviews_sensor

STORM = Storm(reviews=20, jobs=50, reopened=4, late=2)
RUN_KEY = "dagster/run_key"
INBOX_VARIABLE = "REEFLINE_INBOX_URL"


@dg.op(description="Answers the inbox as the last act of a collecting run does.")
def answer(context: dg.OpExecutionContext, inbox: dg.ResourceParam[Inbox]) -> None:
    """Collect nothing, and mark the review's rows."""
    tags = context.run.tags
    inbox.mark_done(tags[TAG_BATCH], tags[TAG_GATE], int(tags[TAG_INBOX_ID]), context.run_id)


@dg.job(partitions_def=BATCHES, executor_def=dg.in_process_executor)
def after_corals() -> None:
    """Stands for the job that follows the coral gate."""
    answer()


defs = dg.Definitions(
    jobs=[after_corals],
    sensors=[reviews_sensor({Gate.CORALS: after_corals}, 1)],
    resources={"inbox": Inbox(os.environ.get(INBOX_VARIABLE, "sqlite://"))},
)


class Runs:
    """Dagster's runs, in the words of ``bench.chaos_consumer.Journal``."""

    def __init__(self, instance: dg.DagsterInstance, path: Path) -> None:
        """Read ``instance``; logs go beside ``path``."""
        self.instance, self.path = instance, path

    def read(self) -> list[tuple[str, str]]:
        """A line per run that has answered.

        A run that was being launched when the daemon was killed never begins: Dagster's monitoring ends it after a
        while and makes another, which is no second answer.
        """
        answered = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
        return [("created", run.tags[RUN_KEY]) for run in answered if RUN_KEY in run.tags]

    def unfinished(self) -> list[str]:
        """Keys of the runs that have not ended."""
        return [run.tags[RUN_KEY] for run in self.instance.get_runs() if not run.is_finished]


class Daemon(Consumer):
    """Dagster's daemon, beside a code server of its own."""

    patience_s = 540.0

    def __init__(self, inbox_url: str, folder: Path, storm: Storm) -> None:
        """Make the instance; nothing is started."""
        self.home = folder / "dagster"
        self.home.mkdir()
        settings = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
        # As installed, but for the patience with a run that does not begin: the storm should end.
        settings["run_monitoring"] |= {"start_timeout_seconds": 60, "poll_interval_seconds": 10}
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.instance = dg.DagsterInstance.from_config(str(self.home))
        self.instance.add_dynamic_partitions("batch", [batch_of(task) for task in range(1, storm.reviews + 1)])
        super().__init__(inbox_url, Runs(self.instance, folder / "daemon"), storm.seed)  # type: ignore[arg-type]
        self.port = free_port()
        location = {"grpc_server": {"host": HOST, "port": self.port, "location_name": "chaos"}}
        (self.home / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [location]}), encoding="utf-8")
        self.code: subprocess.Popen[bytes] | None = None

    def _spawn(self, *words: str) -> subprocess.Popen[bytes]:
        env = {**os.environ, "DAGSTER_HOME": str(self.home), INBOX_VARIABLE: self.inbox_url, "PYTHONPATH": str(ROOT)}
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(words, cwd=ROOT, env=env, stdout=log, stderr=log)

    def start(self) -> None:
        """Start the daemon, and the code server the first time."""
        if self.code is None:
            self.code = self._spawn(script("dagster"), "api", "grpc", "-m", __name__, "-h", HOST, "-p", str(self.port))
        self.process = self._spawn(script("dagster-daemon"), "run", "-w", str(self.home / "workspace.yaml"))

    def kill_and_restart(self, times: int) -> None:
        """Kill the daemon that often, from its start-up on to some seconds of work."""
        while self.kills < times and not self._stop.is_set():
            self._stop.wait(self.random.uniform(4.0, 14.0))
            self.kill()
            self.kills += 1
            self.kills_in_runs += bool(self.journal.unfinished())
            self.start()

    def stop(self) -> None:
        """End everything."""
        super().stop()
        deadline = time.monotonic() + 30
        while self.journal.unfinished() and time.monotonic() < deadline:
            time.sleep(0.5)
        if self.code is not None:
            self.code.kill()
            self.code.wait()
