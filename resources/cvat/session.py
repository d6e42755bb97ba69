"""Requests to CVAT over cvat-sdk's authenticated connection: JSON in, JSON out, retries for passing trouble.

The SDK's generated models refuse answers of servers that are a few versions older or newer than the SDK; plain JSON
does not, so one client serves them all.
"""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlparse

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from resources.cvat.errors import CvatRefused, CvatUnavailable

logger = logging.getLogger("reefline.cvat")

ATTEMPTS = 5
PAGE_SIZE = 100
TIMEOUT_S = (10.0, 120.0)
"""To connect, and between two bytes of an answer; saving a large batch takes CVAT a while."""
PIECE = 1 << 20
"""Bytes of a download that are in memory at once."""
HINTS = {
    400: "if this is the login, check user and password",
    401: "check REEFLINE_CVAT_TOKEN, or user and password; a token may have expired",
    403: "the service account may not do this: give it the right in CVAT",
    404: "somebody may have deleted it in CVAT",
}


class _Passing(Exception):
    """A trouble that may be over at the next try."""


class Session:
    """A connection to one CVAT server; logs in on first use. Safe for several threads."""

    def __init__(self, url: str, token: str | None, username: str | None, password: str | None) -> None:
        """Use the server at ``url`` with an access token, or with user and password."""
        self.url = url.rstrip("/")
        self.calls = 0
        self.acted: Callable[[str, str, Any, Any], None] | None = None
        """Told of every request that has changed something: method, path, body, answer."""
        self._token, self._username, self._password = token, username, password
        self._lock = threading.RLock()
        self._client: Any = None

    @property
    def client(self) -> Any:
        """The cvat-sdk client, logged in.

        Raises:
            CvatRefused: no address or no account is configured, or the login is wrong.
            CvatUnavailable: the server does not answer.
        """
        with self._lock:
            if self._client is None:
                self._client = self._patiently(self._login)
            return self._client

    def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request; the JSON of the answer, ``None`` when it is empty.

        Raises:
            CvatRefused: CVAT answers with an error that stays.
            CvatUnavailable: CVAT does not answer, or fails again and again.
        """
        answer = self._patiently(lambda: self._once(method, path, body, query))
        if self.acted is not None and method != "GET":
            self.acted(method, path, body, answer)
        return answer

    def download(self, address: str, target: Path) -> int:
        """Fetch a file in pieces; its size in bytes. What is at ``target`` is replaced.

        Args:
            address: path, or a URL as CVAT gives it; of a URL only path and query are used, because CVAT builds the
                host from the request, and a proxy may have changed it.
            target: where to write.

        Raises:
            CvatRefused: CVAT answers with an error that stays.
            CvatUnavailable: it does not answer, or the connection is cut again and again.
        """
        parts = urlparse(address)
        return self._patiently(lambda: self._fetch(parts._replace(scheme="", netloc="").geturl(), target))

    def listed(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All items of a paged list, in the server's order."""
        return [item for page in self.pages(path, **query) for item in page]

    def pages(self, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
        """The pages of a paged list, each fetched when it is asked for.

        Raises:
            CvatUnavailable: the pages hold fewer items than the list says; nothing is concluded from half a list.
        """
        page, seen = 1, 0
        while True:
            answer = self.request("GET", path, page=page, page_size=PAGE_SIZE, **query)
            seen += len(answer["results"])
            if not answer["next"] and seen < answer["count"]:
                raise CvatUnavailable(f"CVAT gave {seen} of {answer['count']} items of {path}: try again")
            yield answer["results"]
            if not answer["next"]:
                return
            page += 1

    def _login(self) -> Any:
        from cvat_sdk.api_client.exceptions import ApiException
        from cvat_sdk.core.client import AccessTokenCredentials, Client, Config
        from urllib3.exceptions import HTTPError

        if urlparse(self.url).scheme not in ("http", "https"):
            raise CvatRefused("no CVAT is configured: set REEFLINE_CVAT_URL to its http(s) address")
        if not self._token and not (self._username and self._password):
            raise CvatRefused("no CVAT account: set REEFLINE_CVAT_TOKEN, or REEFLINE_CVAT_USERNAME and _PASSWORD")
        quiet = logging.getLogger("reefline.cvat.sdk")
        quiet.setLevel(logging.ERROR)  # it warns of every server that is not exactly its own version
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                client = Client(
                    self.url, logger=quiet, config=Config(status_check_period=0.5), check_server_version=False
                )
                if self._token:
                    client.login(AccessTokenCredentials(self._token))
                else:
                    client.login((str(self._username), str(self._password)))
        except ApiException as error:
            raise _translated(error.status, error.body, "login") from error
        except (HTTPError, OSError) as error:
            raise _Passing(f"{self.url} does not answer: {_first_line(error)}") from error
        return client

    def _once(self, method: str, path: str, body: Any, query: dict[str, Any]) -> Any:
        from cvat_sdk.api_client.exceptions import ApiException
        from cvat_sdk.core.uploading import make_request_headers
        from urllib3.exceptions import HTTPError

        api = self.client.api_client
        asked = {name: value for name, value in query.items() if value is not None}
        address = f"{self.url}{path}" + (f"?{urlencode(asked)}" if asked else "")
        headers = {**make_request_headers(api), "Accept": "application/vnd.cvat+json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.calls += 1
        try:
            answer = api.rest_client.request(method, address, headers=headers, body=body, _request_timeout=TIMEOUT_S)
        except ApiException as error:
            raise _translated(error.status, error.body, f"{method} {path}") from error
        except (HTTPError, OSError) as error:
            raise _Passing(f"{self.url} does not answer: {_first_line(error)}") from error
        return json.loads(answer.data) if answer.data else None

    def _fetch(self, path: str, target: Path) -> int:
        from cvat_sdk.api_client.exceptions import ApiException
        from cvat_sdk.core.uploading import make_request_headers
        from urllib3.exceptions import HTTPError

        api = self.client.api_client
        headers = make_request_headers(api)
        self.calls += 1
        try:
            answer = api.rest_client.request(
                "GET", f"{self.url}{path}", headers=headers, _parse_response=False, _request_timeout=TIMEOUT_S
            )
            with target.open("wb") as file:
                return sum(file.write(piece) for piece in answer.stream(PIECE))
        except ApiException as error:
            raise _translated(error.status, error.body, f"GET {path.partition('?')[0]}") from error
        except HTTPError as error:
            raise _Passing(f"{self.url}: {path.partition('?')[0]} was cut off: {_first_line(error)}") from error

    @staticmethod
    def _patiently(work: Any) -> Any:
        patient = Retrying(
            retry=retry_if_exception_type(_Passing),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(0.3, 8),
            reraise=True,
        )
        try:
            return patient(work)
        except _Passing as error:
            raise CvatUnavailable(str(error)) from error


def _translated(status: int | None, body: Any, what: str) -> Exception:
    if status is None or status >= 500 or status in (408, 429):
        return _Passing(f"CVAT answered {status} to {what}")
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    hint = HINTS.get(status, "see CVAT's answer")
    return CvatRefused(f"CVAT refused {what} with {status}: {text[:300]} ({hint})", status)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
