"""Users of a ClickHouse server: who may write, who only reads, and CVAT. An administrator runs ``users.sql`` once."""

from __future__ import annotations

from importlib import resources


def statements() -> list[str]:
    """The statements of ``users.sql``, in order."""
    text = (resources.files("analytics.access") / "users.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";\n") if part.strip().rstrip(";")]
