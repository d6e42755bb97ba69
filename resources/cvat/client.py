"""What reefline asks of CVAT.

Everything that creates can be repeated: projects, labels and webhooks are looked up first, and a review task gets its
final name as the very last step, so a task of that name is whole, and one that was left half-made is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from resources.cvat.errors import CvatRefused
from resources.cvat.making import HALF_MADE, Annotate, Order, TaskMaker
from resources.cvat.quality import WAIT_S, quality_report
from resources.cvat.session import Session
from resources.cvat.tasks import (
    Copies,
    Honeypots,
    Issue,
    Layout,
    Picture,
    ReviewedJob,
    ReviewedTask,
    ReviewTask,
    StoredPictures,
    Validation,
)
from resources.inbox import JobState
from resources.inbox.interpret import job_state


class CvatClient:
    """CVAT, for one service account."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        stored: StoredPictures | None = None,
        public_url: str = "",
    ) -> None:
        """Connects on first use.

        Args:
            stored: CVAT reads pictures from the object store; else they are uploaded.
            public_url: the server as people's browsers reach it, for links; empty: ``url``.
        """
        self.session = Session(url, token, username, password)
        self.stored = stored
        self.public_url = public_url.rstrip("/") or self.url

    @property
    def url(self) -> str:
        """Address of the server."""
        return self.session.url

    @property
    def calls(self) -> int:
        """Number of requests sent, uploads not counted."""
        return self.session.calls

    def check(self) -> dict[str, Any]:
        """The server's description, after a successful login."""
        self.session.request("GET", "/api/users/self")
        return self.session.request("GET", "/api/server/about")

    def find_project(self, name: str, organization: str | None = None) -> int | None:
        """Id of the project of exactly this name; the oldest where people have made a second one."""
        try:
            listed = self.session.listed("/api/projects", search=name, org=organization)
        except CvatRefused as error:
            if organization and error.status == 404:
                return None  # there is no such organization
            raise
        found = [project["id"] for project in listed if project["name"] == name]
        return min(found) if found else None

    def need_project(self, name: str, organization: str | None = None) -> int:
        """Id of a project that must be there.

        Raises:
            CvatRefused: CVAT has no project of this name.
        """
        found = self.find_project(name, organization)
        if found is None:
            raise CvatRefused(f"CVAT has no project {name!r}: run 'reefline cvat apply' once, then retry")
        return found

    def create_project(self, name: str, labels: Sequence[Mapping[str, Any]], organization: str | None = None) -> int:
        """The project of this name, new with these labels unless it is there already."""
        known = self.find_project(name, organization)
        if known is not None:
            return known
        body = {"name": name, "labels": [dict(label) for label in labels]}
        return int(self.session.request("POST", "/api/projects", body, org=organization)["id"])

    def uses_of_label(self, project_id: int, label_id: int) -> int:
        """Number of shapes and tags that carry a label, over all tasks of its project."""
        used = 0
        for task in self.session.listed("/api/tasks", project_id=project_id):
            drawn = self.session.request("GET", f"/api/tasks/{task['id']}/annotations")
            marks = [*drawn["shapes"], *drawn["tags"], *drawn["tracks"]]
            used += sum(mark["label_id"] == label_id for mark in marks)
        return used

    def find_storage(self, name: str) -> dict[str, Any] | None:
        """The cloud storage of exactly this name."""
        listed = self.session.listed("/api/cloudstorages", name=name)
        return next((storage for storage in listed if storage["display_name"] == name), None)

    def labels(self, project_id: int) -> dict[str, dict[str, Any]]:
        """The project's labels by name, as CVAT gives them."""
        return {label["name"]: label for label in self.session.listed("/api/labels", project_id=project_id)}

    def frame_name(self, picture: Picture) -> str:
        """How a picture is called in a task: by its own name, or by its place where CVAT reads it itself."""
        return self.stored.prefix + picture.key if self.stored else picture.name

    def task_names(self) -> list[str]:
        """Names of all tasks the account can see."""
        return [task["name"] for task in self.session.listed("/api/tasks")]

    def ensure_task(
        self,
        project_id: int,
        name: str,
        pictures: Sequence[Picture],
        annotate: Annotate,
        *,
        subset: str | None = None,
        segment_size: int | None = None,
        assignees: Sequence[str] = (),
        validation: Validation | Honeypots | None = None,
        organization: str | None = None,
        copies: Copies | None = None,
    ) -> ReviewTask:
        """The task of this name, whole: pictures in the given order, pre-labels inside, jobs assigned in turn.

        A ground-truth job, where one is asked for, is empty: whoever draws the truth must not see the proposals. With
        honeypots CVAT orders the pictures by lot. Copies of a job go to other people than the job itself.

        Raises:
            CvatRefused: the task exists with other pictures and people have worked in it.
            CvatUnavailable: CVAT fails; a retry goes on.
        """
        listed = self.session.listed("/api/tasks", project_id=project_id, search=name)
        mine = [task for task in listed if task["name"] == name]
        for half in [task for task in listed if task["name"] == name + HALF_MADE]:
            self.delete_task(half["id"])
        wanted = [self.frame_name(picture) for picture in pictures]
        for task in sorted(mine, key=lambda t: t["id"]):
            layout = self._layout(task)
            names = self.frame_names(task["id"])
            if (set(names) == set(wanted)) if layout.pooled else names == wanted:
                return self._review_task(task["id"], names, layout)
            if any(job.state != "new" for job in self.jobs(task["id"])):
                raise CvatRefused(
                    f"CVAT task {name!r} ({self._task_url(task['id'])}) holds other pictures than are asked for, "
                    "and people have worked in it: finish it, or delete it in CVAT, then run this stage again"
                )
            self.delete_task(task["id"])
        spec: dict[str, Any] = {"project_id": project_id, "subset": subset or ""}
        if segment_size:
            spec["segment_size"] = segment_size
        if copies:
            spec["consensus_replicas"] = copies.count
        order = Order(name, spec, pictures, annotate, assignees, validation, organization, copies)
        task_id = TaskMaker(self).make(order)
        mode = "gt_pool" if isinstance(validation, Honeypots) else None
        layout = self._layout({"id": task_id, "validation_mode": mode})
        return self._review_task(task_id, self.frame_names(task_id), layout)

    def frame_names(self, task_id: int) -> list[str]:
        """Picture names in the order of the frames; a picture that honeypots show occurs several times."""
        meta = self.session.request("GET", f"/api/tasks/{task_id}/data/meta")
        return [frame["name"] for frame in meta["frames"]]

    def _layout(self, task: Mapping[str, Any]) -> Layout:
        """Where the ground truth lies in a task (CVAT's JSON of it; without the field, nowhere)."""
        mode = task.get("validation_mode")
        if mode is None:
            return Layout()
        told = self.session.request("GET", f"/api/tasks/{task['id']}/validation_layout")
        honeypots = zip(told.get("honeypot_frames") or [], told.get("honeypot_real_frames") or [], strict=True)
        truth, disabled = (frozenset(told.get(f"{name}_frames") or []) for name in ("validation", "disabled"))
        return Layout(mode, truth, disabled, dict(honeypots))

    def _review_task(self, task_id: int, names: Sequence[str], layout: Layout) -> ReviewTask:
        url, jobs = self._task_url(task_id), self.jobs(task_id)
        return ReviewTask(task_id, url, jobs, _own_frames(names, layout), layout.pooled)

    def _task_url(self, task_id: int) -> str:
        return f"{self.public_url}/tasks/{task_id}"

    def jobs(self, task_id: int) -> list[JobState]:
        """The task's jobs, by id."""
        states = [job_state(job) for job in self.session.listed("/api/jobs", task_id=task_id)]
        return sorted((s for s in states if s), key=lambda s: s.job_id)

    def jobs_since(self, when: datetime) -> list[JobState]:
        """All jobs the account can see that were changed at ``when`` or later."""
        rule = {"and": [{">=": [{"var": "updated_date"}, when.isoformat()]}]}
        states = [job_state(job) for job in self.session.listed("/api/jobs", filter=json.dumps(rule))]
        return [state for state in states if state]

    def webhooks(self, receiver_url: str) -> list[dict[str, Any]]:
        """The webhooks that lead to a receiver, whatever the path."""
        base = receiver_url.rstrip("/") + "/"
        return [w for w in self.session.listed("/api/webhooks") if w["target_url"].startswith(base)]

    def deliveries(self, webhook_id: int, after: int) -> list[dict[str, Any]]:
        """What a webhook has sent since delivery ``after``, oldest first."""
        found: list[dict[str, Any]] = []
        for page in self.session.pages(f"/api/webhooks/{webhook_id}/deliveries"):
            fresh = [delivery for delivery in page if delivery["id"] > after]
            found += fresh
            if len(fresh) < len(page):  # newest first: the rest is known
                break
        return sorted(found, key=lambda delivery: delivery["id"])

    def issues(self, task_id: int) -> list[Issue]:
        """What people have said about places in a task, with their comments."""
        found = []
        for issue in self.session.listed("/api/issues", task_id=task_id):
            said = self.session.listed("/api/comments", issue_id=issue["id"])
            words = [comment["message"] for comment in sorted(said, key=lambda c: c["id"])]
            owner = (issue["owner"] or {}).get("username")
            found.append(Issue(issue["id"], issue["job"], issue["frame"], issue["resolved"], owner, words))
        return sorted(found, key=lambda issue: issue.issue_id)

    def ask_again(self, job_id: int, frame: int, message: str) -> None:
        """Open an issue on a picture, and give its job back to the person who has it."""
        body = {"job": job_id, "frame": frame, "position": [10.0, 10.0, 60.0, 60.0], "message": message}
        self.session.request("POST", "/api/issues", body)
        self.session.request("PATCH", f"/api/jobs/{job_id}", {"state": "in progress"})

    def read_task(self, task_id: int) -> ReviewedTask:
        """A task as it is now: jobs with their annotations, labels, frames, deleted frames."""
        task = self.session.request("GET", f"/api/tasks/{task_id}")
        meta = self.session.request("GET", f"/api/tasks/{task_id}/data/meta")
        jobs = sorted(self.session.listed("/api/jobs", task_id=task_id), key=lambda j: j["id"])
        layout = self._layout(task)
        return ReviewedTask(
            task_id,
            self._task_url(task_id),
            self.labels(task["project_id"]),
            [self._read_job(job) for job in jobs],
            _own_frames([frame["name"] for frame in meta["frames"]], layout),
            meta["deleted_frames"],
            layout,
        )

    def _read_job(self, job: Mapping[str, Any]) -> ReviewedJob:
        annotations = self.session.request("GET", f"/api/jobs/{job['id']}/annotations")
        assignee = job["assignee"]["username"] if job["assignee"] else None
        return ReviewedJob(
            job["id"],
            job["type"],
            job["stage"],
            job["state"],
            assignee,
            job["updated_date"],
            annotations,
            job["start_frame"],
            job["stop_frame"],
        )

    def quality_report(self, task_id: int, wait_s: float = WAIT_S) -> dict[str, Any] | None:
        """CVAT's own quality report of a task, see :func:`resources.cvat.quality.quality_report`."""
        return quality_report(self, task_id, wait_s)

    def delete_task(self, task_id: int) -> None:
        """Delete a task; it is no error when it is gone already."""
        try:
            self.session.request("DELETE", f"/api/tasks/{task_id}")
        except CvatRefused as error:
            if error.status != 404:
                raise


def _own_frames(names: Sequence[str], layout: Layout) -> dict[str, int]:
    """Frame number by picture name, without the placeholders that only show a picture."""
    return {name: number for number, name in enumerate(names) if number not in layout.honeypots}
