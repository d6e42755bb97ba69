"""CVAT's own backups of tasks: pictures and annotations in a zip file that any CVAT takes back."""

from __future__ import annotations

import json
import secrets
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
    status = _finished(session, asked["rq_id"], f"back task {task_id} up")
    _fetch(session, str(status["result_url"]), path)


def upload_backup(session: Session, path: Path, organization: str | None = None) -> int:
    """Let CVAT make a task of a backup file; its number. The task is of no project, and its jobs are new.

    Raises:
        CvatRefused: CVAT cannot make a task of it, or the account may not.
        CvatUnavailable: the connection broke off, or it is not done in time. A task may have been made.
    """
    from cvat_sdk.api_client.exceptions import ApiException
    from cvat_sdk.core.exceptions import CvatSdkException
    from cvat_sdk.core.uploading import Uploader
    from urllib3.exceptions import HTTPError

    # The file name is what CVAT keeps the upload under: two at once must not meet.
    name = f"reefline-{secrets.token_hex(8)}.zip"
    query = {"filename": name} | ({"org": organization} if organization else {})
    try:
        uploader = Uploader(session.client)
        answer = uploader.upload_file(
            f"{session.url}/api/tasks/backup/", path, meta={"filename": name}, query_params=query
        )
        request_id = str(json.loads(answer.data)["rq_id"])
    except (HTTPError, OSError) as error:
        raise CvatUnavailable(f"{session.url} broke off while a backup was sent: {error}") from error
    except ApiException as error:
        said = f"CVAT did not take a backup: {error.status} {str(error.body)[:200]}"
        raise (CvatUnavailable(said) if (error.status or 500) >= 500 else CvatRefused(said, error.status)) from error
    except CvatSdkException as error:
        raise CvatUnavailable(f"CVAT did not take a backup: {error}") from error
    return int(_finished(session, request_id, "bring a task back")["result_id"])


def _finished(session: Session, request_id: str, what: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        status = session.request("GET", f"/api/requests/{quote(request_id, safe='')}")
        if status["status"] == "finished":
            return dict(status)
        if status["status"] == "failed":
            raise CvatRefused(f"CVAT could not {what}: {status['message']}")
        if time.monotonic() > deadline:
            raise CvatUnavailable(f"CVAT could not {what} within {PATIENCE_S:.0f} s: is its import/export worker up?")
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
        answer = api.rest_client.request("GET", address, headers=make_request_headers(api), _parse_response=False)
        with path.open("wb") as file:
            for chunk in answer.stream(CHUNK):
                file.write(chunk)
    except (ApiException, HTTPError, OSError) as error:
        raise CvatUnavailable(f"{session.url} broke off while a backup was fetched: {error}") from error
