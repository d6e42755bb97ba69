"""Logs: for people or as one JSON object a line, with what they are about, and never with a secret in them.

``about(batch=..., run=...)`` adds its words to every line that is logged within it. Nothing here knows Dagster.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

from resources.settings import Settings, secrets_of

SUBJECTS = ("batch", "gate", "image", "run", "event", "task")
"""What a line may be about."""
HIDDEN = "***"
PASSWORD_IN_URL = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@")
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def about(**words: object) -> Iterator[None]:
    """Everything logged (and every act that is audited) within is about these: see :data:`SUBJECTS`."""
    token = _about.set({**_about.get(), **{name: str(value) for name, value in words.items() if value is not None}})
    try:
        yield
    finally:
        _about.reset(token)


def subjects() -> Mapping[str, str]:
    """What the current work is about."""
    return _about.get()


class Redactor:
    """Takes secrets out of texts: the installation's own by their value, and passwords in addresses by their form."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Hide these values; the shortest are left, they would hide ordinary words."""
        values = sorted((value for value in secrets.values() if len(value) > 5), key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(value) for value in values)) if values else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return PASSWORD_IN_URL.sub(rf"\1:{HIDDEN}@", text) if "://" in text else text


class Text(logging.Formatter):
    """A line for people."""

    def __init__(self, redact: Redactor) -> None:
        """Hide what ``redact`` hides."""
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The line, with what it is about at its end."""
        words = " ".join(f"{name}={value}" for name, value in subjects().items())
        return self._redact(super().format(record) + (f" [{words}]" if words else ""))


class Json(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, ``error``, and the subjects."""

    def __init__(self, redact: Redactor) -> None:
        """Hide what ``redact`` hides."""
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
            **subjects(),
        }
        if record.exc_info:
            line["error"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(settings: Settings) -> None:
    """Log to standard error as the settings say. For processes of our own; Dagster's have their own flags."""
    redact = Redactor(secrets_of(settings))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json(redact) if settings.log_format == "json" else Text(redact))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it says every request, with its address
