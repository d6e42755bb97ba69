"""Playing a recorded session with a real CVAT again, against another server.

The recording holds requests and responses, one file a step. Its ids are translated to those of the server at hand,
learned from the answers as they come.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx
from PIL import Image

from tests.contract.compare import KIND_OF_FIELD, differences, kind_of, named, translated
from tests.contract.server import PASSWORD

PICTURES = {"5": ["img_000.png", "img_001.png", "img_002.png"], "6": ["img_000.png"]}
"""Names of the pictures of the recorded tasks; their bytes were not kept."""


@dataclass
class Exchange:
    """One request with two answers: the recorded one and the one of the server at hand."""

    step: str
    method: str
    path: str
    status: int
    recorded: Any
    recorded_type: str | None
    live_path: str = ""
    live_status: int = 0
    live_type: str | None = None
    live: Any = None
    found: list[str] = field(default_factory=list)
    """Differences between the answers."""

    @property
    def name(self) -> str:
        """What a failing test calls it."""
        return f"{self.step}: {self.method} {self.path}"


@dataclass
class Replay:
    """Plays steps. ``clients``: by user name; ``receiver``: what takes the place of the recorded receiver."""

    folder: Path
    base: str
    receiver: str
    clients: dict[str, httpx.Client] = field(default_factory=dict)
    ids: dict[tuple[str, int], int] = field(default_factory=lambda: {("users", 1): 1})
    invitation: str = ""
    """Key of the last one."""
    requests: dict[str, str] = field(default_factory=dict)
    """Ids of background requests."""

    def play(self, step: str, actors: Mapping[str, str], values: bool) -> list[Exchange]:
        """All exchanges of a step.

        Args:
            step: name of a recorded file.
            actors: method -> name of the user who sends it; the administrator where it is not given.
            values: whether values are compared, or only keys and types.
        """
        lines = (self.folder / "rest" / f"{step}.jsonl").read_text(encoding="utf-8").splitlines()
        # How many times an unfinished request was asked for is chance.
        records = [r for r in map(json.loads, lines) if not _still_running(r)]
        return [self._one(step, r, actors, values) for r in records]

    def _one(self, step: str, record: dict, actors: Mapping[str, str], values: bool) -> Exchange:
        request, response = record["request"], record["response"]
        recorded = (response.get("body") or {}).get("json")
        made = Exchange(step, request["method"], request["path"], response["status"], recorded, _type(response))
        made.live_path = self.path(made.path)
        headers = {name: value for name, value in request["headers"].items() if name.startswith(("Upload-", "X-Organ"))}
        options: dict[str, Any] = {"headers": headers}
        if "Upload-Multiple" in headers:
            options["files"] = _pictures(made.path)
        elif request.get("body"):
            options["json"] = self.body(request["body"]["json"])
        client = self.clients[actors.get(made.method, "admin")]
        answer = client.request(made.method, made.live_path, **options)
        made.live_status, made.live_type = answer.status_code, _type({"headers": dict(answer.headers)})
        made.live = answer.json() if "json" in (made.live_type or "") else None
        self.learn(recorded, made.live)
        if "invitations" in made.path and answer.status_code == 201:
            self.invitation = made.live["key"]
        made.found = self._found(made, values)
        return made

    def learn(self, recorded: Any, live: Any) -> None:
        """Learn which ids stand for which."""
        for old, new in pairs(recorded, live):
            if "rq_id" in old and "rq_id" in new:
                self.requests[old["rq_id"]] = new["rq_id"]
            if old.get("result_id") and new.get("result_id"):
                self.ids["reports", old["result_id"]] = new["result_id"]
            kind = kind_of(old)
            if kind and "id" in new:
                self.ids.setdefault((kind, old["id"]), new["id"])

    def _found(self, made: Exchange, values: bool) -> list[str]:
        if made.status != made.live_status:
            return [f"answers {made.live_status}, CVAT {made.status}"]
        other = [] if made.live_type == made.recorded_type else [f"sends {made.live_type}, CVAT {made.recorded_type}"]
        wanted = self.local(made.recorded)
        return other + sorted(set(differences(wanted, made.live, values=values)))

    def local(self, recorded: Any) -> Any:
        """A recorded body as the server at hand would have written it."""
        text = json.dumps(recorded).replace("http://127.0.0.1:9090", self.receiver)
        for old, new in self.requests.items():
            text = text.replace(old, new)
        return translated(json.loads(text), self.ids, self.base)

    def path(self, recorded: str) -> str:
        """A recorded path with translated ids."""
        parts = urlsplit(recorded)
        path = re.sub("(?<=/invitations/)[^/]+", self.invitation, named(unquote(parts.path), self.ids))
        for old, new in self.requests.items():
            path = path.replace(named(old, self.ids), new)
        delivery = re.fullmatch(r"(.*/deliveries/)(\d+)(/.*)", path)
        if delivery:
            path = f"{delivery[1]}{self.ids['deliveries', int(delivery[2])]}{delivery[3]}"
        query = [(k, self.requests.get(v, self._id(k, v))) for k, v in parse_qsl(parts.query, keep_blank_values=True)]
        return quote(path) + (f"?{httpx.QueryParams(query)}" if query else "")

    def body(self, value: Any, within_shape: bool = False) -> Any:
        """A recorded request body with translated ids."""
        if isinstance(value, list):
            return [self.body(item, within_shape) for item in value]
        if isinstance(value, str):
            return value.replace("http://127.0.0.1:9090", self.receiver).replace("REDACTED", PASSWORD)
        if not isinstance(value, dict):
            return value
        made = {}
        for name, item in value.items():
            if name == "id" and within_shape:
                made[name] = self.ids.get(("shapes", item), item)
            elif isinstance(item, int):
                made[name] = self._id(name, item)
            else:
                made[name] = self.body(item, within_shape or name in ("shapes", "tags"))
        return made

    def _id(self, name: str, value: Any) -> Any:
        return self.ids.get((KIND_OF_FIELD[name], int(value)), value) if name in KIND_OF_FIELD else value


def pairs(recorded: Any, live: Any) -> Iterator[tuple[dict, dict]]:
    """Objects of two answers that stand at the same place."""
    if isinstance(recorded, dict) and isinstance(live, dict):
        yield recorded, live
        for name in recorded.keys() & live.keys():
            yield from pairs(recorded[name], live[name])
    elif isinstance(recorded, list) and isinstance(live, list) and len(recorded) == len(live):
        for old, new in zip(recorded, live, strict=True):
            yield from pairs(old, new)


def _pictures(path: str) -> list[tuple[str, tuple[str, bytes, str]]]:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (20, 120, 160)).save(buffer, "PNG")
    names = PICTURES[re.search(r"tasks/(\d+)", path)[1]]
    return [(f"client_files[{n}]", (name, buffer.getvalue(), "image/png")) for n, name in enumerate(names)]


def _still_running(record: dict) -> bool:
    body = (record["response"].get("body") or {}).get("json")
    return "/api/requests/" in record["request"]["path"] and body.get("status") in ("queued", "started")


def _type(answer: dict) -> str | None:
    found = {name.lower(): value for name, value in answer["headers"].items()}.get("content-type")
    return found.split(";")[0] if found else None
