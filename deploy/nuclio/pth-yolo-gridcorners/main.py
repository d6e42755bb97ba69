"""Nuclio's way into pth-yolo-gridcorners; what it does is in ``deploy.nuclio``."""

from typing import Any

from deploy.nuclio import handler as shared


def init_context(context: Any) -> None:
    """Load the function."""
    shared.init_context(context, "pth-yolo-gridcorners")


def handler(context: Any, event: Any) -> Any:
    """Answer one request."""
    return shared.handle(context, event)
