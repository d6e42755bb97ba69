"""Telling people: every notice goes to the log, and as a JSON POST to one URL when the installation has one."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

logger = logging.getLogger("reefline.notifier")

TIMEOUT_S = 10


class Notifier:
    """Sends notices. A receiver that does not answer is logged and never stops the caller's own work."""

    def __init__(self, url: str = "") -> None:
        """Post to ``url`` (http or https), or only log when it is empty."""
        if url and not url.startswith(("http://", "https://")):
            raise ValueError(f"REEFLINE_NOTIFY_URL {url!r}: expected an http:// or https:// address")
        self.url = url

    def send(self, subject: str, facts: dict[str, str]) -> bool:
        """Send one notice; whether it reached the receiver (``True`` when there is none)."""
        logger.warning("%s %s", subject, json.dumps(facts, sort_keys=True))
        if not self.url:
            return True
        try:
            self._post(json.dumps({"text": subject, **facts}).encode())
        except (urllib.error.URLError, TimeoutError) as error:
            logger.error("notice %r did not reach its receiver: %s", subject, error)  # noqa: TRY400 - no bug of ours
            return False
        return True

    @retry(
        retry=retry_if_exception_type((urllib.error.URLError, TimeoutError)),
        stop=stop_after_attempt(3),
        wait=wait_exponential_jitter(1, 10),
        reraise=True,
    )
    def _post(self, body: bytes) -> None:
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})  # noqa: S310 - checked in __init__
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            response.read()
