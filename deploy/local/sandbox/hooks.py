"""Delivering events: one at a time, once, in order, as CVAT's single webhooks worker does."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from typing import Any

import httpx

from deploy.local.sandbox.store import Document, Store, now

logger = logging.getLogger("sandbox.hooks")

DELAY_S = 0.1
TIMEOUT_S = 10.0
VERSION = "2.54.1"


class Deliverer:
    """Sends queued events in a thread of its own. The queue is in the store, so a restart sends what is left."""

    def __init__(self, store: Store) -> None:
        """Send what ``store`` queues."""
        self.store = store
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the delivery in flight."""
        self._stop = True
        self._wake.set()
        self._thread.join(TIMEOUT_S + 1)

    def queue(self, project_id: int | None, payload: Document) -> None:
        """Queue an event for every active webhook of the project that has subscribed to it."""
        for webhook in self.store.all("webhook", project_id=project_id):
            if webhook["is_active"] and payload["event"] in webhook["events"]:
                job = {"id": self.store.next_id("queued"), "webhook": webhook["id"], "at": time.time() + DELAY_S}
                self.store.put("queued", {**job, "payload": {**payload, "webhook_id": webhook["id"]}})
        self._wake.set()

    def send(self, webhook: Document, payload: Document, *, redelivery: bool = False) -> Document:
        """Send one event now and keep its delivery; nothing is retried."""
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/json", "User-Agent": f"CVAT/{VERSION} python-requests/2.32"}
        if webhook["secret"]:
            headers["X-Signature-256"] = (
                "sha256=" + hmac.new(webhook["secret"].encode(), body, hashlib.sha256).hexdigest()
            )
        status, text = _post(webhook["target_url"], body, headers)
        when = now()
        delivery = {
            "id": self.store.next_id("delivery"),
            "webhook_id": webhook["id"],
            "event": payload["event"],
            "status_code": status,
            "redelivery": redelivery,
            "created_date": when,
            "updated_date": when,
            "changed_fields": ",".join(payload.get("before_update", {})),
            "request": payload,
            "response": text,
        }
        return self.store.put("delivery", delivery)

    def _work(self) -> None:
        while not self._stop:
            waiting = self.store.all("queued")
            if not waiting:
                self._wake.wait(1)
                self._wake.clear()
                continue
            for item in waiting:
                if self._stop:
                    return
                time.sleep(max(0.0, item["at"] - time.time()))
                webhook = self.store.get("webhook", item["webhook"])
                try:
                    if webhook is not None:
                        self.send(webhook, item["payload"])
                except Exception:  # the worker must live on; the event is lost, as with CVAT
                    logger.exception("delivery %d failed", item["id"])
                self.store.delete("queued", item["id"])


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    try:
        answer = httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_S)
    except httpx.TimeoutException:
        return 504, ""
    except httpx.TransportError:
        return 502, ""
    return answer.status_code, answer.text
