"""A sandbox of a test's own, with a project, a webhook and tasks in it."""

import io
from dataclasses import dataclass

import httpx
from PIL import Image

from tests.contract.server import Receiver, SandboxProcess, wait_until

EVENTS = ["create:task", "update:task", "create:job", "update:job"]


@dataclass
class Workplace:
    """A sandbox, somebody who asks it, and who is told."""

    sandbox: SandboxProcess
    client: httpx.Client
    receiver: Receiver

    def post(self, path: str, body: dict, **query) -> dict:
        """What a POST answers."""
        answer = self.client.post(path, json=body, params=query)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()

    def patch(self, path: str, body: dict) -> dict:
        """What a PATCH answers."""
        answer = self.client.patch(path, json=body)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()

    def get(self, path: str, **query) -> dict:
        """What a GET answers."""
        answer = self.client.get(path, params=query)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()

    def project(self, name: str = "reefs", labels: list[dict] | None = None) -> dict:
        """A new project."""
        return self.post("/api/projects", {"name": name, "labels": labels or [{"name": "coral", "type": "polygon"}]})

    def hook(self, project: dict, path: str = "/hook", events: list[str] | None = None) -> dict:
        """A new webhook of a project."""
        body = {"target_url": self.receiver.url + path, "type": "project", "project_id": project["id"]}
        return self.post("/api/webhooks", body | {"events": events or EVENTS, "secret": "of the test"})

    def task(self, project: dict | None, pictures: int = 2, **spec) -> dict:
        """A new task with pictures; ``finish`` goes to its last step."""
        finish = spec.pop("finish", {})
        spec = {"name": "task", **({"project_id": project["id"]} if project else {}), **spec}
        task = self.post("/api/tasks", spec)
        path = f"/api/tasks/{task['id']}/data"
        files = [(f"client_files[{n}]", (f"{n}.png", picture(n), "image/png")) for n in range(pictures)]
        for headers, more in (
            ({"Upload-Start": "true"}, {"json": {"image_quality": 70}}),
            ({"Upload-Multiple": "true"}, {"files": files}),
            ({"Upload-Finish": "true"}, {"json": {"image_quality": 70, **finish}}),
        ):
            answer = self.client.post(path, headers=headers, **more)
            assert answer.is_success, answer.text
        return self.get(f"/api/tasks/{task['id']}")

    def jobs(self, task: dict) -> list[dict]:
        """Jobs of a task, the first one first."""
        return self.get("/api/jobs", task_id=task["id"], page_size=100)["results"][::-1]

    def settled(self) -> list[dict]:
        """What has arrived, once nothing has come for a while."""
        taken = self.receiver.taken
        seen = [-1, 0]

        def quiet() -> bool:
            seen[1] = seen[1] + 1 if seen[0] == len(taken) else 0
            seen[0] = len(taken)
            return seen[1] > 70

        wait_until(quiet, 60)
        return taken

    def deliveries(self, hook: dict) -> list[dict]:
        """Delivery rows, the oldest first."""
        return self.get(f"/api/webhooks/{hook['id']}/deliveries", page_size=500)["results"][::-1]


def picture(number: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    """A small PNG; each number has another colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (number * 40 % 256, 90, 160)).save(buffer, "PNG")
    return buffer.getvalue()
