"""``python -m deploy.local.sandbox``: run the CVAT sandbox."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

from deploy.local.sandbox.api import routes
from deploy.local.sandbox.faults import CLASSIC, RECENT, set_dialect
from deploy.local.sandbox.hooks import Deliverer
from deploy.local.sandbox.http import Problem, Sandbox, VndJson
from deploy.local.sandbox.media import media_routes
from deploy.local.sandbox.pages import page_routes
from deploy.local.sandbox.sources import Roots, Sources
from deploy.local.sandbox.store import Store

PASSWORD_VARIABLE = "REEFLINE_SANDBOX_PASSWORD"  # noqa: S105 - the name of a variable


class TrailingSlash:
    """CVAT takes its addresses with and without a slash at the end."""

    def __init__(self, app: Any) -> None:
        """Wrap an application."""
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass the request on without the slash."""
        if scope["type"] == "http" and len(scope["path"]) > 1:
            scope = {**scope, "path": scope["path"].rstrip("/")}
        await self.app(scope, receive, send)


def create_app(folder: Path, user: str, password: str, roots: Roots | None = None) -> FastAPI:
    """The sandbox over a folder, with one service account; ``roots``: folders that stand for storage outside."""
    store = Store(folder)
    deliverer = Deliverer(store)
    sandbox = Sandbox(store, deliverer, Sources(store, roots or Roots()))
    sandbox.add_user(user, password, admin=True, names={"email": f"{user}@example.org"})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        deliverer.start()
        yield
        deliverer.stop()

    app = FastAPI(title="CVAT sandbox", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(routes(sandbox))
    app.include_router(media_routes(sandbox))
    app.include_router(page_routes(sandbox))
    app.add_middleware(TrailingSlash)

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> VndJson:
        return VndJson(error.body, error.status)

    return app


def main() -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.sandbox", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps everything")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--user", default="reefline")
    parser.add_argument("--password", default="", help=f"default: the variable {PASSWORD_VARIABLE}")
    parser.add_argument("--dialect", choices=(CLASSIC, RECENT), help="how webhooks are written; kept when not given")
    parser.add_argument("--retries", help="waits in s before a failed delivery is tried again, as 5,300,1800")
    parser.add_argument("--share-root", type=Path, help="folder that is CVAT's connected file share")
    parser.add_argument("--cloud-root", type=Path, help="folder with a folder for each bucket of a cloud storage")
    arguments = parser.parse_args()
    if arguments.retries is not None and arguments.dialect is None:
        parser.error("--retries needs --dialect")
    password = arguments.password or os.environ.get(PASSWORD_VARIABLE, "")
    if not password:
        parser.error(f"give --password, or set {PASSWORD_VARIABLE}")
    if arguments.dialect:
        try:
            set_dialect(Store(arguments.data), arguments.dialect, arguments.retries)
        except ValueError as error:
            parser.error(str(error))
    app = create_app(arguments.data, arguments.user, password, Roots(arguments.share_root, arguments.cloud_root))
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
