"""Telling people: every notice goes to the log, and to the addresses of its owner: a URL (Slack's form) or e-mail.

An address is ``https://...`` (gets a JSON POST whose ``text`` Slack and its like show) or ``mailto:name@host``.
"""

from __future__ import annotations

import json
import logging
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

logger = logging.getLogger("reefline.notifier")

TIMEOUT_S = 10
MAIL = "mailto:"
TROUBLE = (urllib.error.URLError, TimeoutError, OSError, smtplib.SMTPException)


class Notifier:
    """Sends notices. A receiver that does not answer is logged and never stops the caller's own work."""

    def __init__(
        self,
        url: str = "",
        *,
        routes: Mapping[str, str] | None = None,
        emails: Sequence[str] = (),
        smtp_url: str = "",
        sender: str = "reefline@localhost",
    ) -> None:
        """Send to these addresses.

        Args:
            url: gets every notice that its owner has no address for; empty: none does.
            routes: addresses by owner (``team:labelling``).
            emails: get every notice.
            smtp_url: ``smtp://user:password@host:port`` (STARTTLS where it is offered) or ``smtps://...``.
            sender: of e-mails.

        Raises:
            ValueError: an address is none, or e-mails are wanted without a mail server.
        """
        self.url = url
        self.routes = dict(routes or {})
        self.emails = [MAIL + address for address in emails]
        self.sender = sender
        self._smtp = urlsplit(smtp_url)
        for name, address in [("REEFLINE_NOTIFY_URL", url), *(("REEFLINE_NOTIFY_ROUTES", a) for a in self.targets())]:
            _checked(name, address)
        if any(a.startswith(MAIL) for a in self.targets()) and self._smtp.scheme not in ("smtp", "smtps"):
            raise ValueError("REEFLINE_SMTP_URL: set it to smtp://... or smtps://..., to send e-mails")

    def targets(self) -> list[str]:
        """All addresses that are known."""
        return [address for address in (self.url, *self.routes.values(), *self.emails) if address]

    def send(self, subject: str, facts: Mapping[str, str], owner: str = "") -> bool:
        """Send one notice; whether it reached all of its addresses (``True`` when there are none).

        Args:
            subject: one line.
            facts: what is known, by name.
            owner: whose matter it is; decides the address.
        """
        logger.warning("%s %s", subject, json.dumps(facts, sort_keys=True))
        first = self.routes.get(owner, self.url)
        reached = True
        for address in dict.fromkeys(a for a in (first, *self.emails) if a):
            try:
                if address.startswith(MAIL):
                    self._mail(address.removeprefix(MAIL), subject, facts)
                else:
                    self._post(address, json.dumps({"text": _text(subject, facts), **facts}).encode())
            except TROUBLE as error:
                # The address may hold a token: it is not said.
                where = address if address.startswith(MAIL) else urlsplit(address).hostname
                logger.error("notice %r did not reach its receiver %s: %s", subject, where, error)  # noqa: TRY400
                reached = False
        return reached

    @retry(
        retry=retry_if_exception_type((urllib.error.URLError, TimeoutError)),
        stop=stop_after_attempt(3),
        wait=wait_exponential_jitter(1, 10),
        reraise=True,
    )
    def _post(self, url: str, body: bytes) -> None:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - checked in __init__
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            response.read()

    def _mail(self, to: str, subject: str, facts: Mapping[str, str]) -> None:
        message = EmailMessage()
        message["From"], message["To"] = self.sender, to
        message["Subject"] = " ".join(subject.split())
        message.set_content(_text(subject, facts))
        host, port = str(self._smtp.hostname), self._smtp.port
        secure = self._smtp.scheme == "smtps"
        kind = smtplib.SMTP_SSL if secure else smtplib.SMTP
        with kind(host, port or (465 if secure else 25), timeout=TIMEOUT_S) as server:
            if not secure and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
            if self._smtp.username:
                server.login(unquote(self._smtp.username), unquote(self._smtp.password or ""))
            server.send_message(message)


def parse_routes(text: str) -> dict[str, str]:
    """Addresses by owner, from ``owner=address,owner=address``.

    Raises:
        ValueError: a part has no address.
    """
    routes = {}
    for part in (p.strip() for p in text.split(",")):
        owner, sign, address = part.partition("=")
        if part and not (owner and sign and address):
            raise ValueError(f"REEFLINE_NOTIFY_ROUTES: {owner or part!r} has no address: write owner=https://...")
        if part:
            routes[owner.strip()] = address.strip()
    return routes


def _checked(name: str, address: str) -> None:
    if address and not address.startswith(("http://", "https://", MAIL)):
        raise ValueError(f"{name} {address!r}: expected an http://, https:// or mailto: address")


def _text(subject: str, facts: Mapping[str, str]) -> str:
    return "\n".join([subject, *(f"{name}: {value}" for name, value in facts.items() if value)])
