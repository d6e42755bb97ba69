"""What reefline asks of CVAT.

Everything that creates can be repeated: projects, labels and webhooks are looked up first, and a review task gets its
final name as the very last step, so a task of that name is whole, and one that was left half-made is replaced.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resources.cvat.errors import CvatRefused, CvatUnavailable
from resources.cvat.session import Session
from resources.cvat.tasks import Picture, ReviewedJob, ReviewedTask, ReviewTask
from resources.inbox import JobState
from resources.inbox.interpret import job_state

Annotate = Callable[[Mapping[str, int], Mapping[str, Any]], dict[str, Any]]
"""From frame numbers by picture name, and labels by name, to CVAT's annotation JSON."""

HALF_MADE = " (being made)"
IMAGE_QUALITY = 95
PROCESSING_S = 900.0
"""How long CVAT may take to unpack a task's pictures."""


class CvatClient:
    """CVAT, for one service account."""

    def __init__(
        self, url: str, token: str | None = None, username: str | None = None, password: str | None = None
    ) -> None:
        """Connects on first use."""
        self.session = Session(url, token, username, password)

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

    def find_project(self, name: str) -> int | None:
        """Id of the project of exactly this name."""
        found = [p for p in self.session.listed("/api/projects", search=name) if p["name"] == name]
        return min(p["id"] for p in found) if found else None

    def ensure_project(self, name: str, labels: Sequence[Mapping[str, Any]]) -> int:
        """The project of this name, with at least these labels. Nothing is ever deleted."""
        project = self.find_project(name)
        if project is None:
            return int(self.session.request("POST", "/api/projects", {"name": name, "labels": list(labels)})["id"])
        known = self.labels(project)
        missing = [label for label in labels if label["name"] not in known]
        if missing:
            self.session.request("PATCH", f"/api/projects/{project}", {"labels": missing})
        return project

    def labels(self, project_id: int) -> dict[str, dict[str, Any]]:
        """The project's labels by name, as CVAT gives them."""
        return {label["name"]: label for label in self.session.listed("/api/labels", project_id=project_id)}

    def ensure_webhook(self, project_id: int, target_url: str, secret: str, events: Sequence[str]) -> int:
        """The project's webhook to this installation, active, with this address, secret and events."""
        wanted = {
            "target_url": target_url,
            "description": "reefline",
            "type": "project",
            "content_type": "application/json",
            "secret": secret,
            "is_active": True,
            "enable_ssl": target_url.startswith("https"),
            "events": sorted(events),
        }
        ours = [
            w for w in self.session.listed("/api/webhooks", project_id=project_id) if w["description"] == "reefline"
        ]
        if ours:
            # The secret cannot be read back, so it is always written.
            return int(self.session.request("PATCH", f"/api/webhooks/{ours[-1]['id']}", wanted)["id"])
        return int(self.session.request("POST", "/api/webhooks", {**wanted, "project_id": project_id})["id"])

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
    ) -> ReviewTask:
        """The task of this name, whole: pictures in the given order, pre-labels inside, jobs assigned in turn.

        Raises:
            CvatRefused: the task exists with other pictures and people have worked in it.
            CvatUnavailable: CVAT fails; a retry goes on.
        """
        listed = self.session.listed("/api/tasks", project_id=project_id, search=name)
        mine = [task for task in listed if task["name"] == name]
        for half in [task for task in listed if task["name"] == name + HALF_MADE]:
            self.delete_task(half["id"])
        wanted = [picture.name for picture in pictures]
        for task in sorted(mine, key=lambda t: t["id"]):
            frames = self._frames(task["id"])
            if list(frames) == wanted:
                return self._review_task(task["id"], frames)
            if any(job.state != "new" for job in self.jobs(task["id"])):
                raise CvatRefused(
                    f"CVAT task {name!r} ({self._task_url(task['id'])}) holds other pictures than are asked for, "
                    "and people have worked in it: finish it, or delete it in CVAT, then run this stage again"
                )
            self.delete_task(task["id"])
        return self._make_task(project_id, name, pictures, annotate, subset, segment_size, assignees)

    def _make_task(
        self,
        project_id: int,
        name: str,
        pictures: Sequence[Picture],
        annotate: Annotate,
        subset: str | None,
        segment_size: int | None,
        assignees: Sequence[str],
    ) -> ReviewTask:
        people = [self._user_id(user) for user in assignees]
        spec: dict[str, Any] = {"name": name + HALF_MADE, "project_id": project_id, "subset": subset or ""}
        if segment_size:
            spec["segment_size"] = segment_size
        task_id = int(self.session.request("POST", "/api/tasks", spec)["id"])
        self._upload(task_id, pictures)
        frames = self._frames(task_id)
        data = annotate(frames, self.labels(project_id))
        self.session.request("PUT", f"/api/tasks/{task_id}/annotations", data)
        for job, person in zip(self.jobs(task_id), cycle(people), strict=False) if people else ():
            self.session.request("PATCH", f"/api/jobs/{job.job_id}", {"assignee": person})
        self.session.request("PATCH", f"/api/tasks/{task_id}", {"name": name})
        return self._review_task(task_id, frames)

    def _upload(self, task_id: int, pictures: Sequence[Picture]) -> None:
        from cvat_sdk.api_client.exceptions import ApiException
        from cvat_sdk.core.exceptions import CvatSdkException
        from cvat_sdk.core.uploading import DataUploader
        from urllib3.exceptions import HTTPError

        client = self.session.client
        with tempfile.TemporaryDirectory(prefix="reefline-upload-") as folder:
            paths = []
            for picture in pictures:
                path = Path(folder) / picture.name
                path.write_bytes(picture.read())
                paths.append(path)
            try:
                url = f"{self.url}/api/tasks/{task_id}/data/"
                order = [path.name for path in paths]
                answer = DataUploader(client).upload_files(
                    url, paths, image_quality=IMAGE_QUALITY, sorting_method="predefined", upload_file_order=order
                )
                self._await(answer)
            except (HTTPError, OSError) as error:
                raise CvatUnavailable(f"upload to CVAT task {task_id} broke off: {error}") from error
            except (ApiException, CvatSdkException) as error:
                raise CvatUnavailable(f"CVAT did not take the pictures of task {task_id}: {error}") from error

    def _await(self, answer: Any) -> None:
        request_id = json.loads(answer.data)["rq_id"]
        deadline = time.monotonic() + PROCESSING_S
        while True:
            status = self.session.request("GET", f"/api/requests/{quote(request_id, safe='')}")
            if status["status"] == "finished":
                return
            if status["status"] == "failed":
                raise CvatRefused(f"CVAT could not make task data: {status['message']}")
            if time.monotonic() > deadline:
                raise CvatUnavailable(
                    f"CVAT has not made the task's data within {PROCESSING_S:.0f} s: is its worker up?"
                )
            time.sleep(0.2)

    def _user_id(self, username: str) -> int:
        found = [u for u in self.session.listed("/api/users", search=username) if u["username"] == username]
        if not found:
            raise CvatRefused(f"CVAT has no user {username!r}: correct 'assignees' in the survey file, or invite them")
        return int(found[0]["id"])

    def _frames(self, task_id: int) -> dict[str, int]:
        meta = self.session.request("GET", f"/api/tasks/{task_id}/data/meta")
        return {frame["name"]: number for number, frame in enumerate(meta["frames"])}

    def _review_task(self, task_id: int, frames: Mapping[str, int]) -> ReviewTask:
        return ReviewTask(task_id, self._task_url(task_id), self.jobs(task_id), frames)

    def _task_url(self, task_id: int) -> str:
        return f"{self.url}/tasks/{task_id}"

    def jobs(self, task_id: int) -> list[JobState]:
        """The task's jobs, by id."""
        states = [job_state(job) for job in self.session.listed("/api/jobs", task_id=task_id)]
        return sorted((s for s in states if s), key=lambda s: s.job_id)

    def read_task(self, task_id: int) -> ReviewedTask:
        """A task as it is now: jobs with their annotations, labels, frames, deleted frames."""
        task = self.session.request("GET", f"/api/tasks/{task_id}")
        meta = self.session.request("GET", f"/api/tasks/{task_id}/data/meta")
        jobs = sorted(self.session.listed("/api/jobs", task_id=task_id), key=lambda j: j["id"])
        return ReviewedTask(
            task_id,
            self._task_url(task_id),
            self.labels(task["project_id"]),
            [self._read_job(job) for job in jobs],
            {frame["name"]: number for number, frame in enumerate(meta["frames"])},
            meta["deleted_frames"],
        )

    def _read_job(self, job: Mapping[str, Any]) -> ReviewedJob:
        annotations = self.session.request("GET", f"/api/jobs/{job['id']}/annotations")
        assignee = job["assignee"]["username"] if job["assignee"] else None
        return ReviewedJob(
            job["id"], job["type"], job["stage"], job["state"], assignee, job["updated_date"], annotations
        )

    def delete_task(self, task_id: int) -> None:
        """Delete a task; it is no error when it is gone already."""
        try:
            self.session.request("DELETE", f"/api/tasks/{task_id}")
        except CvatRefused as error:
            if error.status != 404:
                raise
