"""Changes to the sandbox's objects, each with the events CVAT would fire, in CVAT's order.

Recorded from a real CVAT 2.54.1: saving annotations fires ``update:job``, ``update:task`` and ``update:project`` that
tell nothing; changing a job's state fires one ``update:job``; a change of the task's status comes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deploy.local.sandbox.store import Document, Store, now
from deploy.local.sandbox.views import Views, task_status

CHUNK = 72
ELEMENT_FIELDS: Document = {
    "occluded": False,
    "outside": False,
    "z_order": 0,
    "rotation": 0.0,
    "group": None,
    "source": "manual",
}


class Changes:
    """Changes made by one user through one address."""

    def __init__(
        self, store: Store, views: Views, user: Document, notify: Callable[[int | None, Document], None]
    ) -> None:
        """Change ``store``; ``notify(project_id, payload)`` queues an event for the project's webhooks."""
        self.store = store
        self.views = views
        self.user = user
        self._notify = notify

    def fire(
        self,
        project_id: int | None,
        event: str,
        kind: str,
        body: Document,
        before: Document | None = None,
        *,
        by_worker: bool = False,
    ) -> None:
        """Queue an event; ``before`` is the object's earlier form, of which the changed fields are sent."""
        number = self.user["id"]
        sender = self.views.system_user(number) if by_worker else self.views.basic_user(number)
        payload: Document = {kind: body, "sender": sender, "event": event}
        if before is not None:
            payload["before_update"] = {name: before.get(name) for name in body if before.get(name) != body[name]}
        self._notify(project_id, payload)

    def create_project(self, spec: Document) -> Document:
        """A project with its labels."""
        when = now()
        project = {
            "id": self.store.next_id("project"),
            "name": spec["name"],
            "owner": self.user["id"],
            "bug_tracker": spec.get("bug_tracker") or "",
            "created_date": when,
            "updated_date": when,
        }
        self.store.put("project", project)
        self.add_labels(project["id"], spec.get("labels") or [])
        return project

    def add_labels(self, project_id: int, specs: Sequence[Document]) -> None:
        """Add labels; a label with an ``id`` is renamed or recoloured instead."""
        for spec in specs:
            known = self.store.get("label", spec["id"]) if spec.get("id") else None
            if known is not None:
                self.store.put("label", {**known, **{k: spec[k] for k in ("name", "color") if spec.get(k)}})
                continue
            label = self._label(spec, project_id)
            label["sublabels"] = [self._label(sub, project_id) for sub in spec.get("sublabels") or []]
            label["svg"] = _with_label_ids(spec.get("svg") or "", label["sublabels"])
            self.store.put("label", label)

    def _label(self, spec: Document, project_id: int) -> Document:
        attributes = [{**a, "id": self.store.next_id("attribute")} for a in spec.get("attributes") or []]
        number = self.store.next_id("label")
        color = spec.get("color") or f"#{(number * 2654435761) % 0xFFFFFF:06x}"
        return {
            "id": number,
            "name": spec["name"],
            "color": color,
            "attributes": attributes,
            "type": spec.get("type") or "any",
            "project_id": project_id,
            "sublabels": [],
        }

    def create_task(self, spec: Document) -> Document:
        """A task without pictures."""
        when = now()
        task = {
            "id": self.store.next_id("task"),
            "name": spec["name"],
            "project_id": spec.get("project_id"),
            "mode": "",
            "owner": self.user["id"],
            "assignee": spec.get("assignee_id"),
            "assignee_updated_date": None,
            "bug_tracker": spec.get("bug_tracker") or "",
            "created_date": when,
            "updated_date": when,
            "overlap": spec.get("overlap"),
            "segment_size": spec.get("segment_size") or 0,
            "status": "annotation",
            "subset": spec.get("subset") or "",
            "data": None,
            "data_chunk_size": None,
            "size": 0,
            "image_quality": 50,
            "frames": [],
            "deleted_frames": [],
        }
        self.store.put("task", task)
        self.fire(task["project_id"], "create:task", "task", self.views.task(task, in_payload=True))
        self._touch_project(task["project_id"])
        return task

    def start_upload(self, task: Document) -> None:
        """The task gets its (still empty) data."""
        if task["data"] is None:
            self._update_task(task, data=self.store.next_id("data"))

    def finish_upload(self, task: Document, frames: list[Document], quality: int) -> None:
        """The task gets its frames and jobs."""
        task["image_quality"] = quality
        self._update_task(task, counted=True)
        self.store.put("task", task | {"frames": frames, "size": len(frames), "data_chunk_size": CHUNK})
        task = self.store.get("task", task["id"]) or {}
        size = min(task["segment_size"] or len(frames), len(frames))
        for start in range(0, len(frames), size):
            job = self._new_job(task, "annotation", start, min(start + size, len(frames)) - 1)
            self.fire(task["project_id"], "create:job", "job", self.views.job(job, created=True), by_worker=True)
        self._update_task(task, by_worker=True, mode="annotation", overlap=0, segment_size=size)
        self._update_task(task, by_worker=True)

    def create_ground_truth(self, task: Document, frames: list[int]) -> Document:
        """A ground-truth job; it counts among the task's jobs."""
        job = self._new_job(task, "ground_truth", min(frames), max(frames), len(frames))
        self.fire(task["project_id"], "create:job", "job", self.views.job(job))
        return job

    def _new_job(self, task: Document, kind: str, start: int, stop: int, count: int | None = None) -> Document:
        when = now()
        return self.store.put(
            "job",
            {
                "id": self.store.next_id("job"),
                "task_id": task["id"],
                "type": kind,
                "assignee": None,
                "assignee_updated_date": None,
                "stage": "annotation",
                "state": "new",
                "frame_count": count or stop - start + 1,
                "start_frame": start,
                "stop_frame": stop,
                "created_date": when,
                "updated_date": when,
            },
        )

    def patch_task(self, task: Document, fields: Document) -> None:
        """Change what a person may change of a task."""
        change: Document = {name: fields[name] for name in ("name", "bug_tracker", "subset") if name in fields}
        dated = task
        if "assignee_id" in fields:
            # CVAT tells the date and does not keep it.
            change["assignee"] = fields["assignee_id"]
            dated = {**task, "assignee_updated_date": now()}
        self._update_task(task, counted=True, told=dated, **change)
        self._touch_project(task["project_id"])

    def patch_job(self, job: Document, fields: Document) -> None:
        """Change state, stage or assignee of a job; a new stage starts at state ``new``."""
        task = self.store.get("task", job["task_id"]) or {}
        before = self._before(job)
        if "assignee" in fields and fields["assignee"] != job["assignee"]:
            job |= {"assignee": fields["assignee"], "assignee_updated_date": now()}
        if fields.get("stage", job["stage"]) != job["stage"]:
            job |= {"stage": fields["stage"], "state": "new"}
        job["state"] = fields.get("state", job["state"])
        job["updated_date"] = now()
        self.store.put("job", job)
        self._follow(task)
        self.fire(task["project_id"], "update:job", "job", self.views.job(job), before)

    def _follow(self, task: Document) -> None:
        """CVAT works out a task's status whenever one of its jobs is saved, not before."""
        status = task_status(self.store.all("job", task_id=task["id"]))
        if status != task["status"]:
            self._update_task(task, status=status)

    def _before(self, job: Document) -> Document:
        """A job as CVAT remembers it for ``before_update``: issues are never counted."""
        body = self.views.job(job)
        return {**body, "issues": {**body["issues"], "count": 0}}

    def patch_issue(self, issue: Document, fields: Document) -> None:
        """Resolve an issue, or open it again."""
        before = self.views.issue(issue)
        issue |= {k: fields[k] for k in ("resolved", "position") if k in fields} | {"updated_date": now()}
        self.store.put("issue", issue)
        self.fire(self._project_of(issue), "update:issue", "issue", self.views.issue(issue), before)

    def add_comment(self, issue: Document, message: str) -> Document:
        """Say something about an issue."""
        when = now()
        comment = {"id": self.store.next_id("comment"), "issue": issue["id"], "message": message}
        comment |= {"owner": self.user["id"], "created_date": when, "updated_date": when}
        self.store.put("comment", comment)
        self.fire(self._project_of(issue), "create:comment", "comment", self.views.comment(comment))
        return comment

    def _project_of(self, issue: Document) -> int | None:
        job = self.store.get("job", issue["job"]) or {}
        return (self.store.get("task", job["task_id"]) or {}).get("project_id")

    def patch_meta(self, task: Document, deleted: list[int]) -> None:
        """Mark frames as deleted."""
        self._update_task(task, deleted_frames=sorted(set(deleted)))

    def delete_task(self, task: Document) -> None:
        """Delete a task with its jobs."""
        for job in self.store.all("job", task_id=task["id"]):
            self.fire(task["project_id"], "delete:job", "job", self.views.job(job))
        body = self.views.task(task)
        for job in self.store.all("job", task_id=task["id"]):
            self.store.delete("annotations", job["id"])
            self.store.delete("job", job["id"])
        self.store.delete("task", task["id"])
        self._touch_project(task["project_id"])
        self.fire(task["project_id"], "delete:task", "task", body)

    def save_annotations(
        self, jobs: Sequence[Document], shapes: list[Document], tags: list[Document], action: str
    ) -> Document:
        """Create, update, delete or replace shapes of jobs; the saved ones, with their ids."""
        saved: Document = {"version": 0, "tags": [], "shapes": [], "tracks": []}
        defaults = self._default_attributes()
        for job in jobs:
            kept = self.store.get("annotations", job["id"]) or {"id": job["id"], "shapes": [], "tags": []}
            for kind, given in (("shapes", shapes), ("tags", tags)):
                mine = [x for x in given if job["start_frame"] <= x["frame"] <= job["stop_frame"]]
                removed = {x.get("id") for x in mine} if action in ("update", "delete") else set()
                rest = [] if action == "replace" else [x for x in kept[kind] if x["id"] not in removed]
                if action == "delete":
                    saved[kind] += [x for x in kept[kind] if x["id"] in removed]
                    kept[kind] = rest
                    continue
                stored = [self._stored(x, kind, defaults, keep_id=action == "update") for x in mine]
                kept[kind] = [*rest, *stored]
                saved[kind] += [
                    {**x, "attributes": g.get("attributes") or []} for x, g in zip(stored, mine, strict=True)
                ]
            self.store.put("annotations", kept)
            self._touch(job)
        return saved

    def _default_attributes(self) -> dict[int, list[Document]]:
        """What CVAT writes into shapes whose attributes were not given, by label."""
        labels = [part for label in self.store.all("label") for part in (label, *label["sublabels"])]
        return {
            label["id"]: [{"spec_id": a["id"], "value": a.get("default_value", "")} for a in label["attributes"]]
            for label in labels
        }

    def _stored(self, given: Document, kind: str, defaults: dict[int, list[Document]], *, keep_id: bool) -> Document:
        told = {a["spec_id"] for a in given.get("attributes") or []}
        attributes = [*(given.get("attributes") or [])]
        attributes += [a for a in defaults.get(given["label_id"], []) if a["spec_id"] not in told]
        number = given["id"] if keep_id and given.get("id") else self.store.next_id("shape")
        if kind == "tags":
            common = {
                "frame": given["frame"],
                "label_id": given["label_id"],
                "group": None,
                "source": given.get("source") or "manual",
            }
            return {"id": number, **common, "attributes": attributes}
        shape = {"type": given["type"], **{k: given.get(k, v) for k, v in ELEMENT_FIELDS.items()}}
        shape |= {
            "points": [float(v) for v in given.get("points") or []],
            "id": number,
            "frame": given["frame"],
            "label_id": given["label_id"],
            "attributes": attributes,
        }
        if given["type"] == "skeleton" or "elements" in given:
            elements = given.get("elements") or []
            shape["elements"] = [self._element({**e, "frame": given["frame"]}, defaults, keep_id) for e in elements]
        else:
            shape["elements"] = []
        return shape

    def _element(self, given: Document, defaults: dict[int, list[Document]], keep_id: bool) -> Document:
        alone = {k: v for k, v in given.items() if k != "elements"}
        element = self._stored(alone, "shapes", defaults, keep_id=keep_id)
        return {k: v for k, v in element.items() if k != "elements"}

    def _touch(self, job: Document) -> None:
        before = self._before(job)
        job["updated_date"] = now()
        self.store.put("job", job)
        task = self.store.get("task", job["task_id"]) or {}
        self._follow(task)
        self.fire(task["project_id"], "update:job", "job", self.views.job(job), before)
        self._update_task(task)
        self._touch_project(task["project_id"])

    def _update_task(
        self,
        task: Document,
        *,
        counted: bool = False,
        by_worker: bool = False,
        told: Document | None = None,
        **fields: Any,
    ) -> None:
        """Change a task.

        ``counted``: the event holds the job counts (it comes from a request about the task itself). ``by_worker``: it
        comes from no request. ``told``: the task as the event shows it, where that is not what is kept.
        """
        views = Views(self.store, "") if by_worker else self.views
        before = views.task(task, in_payload=True)
        change = {**fields, "updated_date": now()}
        task |= change
        self.store.put("task", task)
        after = views.task({**(told or task), **change}, in_payload=not counted)
        if by_worker:
            before["jobs"] = after["jobs"] = {**after["jobs"], "url": None}
            before["labels"] = after["labels"] = None
        self.fire(task["project_id"], "update:task", "task", after, before, by_worker=by_worker)

    def _touch_project(self, project_id: int | None) -> None:
        project = self.store.get("project", project_id) if project_id else None
        if project is None:
            return
        before = self.views.project(project)
        project["updated_date"] = now()
        self.store.put("project", project)
        after = self.views.project(project)
        self.fire(project_id, "update:project", "project", after, {**after, "updated_date": before["updated_date"]})


def _with_label_ids(svg: str, sublabels: Sequence[Document]) -> str:
    """CVAT replaces sublabel names in the drawing by their ids."""
    for label in sublabels:
        svg = svg.replace(f'data-label-name="{label["name"]}"', f'data-label-id="{label["id"]}"')
    return svg
