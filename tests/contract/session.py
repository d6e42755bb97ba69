"""The recorded session, played once against a fresh sandbox, with the webhooks that it caused."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contract.compare import differences
from tests.contract.replay import Exchange, Replay
from tests.contract.server import PASSWORD, Receiver, SandboxProcess

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ANNOTATOR_STEPS = dict.fromkeys(("19", "20", "21", "24"), ("PUT", "PATCH")) | {
    "33": ("POST",),
    "34": ("POST",),
    "65": METHODS,
}
"""Steps, and the methods in them, that the recorded annotator used."""
SKIPPED = {
    "01", "02", "03", "05",  # logins with redacted secrets, access tokens
    # Other exports, backup, import: the platform reads annotations as JSON.
    "36", "38", "39", "40", "41", "42", "43", "44", "58",
    "55", "57",  # deliveries: they tell of the steps left out, and have tests of their own
}  # fmt: skip
"""Steps that are not played: mostly what the platform does not use of CVAT."""
TYPES_ONLY = {"66", "67"}
"""Lists that hold what the skipped steps left: keys and types are compared, values are not."""


@dataclass
class Step:
    """A step as recorded and as played."""

    name: str
    exchanges: list[Exchange]
    recorded_hooks: list[dict]
    live_hooks: list[dict]

    @property
    def number(self) -> str:
        """Its two digits."""
        return self.name[:2]


@dataclass
class Played:
    """The whole session."""

    replay: Replay
    steps: dict[str, Step] = field(default_factory=dict)

    def hook_differences(self, step: Step) -> list[str]:
        """Where the bodies of a step's webhooks differ from the recorded ones."""
        found: set[str] = set()
        for old, new in zip(step.recorded_hooks, step.live_hooks, strict=False):
            wanted = self.replay.local(old["body"])
            found |= {f"{old['body']['event']} {d}" for d in differences(wanted, new["body"])}
        return sorted(found)


def summary(deliveries: list[dict]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Of each delivery: whose, which event, which fields changed."""
    return [
        (d["path"].split("/")[1], d["body"]["event"], tuple(d["body"].get("before_update", {}))) for d in deliveries
    ]


def play_session(folder: Path, sandbox: SandboxProcess, receiver: Receiver) -> Played:
    """Play all steps that the platform uses, in order."""
    replay = Replay(folder, sandbox.url, receiver.url, {"admin": sandbox.login()})
    played = Played(replay)
    for path in sorted((folder / "rest").glob("*.jsonl")):
        number = path.stem[:2]
        if number in SKIPPED:
            continue
        before = len(receiver.taken)
        actors = dict.fromkeys(ANNOTATOR_STEPS.get(number, ()), "annotator")
        exchanges = replay.play(path.stem, actors, number not in TYPES_ONLY)
        if number == "04":
            annotator = replay.clients["annotator"] = sandbox.login(exchanges[0].live["username"], PASSWORD)
            replay.ids["users", 3] = annotator.get("/api/users/self").json()["id"]
        recorded = _recorded_hooks(folder, path.stem)
        _settle(receiver, before + len(recorded))
        replay.learn([d["body"] for d in recorded], [d["body"] for d in receiver.taken[before:]])
        played.steps[number] = Step(path.stem, exchanges, recorded, receiver.taken[before:])
    return played


def _recorded_hooks(folder: Path, step: str) -> list[Any]:
    path = folder / "webhooks" / f"{step}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _settle(receiver: Receiver, expected: int) -> None:
    """Wait for the deliveries that CVAT would have sent, then a moment for those that it would not have sent."""
    deadline = time.monotonic() + 3
    while len(receiver.taken) < expected and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.25)
