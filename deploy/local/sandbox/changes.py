"""Changes to the sandbox's objects, each with the events CVAT would fire, in CVAT's order.

Recorded from a real CVAT 2.54.1: saving annotations fires ``update:job``, ``update:task`` and ``update:project`` that
tell nothing; changing a job's state fires one ``update:job``; a change of the task's status comes before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.local.sandbox.events import keep_shapes
from deploy.local.sandbox.projects import ProjectChanges
from deploy.local.sandbox.shapes import drop_frames, save_annotations
from deploy.local.sandbox.store import Document, now
from deploy.local.sandbox.validation import PoolLayout, chosen_at_creation, pool_layout
from deploy.local.sandbox.views import REPLICA, Views, task_status

CHUNK = 72


class Changes(ProjectChanges):
    """Changes made by one user through one address."""

    def create_task(self, spec: Document) -> Document:
        """A task without pictures."""
        when = now()
        project = self.store.get("project", spec["project_id"]) if spec.get("project_id") else None
        task = {
            "id": self.store.next_id("task"),
            "name": spec["name"],
            "project_id": spec.get("project_id"),
            "organization": project.get("organization") if project else self.workspace,
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
            "consensus_replicas": spec.get("consensus_replicas") or 0,
            "frames": [],
            "deleted_frames": [],
        }
        self.store.put("task", task)
        self.fire(task["project_id"], "create:task", "task", self.views.task(task, in_payload=True))
        self.touch_project(task["project_id"])
        return task

    def start_upload(self, task: Document) -> None:
        """The task gets its (still empty) data."""
        if task["data"] is None:
            self._update_task(task, data=self.store.next_id("data"))

    def finish_upload(self, task: Document, frames: list[Document], spec: Document) -> None:
        """The task gets its frames and jobs.

        Raises:
            ValueError: ``validation_params`` cannot be fulfilled.
        """
        validation = spec.get("validation_params")
        pool: PoolLayout | None = None
        if validation and validation["mode"] == "gt_pool":
            sorting = spec.get("sorting_method") or "lexicographical"
            pool = pool_layout(validation, [f["name"] for f in frames], task["segment_size"], sorting)
            frames = [frames[place] for place in pool.order]
        task["image_quality"] = int(spec.get("image_quality") or 70)
        self._update_task(task, counted=True)
        self.store.put("task", task | {"frames": frames, "size": len(frames), "data_chunk_size": CHUNK})
        task = self.store.get("task", task["id"]) or {}
        size = min(task["segment_size"] or len(frames), len(frames))
        plain = [range(start, min(start + size, len(frames))) for start in range(0, len(frames), size)]
        jobs = [job for span in (pool.jobs if pool else plain) for job in self._new_jobs(task, span)]
        for job in jobs:
            self.fire(task["project_id"], "create:job", "job", self.views.job(job, created=True), by_worker=True)
        if pool:
            traps = {str(frame): real for frame, real in pool.honeypots.items()}
            laid: Document = {"honeypots": traps, "honeypots_per_job": pool.per_job, "pool_frames": [*pool.pool]}
            self._update_task(task, by_worker=True, validation_mode="gt_pool", disabled_frames=[], **laid)
            self.create_ground_truth(task, None, pool.pool)
            size = 0  # jobs of a layout of their own
        elif validation:
            self._update_task(task, by_worker=True, validation_mode=validation["mode"])
            self.create_ground_truth(task, chosen_at_creation(validation, [f["name"] for f in frames], jobs))
        self._update_task(task, by_worker=True, mode="annotation", overlap=0, segment_size=size)
        self._update_task(task, by_worker=True)

    def create_ground_truth(self, task: Document, frames: list[int] | None, span: range | None = None) -> Document:
        """A ground-truth job, of some frames or of a span; it counts among the task's jobs."""
        job = self._new_job(task, "ground_truth", span or range(task["size"]), frames)
        self.fire(task["project_id"], "create:job", "job", self.views.job(job))
        return job

    def _new_jobs(self, task: Document, span: range) -> list[Document]:
        """An annotation job and its consensus replicas."""
        job = self._new_job(task, "annotation", span)
        copies = range(task.get("consensus_replicas") or 0)
        return [job, *(self._new_job(task, REPLICA, span, parent=job["id"]) for _ in copies)]

    def _new_job(
        self, task: Document, kind: str, span: range, frames: list[int] | None = None, parent: int | None = None
    ) -> Document:
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
                "frame_count": len(span if frames is None else frames),
                "start_frame": span[0],
                "stop_frame": span[-1],
                "frames": frames,
                "parent_job_id": parent,
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
        self.touch_project(task["project_id"])

    def move_task(self, task: Document, project: Document) -> None:
        """Move a task into a project, whose labels what is drawn in it carries already."""
        self._update_task(task, counted=True, project_id=project["id"], organization=project.get("organization"))
        self.touch_project(project["id"])

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

    def touch_task(self, task: Document) -> None:
        """Something that belongs to the task has changed, but nothing that the task shows."""
        self._update_task(task)

    def patch_meta(self, task: Document, deleted: list[int]) -> None:
        """Mark frames as deleted."""
        self._update_task(task, deleted_frames=sorted(set(deleted)))

    def disable_frames(self, task: Document, frames: list[int]) -> None:
        """Leave frames out of the validation; what a ground-truth job calls deleted."""
        self._update_task(task, disabled_frames=sorted(set(frames)))

    def exchange_honeypots(self, task: Document, job: Document, real: Mapping[int, int]) -> None:
        """Show other pool pictures at placeholders of a job; what was drawn there goes."""
        frames = [*task["frames"]]
        new = {frame: shown for frame, shown in real.items() if task["honeypots"][str(frame)] != shown}
        for frame, shown in new.items():
            frames[frame] = task["frames"][shown]
        left = [frame for frame in task["deleted_frames"] if frame not in new]
        drop_frames(self.store, job, new)
        traps = {**task["honeypots"], **{str(frame): shown for frame, shown in new.items()}}
        self.store.put("task", task | {"frames": frames, "honeypots": traps, "deleted_frames": left})
        self._touch(job)

    def delete_job(self, job: Document) -> None:
        """Delete a job with its annotations."""
        body, task = self.views.job(job), self.store.get("task", job["task_id"]) or {}
        self.store.delete("annotations", job["id"])
        self.store.delete("job", job["id"])
        self.fire(task["project_id"], "delete:job", "job", body)
        self._follow(task)

    def delete_task(self, task: Document) -> None:
        """Delete a task with its jobs."""
        for job in self.store.all("job", task_id=task["id"]):
            self.fire(task["project_id"], "delete:job", "job", self.views.job(job))
        body = self.views.task(task)
        for job in self.store.all("job", task_id=task["id"]):
            self.store.delete("annotations", job["id"])
            self.store.delete("job", job["id"])
        self.store.delete("task", task["id"])
        self.touch_project(task["project_id"])
        self.fire(task["project_id"], "delete:task", "task", body)

    def save_annotations(self, jobs: Sequence[Document], given: Document, action: str) -> Document:
        """Create, update, delete or replace shapes of jobs; the saved ones, with their ids."""

        def saved(job: Document, shapes: list[Document]) -> None:
            keep_shapes(self.store, "create" if action == "replace" else action, job, shapes, self.user)
            self._touch(job)

        return save_annotations(self.store, jobs, given, action, saved)

    def _touch(self, job: Document) -> None:
        before = self._before(job)
        job["updated_date"] = now()
        self.store.put("job", job)
        task = self.store.get("task", job["task_id"]) or {}
        self._follow(task)
        self.fire(task["project_id"], "update:job", "job", self.views.job(job), before)
        self._update_task(task)
        self.touch_project(task["project_id"])

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

    def delete_project(self, project: Document) -> None:
        """Delete a project with its tasks, labels and webhooks."""
        for task in self.store.all("task", project_id=project["id"]):
            self.delete_task(task)
        body = self.views.project(project)
        self.fire(project["id"], "delete:project", "project", body)
        for kind in ("label", "guide", "webhook"):
            for part in self.store.all(kind, project_id=project["id"]):
                self.store.delete(kind, part["id"])
        self.store.delete("project", project["id"])
