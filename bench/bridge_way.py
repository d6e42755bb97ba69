"""How the platform before this one asked its models: one picture at a time, base64 in JSON, to a one-worker server.

``python -m bench.bridge_way demo-corals|FOLDER [ultralytics]`` serves a model so and prints its port: a copy of the
wire contract of QUADRATSEG's functions (``{"image": "<base64>"}`` in, a list of polygons out). With ``ultralytics``
the model of the folder runs as those functions run theirs: by that library, on torch.
"""

from __future__ import annotations

import base64
import json
import sys
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.runner_tasks import COLONIES, YOLO_PX, open_task, plain
from deploy.local.loopback import HOST
from inference.runner import decode_rgb


def ask(port: int, data: bytes) -> list[Any]:
    """What the bridge did for a picture."""
    body = json.dumps({"image": base64.b64encode(data).decode()}).encode()
    request = urllib.request.Request(f"http://{HOST}:{port}/", data=body, headers={"Content-Type": "application/json"})
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


def by_engine(name: str) -> Callable[[bytes], list[Any]]:
    """The model on our engine, one picture a call."""
    task = open_task(name)
    task.engine.load()

    def see(data: bytes) -> list[Any]:
        image = decode_rgb(data)
        return plain(task.finish(image, task.engine.predict(task.prepare(image))))

    return see


def by_ultralytics(folder: Path) -> Callable[[bytes], list[Any]]:
    """The same weights by ultralytics, on torch."""
    from inference.engines.torchvision_shim import import_torchvision

    import_torchvision()
    from ultralytics import YOLO

    model = YOLO(folder / "yolo.pt")

    def see(data: bytes) -> list[Any]:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        [result] = model.predict(image, imgsz=YOLO_PX, max_det=COLONIES, verbose=False)
        return plain([] if result.masks is None else result.masks.xy)

    return see


def main() -> None:
    """Serve one model with one worker, loaded once."""
    name, *ultralytics = sys.argv[1:]
    server = HTTPServer((HOST, 0), handler(by_ultralytics(Path(name)) if ultralytics else by_engine(name)))
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
