"""Playing a recorded session with a real CVAT again, against another server.

The recording holds requests and responses, one file a step. Its ids are translated to those of the server at hand,
learned from the answers as they come.
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx
from PIL import Image

SECRET = "s3cret-of-the-test"  # of the recording
KIND_OF_FIELD = {
    "project_id": "projects", "task_id": "tasks", "job_id": "jobs", "job": "jobs", "assignee": "users",
    "assignee_id": "users", "issue": "issues", "issue_id": "issues", "label_id": "labels",
}  # fmt: skip
ADDRESS = re.compile(r"/api/(\w+)/(\d+)")
UPLOAD = "Upload-Multiple"


@dataclass
class Exchange:
    """One request with two answers: the recorded one and the one of the server at hand."""

    step: str
    method: str
    path: str
    status: int
    recorded: Any
    recorded_type: str | None
    live_status: int = 0
    live: Any = None
    live_type: str | None = None
    live_path: str = ""

    @property
    def name(self) -> str:
        """What a failing test calls it."""
        return f"{self.step}: {self.method} {self.path}"


@dataclass
class Replay:
    """Plays steps; ``clients`` by user name, ``receiver`` the address that takes the place of the recorded one."""

    folder: Path
    clients: dict[str, httpx.Client]
    receiver: str
    ids: dict[tuple[str, int], int] = field(default_factory=dict)

    def play(self, step: str, users: dict[str, str]) -> list[Exchange]:
        """All exchanges of a step; ``users``: method -> who acts."""
        done = []
        for line in (self.folder / "rest" / f"{step}.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if still_running(record):
                continue  # CVAT's worker took a moment; how many times it was asked is chance
            done.append(self._one(step, record, users))
        return done

    def _one(self, step: str, record: dict, users: dict[str, str]) -> Exchange:
        request, response = record["request"], record["response"]
        body = (response.get("body") or {}).get("json")
        made = Exchange(step, request["method"], request["path"], response["status"], body, _type(response["headers"]))
        client = self.clients[users.get(made.method, "admin")]
        made.live_path = self._path(made.path)
        headers = {name: "" for name in request["headers"] if name.startswith("Upload-")}
        options: dict[str, Any] = {"headers": headers}
        if UPLOAD in headers:
            options["files"] = self._pictures(record)
        elif request.get("body"):
            options["json"] = self._body(request["body"]["json"])
        answer = client.request(made.method, made.live_path, **options)
        made.live_status, made.live_type = answer.status_code, _type(answer.headers)
        if "json" in (made.live_type or ""):
            made.live = answer.json()
        self._learn(made.recorded, made.live)
        return made

    def _path(self, path: str) -> str:
        parts = urlsplit(path)
        named = ADDRESS.sub(lambda m: f"/api/{m[1]}/{self.ids.get((m[1], int(m[2])), m[2])}", parts.path)
        rq_id = re.fullmatch(r"(/api/requests/)(.+)", named)
        if rq_id:
            found = re.sub(r"(?<=target_id=)\d+", lambda m: str(self.ids["tasks", int(m[0])]), unquote(rq_id[2]))
            named = rq_id[1] + quote(found, safe="")
        delivery = re.fullmatch(r"(.*/deliveries/)(\d+)(/.*)", named)
        if delivery:
            named = f"{delivery[1]}{self.ids['deliveries', int(delivery[2])]}{delivery[3]}"
        query = [(k, self._id(k, v) if k in KIND_OF_FIELD else v) for k, v in parse_qsl(parts.query)]
        return named + ("?" + str(httpx.QueryParams(query)) if query else "")

    def _id(self, name: str, value: Any) -> Any:
        return self.ids.get((KIND_OF_FIELD[name], int(value)), value) if value is not None else None

    def _body(self, value: Any, shape: bool = False) -> Any:
        if isinstance(value, list):
            return [self._body(item, shape) for item in value]
        if isinstance(value, str):
            return re.sub(r"^http://127\.0\.0\.1:9090", self.receiver, value).replace("REDACTED", SECRET)
        if not isinstance(value, dict):
            return value
        made = {}
        for name, item in value.items():
            if name in KIND_OF_FIELD and isinstance(item, int):
                made[name] = self._id(name, item)
            elif name == "id" and shape:
                made[name] = self.ids["shapes", item]
            else:
                made[name] = self._body(item, shape=name in ("shapes", "elements", "tags") or shape)
        return made

    def _pictures(self, record: dict) -> list:
        """Pictures of the recorded names and sizes; their content is not part of the contract."""
        task = ADDRESS.search(record["request"]["path"])[2]
        buffer = io.BytesIO()
        Image.new("RGB", (320, 240), (20, 120, 160)).save(buffer, "PNG")
        names = [f"img_{n}.png" for n in range(3)] if task == "5" else ["img_0.png"]
        return [(f"client_files[{n}]", (name, buffer.getvalue(), "image/png")) for n, name in enumerate(names)]

    def _learn(self, recorded: Any, live: Any) -> None:
        for old, new in pairs(recorded, live):
            kind = kind_of(old)
            if kind and "id" in new:
                self.ids.setdefault((kind, old["id"]), new["id"])


def still_running(record: dict) -> bool:
    """A poll that came before the request was done."""
    body = (record["response"].get("body") or {}).get("json")
    return "/api/requests/" in record["request"]["path"] and body.get("status") in ("queued", "started")


def kind_of(thing: dict) -> str | None:
    """What an object of CVAT is, ``None`` when it has no id of its own."""
    if not isinstance(thing.get("id"), int):
        return None
    address = ADDRESS.search(thing.get("url") or "")
    if address and int(address[2]) == thing["id"]:
        return address[1]
    if "color" in thing:
        return "labels"
    if "redelivery" in thing:
        return "deliveries"
    if "label_id" in thing:
        return "shapes"
    return "comments" if "issue" in thing else "issues" if "resolved" in thing else None


def pairs(recorded: Any, live: Any) -> Iterator[tuple[dict, dict]]:
    """Objects of two answers that stand at the same place."""
    if isinstance(recorded, dict) and isinstance(live, dict):
        yield recorded, live
        for name in recorded.keys() & live.keys():
            yield from pairs(recorded[name], live[name])
    elif isinstance(recorded, list) and isinstance(live, list):
        for old, new in zip(recorded, live, strict=False):
            yield from pairs(old, new)


def differences(recorded: Any, live: Any, where: str = "") -> Iterator[str]:
    """Where keys or JSON types of two answers differ; lists are compared as far as both go."""
    if isinstance(recorded, dict) and isinstance(live, dict):
        for name in sorted(recorded.keys() | live.keys()):
            if name not in live:
                yield f"{where}.{name} is missing"
            elif name not in recorded:
                yield f"{where}.{name} is not CVAT's"
            else:
                yield from differences(recorded[name], live[name], f"{where}.{name}")
    elif isinstance(recorded, list) and isinstance(live, list):
        for old, new in zip(recorded, live, strict=False):
            yield from differences(old, new, f"{where}[]")
    elif json_type(recorded) != json_type(live):
        yield f"{where} is {json_type(live)}, in CVAT {json_type(recorded)}"


def json_type(value: Any) -> str:
    """JSON's name for a type."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return {int: "number", float: "number", str: "string", list: "array", dict: "object"}[type(value)]


def _type(headers: Any) -> str | None:
    found = headers.get("Content-Type") or headers.get("content-type")
    return found.split(";")[0] if found else None
