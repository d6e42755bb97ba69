"""Making a review task, whole or not at all: it gets its final name as the very last step."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from resources.cvat.errors import CvatRefused, CvatUnavailable
from resources.cvat.tasks import Copies, Honeypots, Picture, StoredPictures, Validation

if TYPE_CHECKING:
    from resources.cvat.client import CvatClient

Annotate = Callable[[Mapping[str, int], Mapping[str, Any]], dict[str, Any]]
"""From frame numbers by picture name, and labels by name, to CVAT's annotation JSON of the pictures that are named."""

HALF_MADE = " (being made)"
IMAGE_QUALITY = 95
PROCESSING_S = 900.0
"""How long CVAT may take to unpack a task's pictures."""


@dataclass(frozen=True, slots=True)
class Order:
    """A task to be made. ``spec``: body for CVAT, without the name."""

    name: str
    spec: Mapping[str, Any]
    pictures: Sequence[Picture]
    annotate: Annotate
    assignees: Sequence[str] = ()
    validation: Validation | Honeypots | None = None
    organization: str | None = None
    copies: Copies | None = None


class TaskMaker:
    """Makes tasks for a client. A fixed number of requests per task, and one upload per picture at most."""

    def __init__(self, cvat: CvatClient) -> None:
        """Make tasks through ``cvat``."""
        self.cvat = cvat
        self.session = cvat.session

    def make(self, order: Order) -> int:
        """Id of the new task."""
        people = [self._user_id(user) for user in order.assignees]
        spec = {**order.spec, "name": order.name + HALF_MADE}
        task_id = int(self.session.request("POST", "/api/tasks", spec, org=order.organization)["id"])
        arrangement = _arrangement(order.validation)
        if self.cvat.stored:
            self._point_to(task_id, order.pictures, self.cvat.stored, arrangement)
        else:
            self._upload(task_id, order.pictures, arrangement)
        names = self.cvat.frame_names(task_id)
        wanted = {self.cvat.frame_name(picture) for picture in order.pictures}
        if set(names) != wanted:
            raise CvatUnavailable(f"CVAT task {task_id} has {len(set(names))} of {len(wanted)} pictures: try again")
        labels = self.cvat.labels(order.spec["project_id"])
        if isinstance(order.validation, Honeypots):
            self._fill_jobs(task_id, names, order.annotate, labels)
        else:
            data = order.annotate({name: number for number, name in enumerate(names)}, labels)
            self.session.request("PUT", f"/api/tasks/{task_id}/annotations", data)
        if order.copies and order.copies.proposals:
            # What is given for the whole task goes into the jobs themselves only.
            self._fill_jobs(task_id, names, order.annotate, labels, kind="consensus_replica")
        if isinstance(order.validation, Validation):
            self._add_ground_truth(task_id, len(names), order.validation)
        self._assign(task_id, people)
        self.session.request("PATCH", f"/api/tasks/{task_id}", {"name": order.name})
        return task_id

    def _assign(self, task_id: int, people: Sequence[int]) -> None:
        """Hand the jobs out in turn; the copies of a job go to those who come after its own person."""
        if not people:
            return
        jobs = sorted(self.session.listed("/api/jobs", task_id=task_id), key=lambda job: job["id"])
        own = [job["id"] for job in jobs if job["type"] == "annotation"]
        turn = {number: place for place, number in enumerate(own)}
        for job in jobs:
            if job["type"] == "consensus_replica":
                turn[job["id"]] = (
                    turn[job["parent_job_id"]]
                    + 1
                    + sum(other["parent_job_id"] == job["parent_job_id"] and other["id"] < job["id"] for other in jobs)
                )
        for number, place in turn.items():
            self.session.request("PATCH", f"/api/jobs/{number}", {"assignee": people[place % len(people)]})

    def _fill_jobs(
        self,
        task_id: int,
        names: Sequence[str],
        annotate: Annotate,
        labels: Mapping[str, Any],
        kind: str = "annotation",
    ) -> None:
        """Pre-labels of every job of a kind, also where it shows a picture of the pool.

        Given for the whole task, CVAT would empty the placeholders, or copy what the ground-truth job is given: that
        job stays empty, because whoever draws the truth must not see the proposals.
        """
        for job in self.session.listed("/api/jobs", task_id=task_id, type=kind):
            frames = {names[number]: number for number in range(job["start_frame"], job["stop_frame"] + 1)}
            self.session.request("PUT", f"/api/jobs/{job['id']}/annotations", annotate(frames, labels))

    def _add_ground_truth(self, task_id: int, pictures: int, validation: Validation) -> None:
        count = max(1, round(pictures * validation.share))
        body: dict[str, Any] = {"type": "ground_truth", "task_id": task_id, "random_seed": validation.seed}
        body["frame_selection_method"] = validation.method
        per_job = validation.method == "random_per_job"
        body |= {"frames_per_job_share": validation.share} if per_job else {"frame_count": count}
        self.session.request("POST", "/api/jobs", body)

    def _point_to(
        self, task_id: int, pictures: Sequence[Picture], stored: StoredPictures, arrangement: Mapping[str, Any]
    ) -> None:
        """Let CVAT read the pictures from where they lie."""
        body: dict[str, Any] = {
            "server_files": [self.cvat.frame_name(picture) for picture in pictures],
            "image_quality": IMAGE_QUALITY,
            "use_cache": True,
            **arrangement,
        }
        if stored.storage:
            storage = self.cvat.find_storage(stored.storage)
            if storage is None:
                raise CvatRefused(f"CVAT has no cloud storage {stored.storage!r}: run 'reefline cvat apply' once")
            body["cloud_storage_id"] = storage["id"]
        self._await(self.session.request("POST", f"/api/tasks/{task_id}/data", body)["rq_id"])

    def _upload(self, task_id: int, pictures: Sequence[Picture], arrangement: Mapping[str, Any]) -> None:
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
                url = f"{self.session.url}/api/tasks/{task_id}/data/"
                # With "predefined" sorting the uploader itself tells the order of the paths.
                answer = DataUploader(client).upload_files(url, paths, image_quality=IMAGE_QUALITY, **arrangement)
                self._await(json.loads(answer.data)["rq_id"])
            except (HTTPError, OSError) as error:
                raise CvatUnavailable(f"upload to CVAT task {task_id} broke off: {error}") from error
            except (ApiException, CvatSdkException) as error:
                raise CvatUnavailable(f"CVAT did not take the pictures of task {task_id}: {error}") from error

    def _await(self, request_id: str) -> None:
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


def _arrangement(validation: Validation | Honeypots | None) -> dict[str, Any]:
    """How CVAT is to order the pictures. Honeypots are only to be had with frames in an order drawn by lot."""
    if not isinstance(validation, Honeypots):
        return {"sorting_method": "predefined"}
    params = {
        "mode": "gt_pool",
        "frame_selection_method": "random_uniform",
        "frame_share": validation.share,
        "frames_per_job_count": validation.per_job,
        "random_seed": validation.seed,
    }
    return {"sorting_method": "random", "validation_params": params}
