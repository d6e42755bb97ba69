"""CVAT's own backups of tasks: pictures and annotations in a zip file that any CVAT takes back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from resources.cvat.errors import CvatRefused, CvatUnavailable
from resources.cvat.session import Session

PATIENCE_S = 1800.0
CHUNK = 1 << 20


def save_backup(session: Session, task_id: int, path: Path) -> None:
    """Let CVAT write the backup of a task, pictures included, and fetch it.

    Raises:
        CvatRefused: CVAT cannot write it, or the account may not ask for it.
        CvatUnavailable: it is not done in time.
    """
    asked = session.request("POST", f"/api/tasks/{task_id}/backup/export", lightweight="false")
    status = _finished(session, asked["rq_id"], task_id)
    _fetch(session, str(status["result_url"]), path)


def _finished(session: Session, request_id: str, task_id: int) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        status = session.request("GET", f"/api/requests/{quote(request_id, safe='')}")
        if status["status"] == "finished":
            return dict(status)
        if status["status"] == "failed":
            raise CvatRefused(f"CVAT could not back task {task_id} up: {status['message']}")
        if time.monotonic() > deadline:
            raise CvatUnavailable(f"CVAT has not backed task {task_id} up within {PATIENCE_S:.0f} s: is its worker up?")
        time.sleep(0.3)


def _fetch(session: Session, url: str, path: Path) -> None:
    """The file behind a result's address. CVAT writes its own host name into it, which may be another one from here."""
    from cvat_sdk.api_client.exceptions import ApiException
    from cvat_sdk.core.uploading import make_request_headers
    from urllib3.exceptions import HTTPError

    parts = urlsplit(url)
    address = f"{session.url}{parts.path}?{parts.query}"
    api = session.client.api_client
    try:
        answer = api.rest_client.request("GET", address, headers=make_request_headers(api), _preload_content=False)
        with path.open("wb") as file:
            for chunk in answer.stream(CHUNK):
                file.write(chunk)
    except (ApiException, HTTPError, OSError) as error:
        raise CvatUnavailable(f"{session.url} broke off while a backup was fetched: {error}") from error
