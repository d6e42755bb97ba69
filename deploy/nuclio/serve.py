"""``python -m deploy.nuclio.serve FUNCTION``: run a function behind HTTP without Nuclio, to try it.

It loads the function's ``main.py`` and calls ``init_context`` and ``handler`` as Nuclio's Python wrapper does: one
request at a time, the body parsed when it is ``application/json``, an exception of the handler answered with 500.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import sys
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from deploy.nuclio.catalog import FOLDER, function_of
from deploy.nuclio.generate import BODY_LIMIT
from inference.functions.detectors import FunctionSetupError
from inference.registry import ModelError
from labels.lattice import LatticeError
from labels.taxonomy import TaxonomyError

logger = logging.getLogger("reefline.function")


@dataclass
class Response:
    """Nuclio's response."""

    headers: dict[str, str] | None = None
    body: Any = None
    content_type: str = "text/plain"
    status_code: int = 200


@dataclass
class Event:
    """What a handler reads of Nuclio's event."""

    body: Any
    content_type: str
    headers: dict[str, str]
    method: str = "POST"
    path: str = "/"


class Logger:
    """Nuclio's logger over Python's."""

    debug, info, warn, error = logger.debug, logger.info, logger.warning, logger.error


@dataclass
class Context:
    """What a handler reads of Nuclio's context."""

    logger: Any = field(default_factory=Logger)
    user_data: Any = field(default_factory=SimpleNamespace)
    Response: type = Response


def load(name: str, folder: Path | None = None) -> tuple[ModuleType, Context]:
    """A function's module, initialised.

    Args:
        name: of the function.
        folder: with its ``main.py``; default: the shipped one.

    Raises:
        FunctionSetupError: no such function, or a setting of it is wrong.
    """
    path = (folder or FOLDER / function_of(name).name) / "main.py"
    spec = importlib.util.spec_from_file_location(f"nuclio_{name.replace('-', '_')}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FunctionSetupError(f"{path} is not there: python -m deploy.nuclio.generate writes it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    context = Context()
    home = sys.modules[module.handler.__module__]  # where Nuclio looks for init_context
    if hasattr(home, "init_context"):
        home.init_context(context)
    return module, context


def server_of(module: ModuleType, context: Context, host: str = "127.0.0.1", port: int = 0) -> HTTPServer:
    """A server that answers one request after the other, as Nuclio with one worker."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdigit():
                return self._send(Response(body="a request needs a Content-Length", status_code=411))
            if int(length) > BODY_LIMIT:
                self.close_connection = True
                return self._send(Response(body=f"the request is over {BODY_LIMIT} bytes", status_code=413))
            kind = self.headers.get("Content-Type", "")
            event = Event(_parsed(self.rfile.read(int(length)), kind), kind, dict(self.headers), path=self.path)
            try:
                answer = module.handler(context, event)
            except Exception:
                logger.exception("the handler raised")
                answer = Response(body="the handler raised; see the log", status_code=500)
            return self._send(answer)

        def do_GET(self) -> None:
            self._send(Response(body="POST a picture, as CVAT does", status_code=405))

        def _send(self, answer: Response) -> None:
            body = answer.body if isinstance(answer.body, bytes) else str(answer.body or "").encode()
            self.send_response(answer.status_code)
            for key, value in {**(answer.headers or {}), "Content-Type": answer.content_type}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, text: str, *values: Any) -> None:
            logger.info(text, *values)

    return HTTPServer((host, port), Handler)


def _parsed(body: bytes, content_type: str) -> Any:
    if content_type != "application/json":  # so strict is Nuclio, a charset makes it bytes
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C; 2 when the function cannot be set up."""
    parser = argparse.ArgumentParser(prog="python -m deploy.nuclio.serve", description=__doc__)
    parser.add_argument("function", help="its name, e.g. pth-yolo-coralsegv4")
    parser.add_argument("--folder", type=Path, help="folder of a function written by deploy.nuclio.generate --out")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8070)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        module, context = load(given.function, given.folder)
        server = server_of(module, context, given.host, given.port)
    except (FunctionSetupError, ModelError, LatticeError, TaxonomyError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"{given.function}: http://{given.host}:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
