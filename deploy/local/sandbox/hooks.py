"""Delivering events: one at a time and in order, as CVAT's single webhooks worker does, but for faults on demand."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from typing import Any

import httpx

from deploy.local.sandbox.faults import REORDER_S, dialect_of, faults_of, next_fate, worker_stopped
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
        self._held = [item["id"] for item in store.all("queued", held=True)]
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the delivery in flight."""
        self._stop = True
        self._wake.set()
        self._thread.join(TIMEOUT_S + 1)

    def queue(self, project_id: int | None, organization: int | None, payload: Document) -> None:
        """Queue an event for every active webhook of the organization and of the project that has subscribed to it."""
        at = time.time() + DELAY_S + faults_of(self.store).delay_s
        told = dialect_of(self.store).payload(payload)
        webhooks = self.store.all("webhook", type="organization", organization=organization) if organization else []
        webhooks += self.store.all("webhook", type="project", project_id=project_id) if project_id else []
        for webhook in webhooks:
            if webhook["is_active"] and payload["event"] in webhook["events"]:
                item: Document = {"id": self.store.next_id("queued"), "webhook": webhook["id"], "at": at, "attempt": 1}
                if payload["event"] == "delete:project":
                    item["copy"] = webhook  # CVAT sends it although the webhook goes with its project
                self.store.put("queued", {**item, "payload": {**told, "webhook_id": webhook["id"]}})
        self._wake.set()

    def queue_again(self, webhook: Document, payload: Document) -> None:
        """Queue a delivery that is asked for again: it is no new event and meets no fault."""
        again = {"id": self.store.next_id("queued"), "webhook": webhook["id"], "at": time.time(), "attempt": 1}
        self.store.put("queued", {**again, "payload": payload, "fate": {}, "redelivery": True})
        self._wake.set()

    def send(
        self,
        webhook: Document,
        payload: Document,
        *,
        redelivery: bool = False,
        attempt: int = 1,
        corrupt: int | None = None,
    ) -> Document:
        """Send one event now and keep its delivery; ``corrupt``: number of the event whose body is to be spoilt."""
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/json", "User-Agent": f"CVAT/{VERSION} python-requests/2.32"}
        if webhook["secret"]:
            headers["X-Signature-256"] = (
                "sha256=" + hmac.new(webhook["secret"].encode(), body, hashlib.sha256).hexdigest()
            )
        if corrupt is not None:
            body = faults_of(self.store).flipped(body, corrupt)
        started = time.perf_counter()
        status, text = _post(webhook["target_url"], body, headers)
        duration_ms = int((time.perf_counter() - started) * 1000)
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
        return self.store.put("delivery", dialect_of(self.store).delivery(delivery, attempt, duration_ms))

    def _work(self) -> None:
        while not self._stop:
            if worker_stopped(self.store):
                self._wake.wait(1.0)
                self._wake.clear()
                continue
            waiting = sorted(self.store.all("queued"), key=lambda item: (item["at"], item["id"]))
            due = [item for item in waiting if item["at"] <= time.time()]
            if not due:
                self._wake.wait(min(1.0, max(0.01, waiting[0]["at"] - time.time())) if waiting else 1.0)
                self._wake.clear()
                continue
            for item in due:
                if self._stop:
                    return
                try:
                    self._handle(item)
                except Exception:  # the worker must live on, and try again
                    logger.exception("event %d could not be handled", item["id"])
                    time.sleep(1)

    def _handle(self, item: Document) -> None:
        """Let an event meet its fate; what was held back follows the first that is sent."""
        if self.store.get("queued", item["id"]) is None:
            return  # it was held back and has followed another one
        # Faults are met by new events, not by those that CVAT tries again.
        if "fate" not in item and item.get("attempt", 1) == 1:
            with self.store.transaction():
                fate, number = next_fate(self.store)
                item |= {"fate": {"double": fate.double, "corrupt": number if fate.corrupt else None}}
                if fate.reorder:
                    item |= {"at": time.time() + REORDER_S, "held": True}
                    self.store.put("queued", item)
                if fate.drop:
                    self.store.delete("queued", item["id"])
            if fate.reorder:
                self._held.append(item["id"])
            if fate.reorder or fate.drop:
                return
        self._deliver(item)
        if "held" not in item:
            held, self._held = self._held, []
            for late in [self.store.get("queued", number) for number in held]:
                if late is not None:
                    self._deliver(late)

    def _deliver(self, item: Document) -> None:
        """Send a queued event, and queue the next attempt if CVAT would."""
        dialect, attempt = dialect_of(self.store), item.get("attempt", 1)
        webhook = self.store.get("webhook", item["webhook"]) or item.get("copy")
        fate = item.get("fate") or {}
        wait = None
        try:
            if webhook is not None and (webhook["is_active"] or not dialect.recent):
                asked, spoilt = bool(item.get("redelivery")), fate.get("corrupt")
                sent = self.send(webhook, item["payload"], redelivery=asked, attempt=attempt, corrupt=spoilt)
                wait = dialect.wait_after(sent["status_code"], attempt)
                if fate.get("double"):
                    self.send(webhook, item["payload"], attempt=attempt)
        except Exception:  # the worker must live on; the event is lost, as with CVAT
            logger.exception("delivery %d failed", item["id"])
        with self.store.transaction():
            self.store.delete("queued", item["id"])
            if wait is not None:
                again = {key: item[key] for key in ("webhook", "payload")} | {"attempt": attempt + 1}
                self.store.put("queued", {"id": self.store.next_id("queued"), "at": time.time() + wait, **again})


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    try:
        answer = httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_S)
    except httpx.TimeoutException:
        return 504, ""
    except httpx.TransportError:
        return 502, ""
    return answer.status_code, answer.text
