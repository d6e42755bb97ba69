"""Objects as CVAT 2.54 writes them in REST answers and webhook payloads."""

from __future__ import annotations

from typing import Any

from deploy.local.sandbox.store import Document, Store

ANNOTATION, VALIDATION, ACCEPTANCE = "annotation", "validation", "acceptance"
COMPLETED = "completed"
REPLICA = "consensus_replica"


class Views:
    """Writes documents for a base address (CVAT takes it from the request's Host header)."""

    def __init__(self, store: Store, base: str) -> None:
        """Read from ``store``; addresses begin with ``base``."""
        self.store = store
        self.base = base

    def basic_user(self, number: int | None) -> Document | None:
        """A user as written inside other objects."""
        user = self.store.get("user", number) if number else None
        if user is None:
            return None
        return {
            "url": f"{self.base}/api/users/{user['id']}",
            "id": user["id"],
            **_fields(user, "username first_name last_name"),
        }

    def user(self, user: Document) -> Document:
        """A user in full."""
        fields = "username first_name last_name email groups is_staff is_superuser is_active last_login date_joined"
        return {
            "url": f"{self.base}/api/users/{user['id']}",
            "id": user["id"],
            **_fields(user, fields),
            "has_analytics_access": user["is_superuser"],
        }

    def project(self, project: Document) -> Document:
        """A project."""
        tasks = self.store.all("task", project_id=project["id"])
        number = project["id"]
        return {
            "url": f"{self.base}/api/projects/{number}",
            "id": number,
            "name": project["name"],
            "owner": self.basic_user(project["owner"]),
            "assignee": self.basic_user(project.get("assignee")),
            "guide_id": self.guide_of(project_id=number),
            "bug_tracker": project["bug_tracker"],
            "created_date": project["created_date"],
            "updated_date": project["updated_date"],
            "status": ANNOTATION,
            "dimension": "2d" if tasks else None,
            "organization": project.get("organization"),
            "organization_id": project.get("organization"),
            "target_storage": None,
            "source_storage": None,
            "tasks": {"count": len(tasks), "url": f"{self.base}/api/tasks?project_id={number}"},
            "labels": {"url": f"{self.base}/api/labels?project_id={number}"},
            "assignee_updated_date": project.get("assignee_updated_date"),
            "task_subsets": sorted({t["subset"] for t in tasks if t["subset"]}),
        }

    def guide_of(self, **owner: int | None) -> int | None:
        """Id of the annotation guide of a project or of a task."""
        found = self.store.all("guide", **owner) if all(owner.values()) else []
        return int(found[0]["id"]) if found else None

    def organization(self, organization: Document) -> Document:
        """An organization."""
        fields = "id slug name description created_date updated_date contact"
        return {**_fields(organization, fields), "owner": self.basic_user(organization["owner"])}

    def membership(self, membership: Document) -> Document:
        """Somebody's place in an organization."""
        fields = "organization is_active joined_date role invitation"
        return {"id": membership["id"], "user": self.basic_user(membership["user"]), **_fields(membership, fields)}

    def invitation(self, invitation: Document) -> Document:
        """A call to join an organization."""
        organization = self.store.get("organization", invitation["organization"]) or {}
        return {
            **_fields(invitation, "key created_date"),
            "owner": self.basic_user(invitation["owner"]),
            "role": invitation["role"],
            "user": self.basic_user(invitation["user"]),
            "organization": invitation["organization"],
            "expired": None,
            "organization_info": _fields(organization, "id slug"),
        }

    def cloud_storage(self, storage: Document) -> Document:
        """A cloud storage, without its credentials."""
        fields = "manifests created_date updated_date provider_type resource display_name credentials_type"
        more = "specific_attributes description organization"
        owner = self.basic_user(storage["owner"])
        return {"id": storage["id"], "owner": owner, **_fields(storage, fields), **_fields(storage, more)}

    def guide(self, guide: Document) -> Document:
        """An annotation guide."""
        return _fields(guide, "id task_id project_id created_date updated_date markdown")

    def system_user(self, number: int) -> Document:
        """A user as the sender of what a worker did: without an address."""
        return _fields(self.store.get("user", number) or {}, "id username email")

    def task(self, task: Document, *, in_payload: bool = False) -> Document:
        """A task. In most webhook payloads the job counts are not filled in, as in CVAT."""
        number = task["id"]
        jobs = self.store.all("job", task_id=number)
        has_truth = any(j["type"] == "ground_truth" for j in jobs)
        done = sum(job_status(j) == COMPLETED for j in jobs)
        validation = sum(job_status(j) == VALIDATION for j in jobs)
        counts: Document = {"count": len(jobs), "completed": done, "validation": validation}
        if in_payload:
            counts = {"count": 0, "completed": None, "validation": None}
        body = {
            "url": f"{self.base}/api/tasks/{number}",
            "id": number,
            **_fields(task, "name project_id mode"),
            "owner": self.basic_user(task["owner"]),
            "assignee": self.basic_user(task["assignee"]),
            **_fields(task, "bug_tracker created_date updated_date overlap segment_size"),
            "status": task["status"],
        }
        if task["data"] is not None:
            body |= {
                "data_chunk_size": task["data_chunk_size"],
                "data_original_chunk_type": "imageset",
                "data_compressed_chunk_type": "imageset",
                "data_cloud_storage_id": (task.get("source") or {}).get("cloud_storage_id"),
                **_fields(task, "size image_quality data"),
            }
        return body | {
            "guide_id": self.guide_of(task_id=number),
            "dimension": "2d",
            "subset": task["subset"],
            "organization_id": task.get("organization"),
            "organization": task.get("organization"),
            "target_storage": None,
            "source_storage": None,
            "jobs": {**counts, "url": f"{self.base}/api/jobs?task_id={number}"},
            "labels": {"url": f"{self.base}/api/labels?task_id={number}"},
            "assignee_updated_date": task["assignee_updated_date"],
            "validation_mode": (task.get("validation_mode") or "gt") if has_truth else None,
            "consensus_enabled": bool(task.get("consensus_replicas")),
        }

    def job(self, job: Document, *, created: bool = False) -> Document:
        """A job. In ``create:job`` payloads addresses are missing, as in CVAT."""
        number = job["id"]
        task = self.store.get("task", job["task_id"]) or {}
        issues = {"url": f"{self.base}/api/issues?job_id={number}", "count": len(self.store.all("issue", job=number))}
        return {
            "url": f"/api/jobs/{number}" if created else f"{self.base}/api/jobs/{number}",
            "id": number,
            "task_id": job["task_id"],
            "project_id": task.get("project_id"),
            "assignee": self.basic_user(job["assignee"]),
            "guide_id": self.guide_of(task_id=job["task_id"]) or self.guide_of(project_id=task.get("project_id")),
            "dimension": "2d",
            "bug_tracker": task.get("bug_tracker", ""),
            "status": job_status(job),
            **_fields(job, "stage state"),
            "mode": "annotation",
            **_fields(job, "frame_count start_frame stop_frame"),
            "data_chunk_size": task.get("data_chunk_size"),
            "data_compressed_chunk_type": "imageset",
            "data_original_chunk_type": "imageset",
            **_fields(job, "created_date updated_date"),
            "issues": None if created else issues,
            "labels": None if created else {"url": f"{self.base}/api/labels?job_id={number}"},
            "type": job["type"],
            "organization": task.get("organization"),
            "target_storage": None,
            "source_storage": None,
            "assignee_updated_date": job["assignee_updated_date"],
            "parent_job_id": job.get("parent_job_id"),
            "consensus_replicas": len(self.store.all("job", parent_job_id=number)) if job["type"] == ANNOTATION else 0,
        }

    def label(self, label: Document) -> Document:
        """A label with its sublabels."""
        body = {
            **_fields(label, "id name color attributes type"),
            "sublabels": [self._sublabel(s) for s in label["sublabels"]],
        }
        body |= {"project_id": label["project_id"], "parent_id": None, "has_parent": False}
        return body | ({"svg": label["svg"]} if label["type"] == "skeleton" else {})

    @staticmethod
    def _sublabel(label: Document) -> Document:
        return {**_fields(label, "id name color attributes type"), "has_parent": True}

    def webhook(self, webhook: Document) -> Document:
        """A webhook, without its secret."""
        fields = "target_url description type content_type is_active enable_ssl created_date updated_date"
        number = webhook["id"]
        body = {
            "id": number,
            "url": f"{self.base}/api/webhooks/{number}",
            **_fields(webhook, fields),
            "owner": self.basic_user(webhook["owner"]),
            "project_id": webhook["project_id"],
            "organization": webhook.get("organization"),
            "events": webhook["events"],
        }
        sent = self.store.all("delivery", webhook_id=number)
        if sent:
            body |= {"last_status": sent[-1]["status_code"], "last_delivery_date": sent[-1]["updated_date"]}
        return body

    def issue(self, issue: Document) -> Document:
        """An issue."""
        number = issue["id"]
        comments = self.store.all("comment", issue=number)
        return {
            "id": number,
            **_fields(issue, "frame position job"),
            "owner": self.basic_user(issue["owner"]),
            "assignee": None,
            **_fields(issue, "created_date updated_date resolved"),
            "comments": {"url": f"{self.base}/api/comments?issue_id={number}", "count": len(comments)},
        }

    def comment(self, comment: Document) -> Document:
        """A comment on an issue."""
        return {
            "id": comment["id"],
            "issue": comment["issue"],
            "owner": self.basic_user(comment["owner"]),
            **_fields(comment, "message created_date updated_date"),
        }


def job_status(job: Document) -> str:
    """CVAT's computed status: the stage decides, completed only in acceptance (``cvat/apps/engine/models.py``)."""
    if job["stage"] == ANNOTATION:
        return ANNOTATION
    return COMPLETED if job["stage"] == ACCEPTANCE and job["state"] == COMPLETED else VALIDATION


def task_status(jobs: list[Document]) -> str:
    """Status of a task with these jobs: that of the job that is furthest back."""
    statuses = {job_status(job) for job in jobs}
    if not statuses or ANNOTATION in statuses:
        return ANNOTATION
    return VALIDATION if VALIDATION in statuses else COMPLETED


def _fields(document: Document, names: str) -> dict[str, Any]:
    return {name: document.get(name) for name in names.split()}
