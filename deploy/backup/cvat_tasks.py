"""Review tasks of CVAT: kept by CVAT's own backups, and brought back into a CVAT that has lost them.

CVAT's backup of a task knows pictures, annotations and how frames are shared out among jobs. It knows neither project
nor people, nor in which state a job was; and numbers are new after an import. So these are kept beside it, and the
inbox is told the new numbers. Issues with their comments are in no backup of CVAT's: only its database dump brings
them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.backup.shelf import BackupSet, Item, Part, Shelf, Tell
from resources.cvat import CvatClient, CvatRefused, CvatUnavailable
from resources.cvat.backups import save_backup, upload_backup
from resources.inbox import Inbox
from resources.inbox.moved import MovedTask, move_tasks

PLACE = ("type", "start_frame", "stop_frame")
"""What tells the jobs of a task apart, besides their order."""


def take_tasks(cvat: CvatClient, inbox: Inbox, shelf: Shelf, scratch: Path, problems: list[str]) -> Part:
    """CVAT's backup of each review task; one that has not changed since it was kept is not asked for again.

    A task that CVAT refuses, or has lost, is a problem of that task: what is kept of it from before stays.
    """
    newest = shelf.newest_with("cvat")
    before = newest.part("cvat") if newest else Part()
    kept = {item.path: item for item in before.items}
    part, projects = Part(facts={"updated": {}, "tasks": {}}), _Projects(cvat)
    away: CvatUnavailable | None = None
    for review in inbox.reviews():
        if review.task_id is None:
            continue
        path = f"{review.batch}.{review.gate}.zip"
        try:
            if away is not None:
                raise away  # it was waited for once
            told = cvat.session.request("GET", f"/api/tasks/{review.task_id}")
            about = {"id": told["id"], "name": told["name"], **projects.of(told), "jobs": _jobs(cvat, told["id"])}
            item = kept.get(path) if before.facts.get("updated", {}).get(path) == told["updated_date"] else None
            if item is None:
                save_backup(cvat.session, review.task_id, scratch / "task.zip")
                item = shelf.keep_file(path, scratch / "task.zip")
            part.facts["updated"][path] = told["updated_date"]
        except (CvatRefused, CvatUnavailable) as error:
            away = error if isinstance(error, CvatUnavailable) else away
            problems.append(f"CVAT's task {review.task_id} ({review.batch}, {review.gate}) was not kept anew: {error}")
            item, about = kept.get(path), before.facts.get("tasks", {}).get(path)
        if item is not None and about is not None:
            part.items.append(item)
            part.facts["tasks"][path] = about
    return part


@dataclass(slots=True)
class _Projects:
    """Names of projects and organizations by their numbers, each asked for once."""

    cvat: CvatClient
    known: dict[tuple[str, int | None], dict[str, Any]] = field(default_factory=dict)

    def of(self, task: Mapping[str, Any]) -> dict[str, str | None]:
        project = self._one("projects", task["project_id"])
        return {
            "project": project.get("name"),
            "organization": self._one("organizations", task.get("organization")).get("slug"),
        }

    def _one(self, collection: str, number: int | None) -> dict[str, Any]:
        if number is None:
            return {}
        if (collection, number) not in self.known:
            self.known[collection, number] = self.cvat.session.request("GET", f"/api/{collection}/{number}")
        return self.known[collection, number]


def _jobs(cvat: CvatClient, task_id: int) -> list[dict[str, Any]]:
    jobs = sorted(cvat.session.listed("/api/jobs", task_id=task_id), key=lambda job: job["id"])
    fields = ("id", *PLACE, "stage", "state")
    return [
        {name: job[name] for name in fields} | {"assignee": (job["assignee"] or {}).get("username")} for job in jobs
    ]


@dataclass(slots=True)
class Brought:
    """What was done. ``problems``: what a person must look at."""

    imported: int = 0
    there: int = 0
    problems: list[str] = field(default_factory=list)


def bring_tasks(cvat: CvatClient, inbox: Inbox, shelf: Shelf, kept: BackupSet, tell: Tell = lambda _: None) -> Brought:
    """Import the review tasks of a set into a CVAT that has their projects, and tell the inbox their new numbers.

    May be repeated: a task is moved into its project as the last act, and one that lies there is left alone.

    Raises:
        CvatRefused: a project is missing.
        CvatUnavailable: CVAT does not answer; a repetition goes on.
    """
    part, done = kept.part("cvat"), Brought()
    items: dict[str, Item] = {item.path: item for item in part.items}
    moved: list[MovedTask] = []
    tasks: Mapping[str, dict[str, Any]] = part.facts.get("tasks", {})
    wanted = {(told["project"], told["organization"]) for told in tasks.values()}
    projects = {pair: cvat.need_project(*pair) for pair in sorted(wanted, key=str)}
    for path, told in sorted(tasks.items(), key=lambda pair: pair[1]["id"]):
        batch, gate = path.removesuffix(".zip").rsplit(".", 1)
        try:
            project = projects[told["project"], told["organization"]]
            number = _bring(cvat, shelf, items[path], told, project, done)
        except CvatRefused as error:
            done.problems.append(f"{told['name']}: {error}")
            continue
        pairs, left = _paired(told["jobs"], _jobs(cvat, number))
        done.problems += [f"{told['name']}: CVAT's backup brought no {job['type']} job for {job['id']}" for job in left]
        jobs = [job for job in cvat.jobs(number) if job.job_id in pairs.values()]
        url = f"{cvat.public_url}/tasks/{number}"
        moved.append(MovedTask(batch, gate, told["id"], number, url, pairs, jobs))
        tell(f"{told['name']}: task {number}")
    lost = move_tasks(inbox, moved)
    done.problems += [
        f"{batch}: there is no backup of the task of gate {gate}; materialize {gate}/review of this batch to ask anew"
        for batch, gate in lost
    ]
    return done


def _bring(cvat: CvatClient, shelf: Shelf, item: Item, told: Mapping[str, Any], project: int, done: Brought) -> int:
    """Number of the task in CVAT, imported unless it is there."""
    organization = told["organization"]
    listed = cvat.session.listed("/api/tasks", search=told["name"], org=organization)
    same = [task for task in listed if task["name"] == told["name"]]
    if there := [task["id"] for task in same if task["project_id"] == project]:
        done.there += 1
        return int(min(there))
    waiting = [task["id"] for task in same if task["project_id"] is None]
    if waiting:  # imported before, and cut off
        number = int(min(waiting))
    else:
        with shelf.file(item) as path:
            number = upload_backup(cvat.session, path, organization)
    pairs, _ = _paired(told["jobs"], _jobs(cvat, number))
    people: dict[str, int | None] = {}
    for job in told["jobs"]:
        if job["id"] in pairs:
            _as_before(cvat, pairs[job["id"]], job, people)
    missing = sorted(name for name, user in people.items() if user is None)
    done.problems += [f"{told['name']}: CVAT has no user {name!r}: invite them and assign the jobs" for name in missing]
    cvat.session.request("PATCH", f"/api/tasks/{number}", {"project_id": project})
    done.imported += 1
    return number


def _as_before(cvat: CvatClient, number: int, job: Mapping[str, Any], people: dict[str, int | None]) -> None:
    """Give a job its stage, its state and its person back. A new stage begins at state ``new``, so it comes first."""
    name, address = job["assignee"], f"/api/jobs/{number}"
    if name and name not in people:
        found = [u["id"] for u in cvat.session.listed("/api/users", search=name) if u["username"] == name]
        people[name] = found[0] if found else None
    if job["stage"] != "annotation":
        cvat.session.request("PATCH", address, {"stage": job["stage"]})
    change: dict[str, Any] = {"state": job["state"]} if job["state"] != "new" else {}
    if name and people[name] is not None:
        change["assignee"] = people[name]
    if change:
        cvat.session.request("PATCH", address, change)


def _paired(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> tuple[dict[int, int], list[Mapping[str, Any]]]:
    """New job numbers by the old ones, and old jobs that have no counterpart."""
    free: dict[tuple[Any, ...], list[int]] = {}
    for job in now:
        free.setdefault(tuple(job[name] for name in PLACE), []).append(job["id"])
    pairs, left = {}, []
    for job in before:
        places = free.get(tuple(job[name] for name in PLACE))
        if places:
            pairs[job["id"]] = places.pop(0)
        else:
            left.append(job)
    return pairs, left
