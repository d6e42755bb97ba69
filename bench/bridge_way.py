"""How the platform before this one asked its models: one picture at a time, base64 in JSON, to a one-worker server.

``python -m bench.bridge_way demo-corals|FOLDER`` serves a model so and prints its port; a copy of the wire contract of
QUADRATSEG's functions (``{"image": "<base64>"}`` in, a list of polygons out).
"""

from __future__ import annotations

import base64
import json
import sys
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from bench.runner_tasks import open_task, plain
from inference.runner import decode_rgb


def ask(port: int, data: bytes) -> list[Any]:
    """What the bridge did for a picture."""
    body = json.dumps({"image": base64.b64encode(data).decode()}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.loads(answer.read())


def handler(see: Callable[[bytes], list[Any]]) -> type[BaseHTTPRequestHandler]:
    """What the function did with it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(see(base64.b64decode(body["image"]))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


def main() -> None:
    """Serve one model with one worker, loaded once."""
    task = open_task(*sys.argv[1:])
    task.engine.load()

    def see(data: bytes) -> list[Any]:
        image = decode_rgb(data)
        return plain(task.finish(image, task.engine.predict(task.prepare(image))))

    server = HTTPServer(("127.0.0.1", 0), handler(see))
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
