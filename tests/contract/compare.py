"""How two answers of CVAT differ, once ids and addresses of the recording have been translated."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

KIND_OF_FIELD = {
    "project_id": "projects", "task_id": "tasks", "job_id": "jobs", "job": "jobs", "assignee": "users",
    "assignee_id": "users", "issue": "issues", "issue_id": "issues", "label_id": "labels", "webhook_id": "webhooks",
    "report_id": "reports", "parent_id": "reports", "result_id": "reports", "obj_id": "shapes", "all": "jobs",
    "spec_id": "attributes", "user_id": "users", "organization": "organizations", "organization_id": "organizations",
}  # fmt: skip
"""Fields that hold the id of something else."""
ADDRESS = re.compile(r"/api/(?:quality/)?(\w+)/(\d+)")
QUERY = re.compile(r"(\w+_id)=(\d+)")
PLACE = re.compile(r"/tasks/(\d+)/jobs/(\d+)\?frame=(\d+)&type=shape&serverID=(\d+)")
"""Where a shape can be seen in CVAT's own pages."""
DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
CHANCE = {
    "key",
    "color",
    "email",
    "description",
    "subtitle",
    "logo_url",
    "svg",
    "data",
    "groups",
    "invitation",
    "rq_id",
    "query_id",
    "result_url",
}
"""Fields whose text is the server's own business; their types are compared all the same."""
Ids = Mapping[tuple[str, int], int]


def kind_of(thing: Mapping[str, Any]) -> str | None:
    """What an object of CVAT is, ``None`` when it has no id of its own."""
    if not isinstance(thing.get("id"), int):
        return None
    address = ADDRESS.search(thing.get("url") or "")
    if address and int(address[2]) == thing["id"]:
        return address[1]
    for field, kind in (
        ("color", "labels"),
        ("redelivery", "deliveries"),
        ("label_id", "shapes"),
        ("input_type", "attributes"),
        ("oks_sigma", "settings"),
        ("slug", "organizations"),
        ("joined_date", "memberships"),
        ("gt_last_updated", "reports"),
        ("severity", "conflicts"),
        ("username", "users"),
    ):
        if field in thing:
            return kind
    return "comments" if "issue" in thing else "issues" if "resolved" in thing else None


def translated(value: Any, ids: Ids, base: str, name: str = "") -> Any:
    """A recorded answer with the ids and the address of the server at hand."""
    if isinstance(value, dict):
        made = {key: translated(item, ids, base, key) for key, item in value.items()}
        kind = kind_of(value)
        return made | ({"id": ids.get((kind, value["id"]), value["id"])} if kind else {})
    if isinstance(value, list):
        return [translated(item, ids, base, name) for item in value]
    if isinstance(value, str):
        return named(value.replace("http://127.0.0.1:8081", base), ids)
    if isinstance(value, int) and name in KIND_OF_FIELD:
        return ids.get((KIND_OF_FIELD[name], value), value)
    return value


def named(text: str, ids: Ids) -> str:
    """An address or request id with translated ids."""
    text = PLACE.sub(lambda m: _place(m, ids), text)
    text = ADDRESS.sub(lambda m: m[0].removesuffix(m[2]) + str(ids.get((m[1], int(m[2])), m[2])), text)
    text = re.sub(r"(target=task&target_id=)(\d+)", lambda m: m[1] + str(ids.get(("tasks", int(m[2])), m[2])), text)
    return QUERY.sub(lambda m: f"{m[1]}={ids.get((KIND_OF_FIELD.get(m[1], ''), int(m[2])), m[2])}", text)


def _place(found: re.Match[str], ids: Ids) -> str:
    task, job, shape = (ids.get((k, int(found[n])), found[n]) for k, n in (("tasks", 1), ("jobs", 2), ("shapes", 4)))
    return f"/tasks/{task}/jobs/{job}?frame={found[3]}&type=shape&serverID={shape}"


def differences(recorded: Any, live: Any, where: str = "", *, values: bool = True) -> Iterator[str]:
    """Where keys, JSON types and (on demand) values differ. The order of shapes and their elements is chance."""
    if isinstance(recorded, dict) and isinstance(live, dict):
        for name in sorted(recorded.keys() | live.keys()):
            if name not in live:
                yield f"{where}.{name} is missing"
            elif name not in recorded:
                yield f"{where}.{name} is not CVAT's"
            else:
                yield from differences(recorded[name], live[name], f"{where}.{name}", values=values)
    elif isinstance(recorded, list) and isinstance(live, list):
        if values and len(recorded) != len(live):
            yield f"{where} has {len(live)} items, in CVAT {len(recorded)}"
        for old, new in zip(_ordered(recorded), _ordered(live), strict=False):
            yield from differences(old, new, f"{where}[]", values=values)
    elif json_type(recorded) != json_type(live):
        yield f"{where} is {json_type(live)}, in CVAT {json_type(recorded)}"
    elif values and recorded != live and not _near(recorded, live) and not _chance(where, recorded, live):
        yield f"{where} is {live!r}, in CVAT {recorded!r}"


def json_type(value: Any) -> str:
    """JSON's name for a type."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return {int: "number", float: "number", str: "string", list: "array", dict: "object"}[type(value)]


def _ordered(items: list) -> list:
    if items and all(isinstance(item, dict) and "label_id" in item for item in items):
        return sorted(items, key=lambda s: (s.get("frame", 0), s["label_id"], s.get("points", [])))
    return items


def _near(one: Any, other: Any) -> bool:
    """Whether two figures are the same but for the order in which they were added up."""
    return isinstance(one, float) and isinstance(other, float) and math.isclose(one, other, rel_tol=1e-12)


def _chance(where: str, recorded: Any, live: Any) -> bool:
    dates = isinstance(recorded, str) and DATE.fullmatch(recorded) and DATE.fullmatch(live)
    return bool(dates) or where.rpartition(".")[2] in CHANCE or (where.endswith(".id") and ".elements" in where)
