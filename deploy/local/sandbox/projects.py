"""Changes to projects, and how any change is told: to webhooks and to the event log."""

from __future__ import annotations

from collections.abc import Callable

from deploy.local.sandbox.events import keep_change
from deploy.local.sandbox.labels import change_labels
from deploy.local.sandbox.store import Document, Store, now
from deploy.local.sandbox.views import Views

Notify = Callable[[int | None, int | None, Document], None]
"""Queues an event for the webhooks of a project and of an organization."""


class ProjectChanges:
    """Changes to projects made by one user through one address."""

    def __init__(
        self, store: Store, views: Views, user: Document, notify: Notify, workspace: int | None = None
    ) -> None:
        """Change ``store``; ``notify`` queues events; what is new belongs to the organization ``workspace``."""
        self.workspace = workspace
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
        organization: int | None = None,
    ) -> None:
        """Queue an event; ``before`` is the object's earlier form, of which the changed fields are sent."""
        number = self.user["id"]
        sender = self.views.system_user(number) if by_worker else self.views.basic_user(number)
        payload: Document = {kind: body, "sender": sender, "event": event}
        keep_change(self.store, event, body, before, self.user)
        if before is not None:
            payload["before_update"] = {name: before.get(name) for name in body if before.get(name) != body[name]}
        project = self.store.get("project", project_id) if project_id else None
        if organization is None:
            organization = body["organization"] if "organization" in body else (project or {}).get("organization")
        self._notify(project_id, organization, payload)

    def create_project(self, spec: Document) -> Document:
        """A project with its labels."""
        when = now()
        project = {
            "id": self.store.next_id("project"),
            "name": spec["name"],
            "owner": self.user["id"],
            "assignee": spec.get("assignee_id"),
            "assignee_updated_date": None,
            "organization": self.workspace,
            "bug_tracker": spec.get("bug_tracker") or "",
            "created_date": when,
            "updated_date": when,
        }
        self.store.put("project", project)
        change_labels(self.store, project["id"], spec.get("labels") or [])
        self.fire(project["id"], "create:project", "project", self.views.project(project))
        return project

    def patch_project(self, project: Document, fields: Document) -> None:
        """Change a project and its labels."""
        before = self.views.project(project)
        change_labels(self.store, project["id"], fields.get("labels") or [])
        project |= {k: fields[k] for k in ("name", "bug_tracker") if k in fields}
        if "assignee_id" in fields:
            project |= {"assignee": fields["assignee_id"], "assignee_updated_date": now()}
        project["updated_date"] = now()
        self.store.put("project", project)
        self.fire(project["id"], "update:project", "project", self.views.project(project), before)

    def touch_project(self, project_id: int | None) -> None:
        """Something in the project has changed; CVAT tells that, too."""
        project = self.store.get("project", project_id) if project_id else None
        if project is None:
            return
        before = self.views.project(project)
        project["updated_date"] = now()
        self.store.put("project", project)
        after = self.views.project(project)
        self.fire(project_id, "update:project", "project", after, {**after, "updated_date": before["updated_date"]})
