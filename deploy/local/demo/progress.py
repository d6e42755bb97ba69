"""What the demo shows while it runs: every stage of every batch, and every gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestration.cli.status import MEASURED, STAGES
from resources.inbox import Inbox
from resources.offers import Offer, offers_of
from resources.tables import BatchTables


@dataclass(frozen=True, slots=True)
class StageProgress:
    """Pictures that a stage has done, and how many there are to do."""

    stage: str
    done: int
    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class GateProgress:
    """CVAT jobs of a gate that people have completed."""

    gate: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a survey's batches now."""

    batches: int
    finished: int
    stages: list[StageProgress]
    gates: list[GateProgress]

    @property
    def complete(self) -> bool:
        """Whether every batch has reached the last stage."""
        return self.batches > 0 and self.finished == self.batches


class Watcher:
    """Reads progress from the store and the inbox; what a manifest says is read once."""

    def __init__(self, tables: BatchTables, inbox: Inbox, survey: str) -> None:
        """Watch one survey."""
        self.tables = tables
        self.inbox = inbox
        self.survey = survey
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}

    def look(self) -> Progress:
        """The state now."""
        offers = offers_of(self.tables.store, self.survey)
        stages = [self._stage(stage, offers) for stage in STAGES]
        gates: dict[str, tuple[int, int]] = {}
        for review in self.inbox.reviews():
            done, total = gates.get(review.gate, (0, 0))
            gates[review.gate] = (done + review.jobs_done, total + review.jobs_total)
        finished = sum(all((stage, offer.batch) in self._seen for stage in MEASURED) for offer in offers)
        return Progress(len(offers), finished, stages, [GateProgress(g, *n) for g, n in gates.items()])

    def _stage(self, stage: str, offers: Sequence[Offer]) -> StageProgress:
        done = failed = 0
        for offer in offers:
            if (stage, offer.batch) not in self._seen and self.tables.has(stage, offer.batch):
                rows = self.tables.manifest(stage, offer.batch)
                self._seen[stage, offer.batch] = (len(rows), sum(not row.usable for row in rows))
            made, bad = self._seen.get((stage, offer.batch), (0, 0))
            done, failed = done + made, failed + bad
        return StageProgress(stage, done, sum(len(offer.files) for offer in offers), failed)


def draw(progress: Progress, seconds: float, note: str) -> RenderableType:
    """Progress as a picture for the terminal."""
    table = Table(box=None, padding=(0, 2), title_justify="left", show_edge=False)
    for column in ("stage", "", "pictures", "gate (CVAT jobs)"):
        table.add_column(column)
    gates = {gate.gate: gate for gate in progress.gates}
    for stage in progress.stages:
        gate = gates.get(stage.stage.partition("/")[0]) if stage.stage.endswith("/review") else None
        jobs = f"{gate.done} of {gate.total} completed" if gate and gate.total else ""
        bar = ProgressBar(total=max(1, stage.total), completed=stage.done, width=24)
        count = f"{stage.done}/{stage.total}" + (f"  ({stage.failed} failed)" if stage.failed else "")
        table.add_row(stage.stage, bar, count, jobs)
    head = Text(f"{seconds:5.0f} s   {progress.finished} of {progress.batches} batches through   {note}", style="bold")
    return Group(head, table)


class LineReporter:
    """Progress as lines, for a log or a pipe: one line when something changed."""

    def __init__(self, console: Console) -> None:
        """Print to ``console``."""
        self.console = console
        self._last: dict[str, str] = {}

    def show(self, progress: Progress, seconds: float) -> None:
        """Print what changed since the last call."""
        now = {s.stage: f"{s.done}/{s.total} pictures" for s in progress.stages if s.done}
        now |= {f"{g.gate} gate": f"{g.done}/{g.total} jobs completed" for g in progress.gates if g.total}
        for name, text in now.items():
            if self._last.get(name) != text:
                self.console.print(f"{seconds:6.1f} s  {name:<18} {text}", highlight=False)
        self._last = now
