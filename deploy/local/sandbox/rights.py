"""Who may do what, as CVAT's rules have it: people see what is theirs, an assignee of a job works on that job only.

The rules are those of CVAT's personal workspace and the roles of its organizations
(``cvat/apps/engine/rules/*.rego``), as far as a recorded session shows them.
"""

from __future__ import annotations

from deploy.local.sandbox.store import Document, Store

ROLES = ("worker", "supervisor", "maintainer", "owner")
"""Roles in an organization, each with the rights of those before it."""


class Rights:
    """What one user may do."""

    def __init__(self, store: Store, user: Document) -> None:
        """Rights of ``user``."""
        self.store = store
        self.user = user

    @property
    def everything(self) -> bool:
        """Whether the user is an administrator."""
        return bool(self.user["is_superuser"])

    def role(self, organization: int | None) -> int:
        """Place of the user's role among ``ROLES``, -1 for none."""
        if organization is None:
            return -1
        members = self.store.all("membership", organization=organization, user=self.user["id"])
        return ROLES.index(members[0]["role"]) if members and members[0]["is_active"] else -1

    def leads(self, organization: int | None) -> bool:
        """Whether the user maintains or owns an organization."""
        return self.everything or self.role(organization) >= ROLES.index("maintainer")

    def has_project(self, project: Document) -> bool:
        """Whether the user may see and change a project."""
        mine = self.user["id"] in (project["owner"], project.get("assignee"))
        return mine or self.leads(project.get("organization"))

    def has_task(self, task: Document) -> bool:
        """Whether the user may see and change a task with all its jobs."""
        if self.user["id"] in (task["owner"], task["assignee"]) or self.leads(task.get("organization")):
            return True
        project = self._project(task)
        return project is not None and self.has_project(project)

    def may_delete_task(self, task: Document) -> bool:
        """Whether the user may delete a task: an assignee may not."""
        project = self._project(task) or {}
        return self.user["id"] in (task["owner"], project.get("owner")) or self.leads(task.get("organization"))

    def has_job(self, job: Document) -> bool:
        """Whether the user may see a job and work on it."""
        return job["assignee"] == self.user["id"] or self.leads_job(job)

    def leads_job(self, job: Document) -> bool:
        """Whether the user may change a job's stage and assignee."""
        task = self.store.get("task", job["task_id"])
        return task is not None and self.has_task(task)

    def sees_project(self, project: Document) -> bool:
        """Whether lists show the user a project: also for one task or job in it."""
        if self.has_project(project):
            return True
        return any(self.sees_task(task) for task in self.store.all("task", project_id=project["id"]))

    def sees_task(self, task: Document) -> bool:
        """Whether lists show the user a task: also for one job in it."""
        assigned = self.store.all("job", task_id=task["id"], assignee=self.user["id"])
        return bool(assigned) or self.has_task(task)

    def has_issue(self, issue: Document) -> bool:
        """Whether the user may see and answer an issue."""
        job = self.store.get("job", issue["job"])
        return issue["owner"] == self.user["id"] or (job is not None and self.has_job(job))

    def has_webhook(self, webhook: Document) -> bool:
        """Whether the user may see and change a webhook."""
        project = self.store.get("project", webhook["project_id"]) if webhook["project_id"] else None
        if webhook["owner"] == self.user["id"] or self.leads(webhook.get("organization")):
            return True
        return project is not None and self.user["id"] == project["owner"]

    def _project(self, task: Document) -> Document | None:
        return self.store.get("project", task["project_id"]) if task["project_id"] else None
