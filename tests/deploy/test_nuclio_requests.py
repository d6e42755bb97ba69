"""What functions answer to requests that are wrong, odd or too large; and Nuclio's own event and response."""

import base64
import json
import socket
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.nuclio import handler as shared
from deploy.nuclio.handler import NOTE_HEADER
from deploy.nuclio.serve import Context, Event, load
from deploy.nuclio.settings import FunctionSettings
from inference.functions.detectors import FunctionSetupError
from inference.registry import ModelError
from tests.deploy.test_nuclio_functions import encoded, serving

LAMA, CORNERS, LATTICE = "pth-lama", "pth-yolo-gridcorners", "pth-yolo-gridpose"
GREY = np.full((64, 64, 3), 120, np.uint8)
NODES = [[float(x), float(y)] for x, y in np.random.default_rng(1).uniform(1, 60, (117, 2))]


@pytest.fixture(scope="module")
def corners():
    with serving(CORNERS) as client:
        yield client


@pytest.fixture(scope="module")
def lama():
    with serving(LAMA) as client:
        yield client


def refused(answer):
    """The reason of a refusal; it is one line of JSON."""
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/json"
    assert len(answer.text.splitlines()) == 1
    ((key, reason),) = answer.json().items()
    assert key == "error"
    return reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "'image' is missing"),
        ({"image": ""}, "'image' is missing"),
        ({"image": 7}, "'image' is missing"),
        ([], "must be a JSON object"),
        ({"image": "%%%"}, "no base64"),
        ({"image": "aGVsbG8"}, "no base64"),
        ({"image": "żółw"}, "no base64"),
        ({"image": base64.b64encode(b"hello").decode()}, "cannot be read: not a picture"),
        ({"image": encoded(GREY)[:120]}, "cannot be read"),
        ({"image": encoded(GREY), "threshold": 2}, "'threshold' must be a number between 0 and 1"),
        ({"image": encoded(GREY), "threshold": "high"}, "'threshold' must be"),
        ({"image": encoded(GREY), "threshold": True}, "'threshold' must be"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_with_its_reason(corners, body, reason):
    assert reason in refused(corners.post("/", json=body))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'"image"'])
def test_a_body_that_is_no_json_object_is_refused(corners, body):
    assert "JSON" in refused(corners.post("/", content=body, headers={"Content-Type": "application/json"}))


def test_a_body_is_read_whatever_its_stated_type(corners):
    raw = json.dumps({"image": encoded(GREY)})
    for kind in ("text/plain", "application/json; charset=utf-8", "application/json"):
        answer = corners.post("/", content=raw, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"keypoints": None}, "'keypoints' is missing"),
        ({"keypoints": NODES[:100]}, "has 100 entries, the lattice has 117 nodes"),
        ({"keypoints": [*NODES[:116], [1, 2, 3]]}, "'keypoints' 117 must be [x, y]"),
        ({"keypoints": [*NODES[:116], [1, "2"]]}, "must be [x, y]"),
        ({"keypoints": [[10**400, 1], *NODES[1:]]}, "'keypoints' 1 must be"),
        ({"keypoints": [[5000, 1], *NODES[1:]]}, "far outside the picture"),
        ({"format": "gif"}, "'format' must be jpeg or png"),
        ({"image": encoded(GREY[:32])}, "square, this one is 64 x 32"),
    ],
)
def test_nodes_that_cannot_be_the_lattices_are_refused(lama, change, reason):
    assert reason in refused(lama.post("/", json={"image": encoded(GREY), "keypoints": NODES, **change}))


def test_nodes_in_a_heap_still_give_a_picture(lama):
    for nodes in (NODES, [[30.0, 30.0]] * 117, [[-60.0, -60.0]] * 117):
        answer = lama.post("/", json={"image": encoded(GREY), "keypoints": nodes})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")


def test_a_picture_that_claims_too_many_pixels_is_refused_from_its_header(monkeypatch):
    monkeypatch.setenv("REEFLINE_MAX_PIXELS", "4000")
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    small = base64.b64decode(encoded(GREY))
    data = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
    bomb = base64.b64encode(data).decode()
    with serving(CORNERS) as client:
        for text in (encoded(GREY), bomb):
            assert "more" in refused(client.post("/", json={"image": text}))


def test_a_request_over_the_limit_is_refused_unread(corners):
    with socket.create_connection((corners.base_url.host, corners.base_url.port), timeout=10) as wire:
        wire.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000000\r\n\r\n")
        assert b" 413 " in wire.recv(100)


@pytest.mark.parametrize("name", [CORNERS, LATTICE, "pth-yolo-coralsegbanggai"])
def test_a_picture_without_anything_in_it_is_an_empty_list_not_an_error(name):
    with serving(name) as client:
        for shape in [(1, 1), (1, 500), (64, 64), (300, 300)]:
            answer = client.post("/", json={"image": encoded(np.full((*shape, 3), 180, np.uint8))})
            assert (answer.status_code, answer.json()) == (200, [])
            assert name == "pth-yolo-coralsegbanggai" or answer.headers[NOTE_HEADER]


def test_a_fault_of_this_side_is_a_500_that_tells_no_secret_and_the_worker_lives_on(monkeypatch):
    module, context = load(CORNERS)
    calls = iter([RuntimeError("password=hunter2 in /root/secret"), None])

    def detect(image, threshold):
        if (error := next(calls)) is not None:
            raise error
        return real(image, threshold)

    detector = context.user_data.service._detector
    real = detector.detect
    monkeypatch.setattr(detector, "detect", detect)
    event = Event({"image": encoded(GREY)}, "application/json", {})
    first, second = module.handler(context, event), module.handler(context, event)
    assert first.status_code == 500
    assert json.loads(first.body) == {"error": "the function failed (RuntimeError); its log says more"}
    assert second.status_code == 200


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.sampled_from(["image", "threshold", "keypoints", "x"]), c), max_leaves=8))  # fmt: skip  # noqa: E501
@settings(max_examples=40)
def test_no_body_whatever_makes_the_handler_raise(body):
    assert shared.handle(_lama(), Event(body, "application/json", {})).status_code == 400


_LOADED = []


def _lama():
    if not _LOADED:
        _LOADED.append(load(LAMA)[1])
    return _LOADED[0]


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"REEFLINE_THRESHOLD": "half"}, "REEFLINE_THRESHOLD must be a number, it is 'half'"),
        ({"REEFLINE_THRESHOLD": "nan"}, "between 0 and 1"),
        ({"REEFLINE_MAX_PIXELS": "0"}, "above 0"),
        ({"REEFLINE_OUTLINES": "boxes"}, "mask or polygon"),
    ],
)
def test_a_wrong_setting_is_named(variables, reason):
    with pytest.raises(FunctionSetupError, match=reason):
        FunctionSettings.of(variables)


def test_a_function_with_a_model_or_method_that_is_not_there_does_not_start(monkeypatch):
    monkeypatch.setenv("REEFLINE_MODEL", "best.pt")
    monkeypatch.setenv("REEFLINE_REMOVAL", "magic")
    with pytest.raises(ModelError, match="no model"):
        load("pth-yolo-coralsegv4")
    with pytest.raises(FunctionSetupError, match="no removal method 'magic'"):
        load(LAMA)
    with pytest.raises(FunctionSetupError, match="no function 'pth-yolo'"):
        load("pth-yolo")


def test_the_harness_gives_and_takes_what_nuclio_does():
    """Nuclio's own event, context and response, with a handler loaded as its wrapper loads it."""
    nuclio = pytest.importorskip("nuclio_sdk", reason="needs nuclio-sdk, one of the development tools")
    module, _ = load(CORNERS)
    assert sys.modules[module.handler.__module__] is module, "Nuclio looks there for init_context"
    context = nuclio.Context(nuclio.Logger(50))
    module.init_context(context)
    fields = {
        "content_type": "application/json", "trigger": {"kind": "http", "name": ""}, "fields": {},
        "headers": {"Accept": "application/json"}, "id": 1, "method": "POST", "path": "/", "size": 1,
        "timestamp": 0, "url": "", "shard_id": 0, "num_shards": 1, "type": "", "type_version": "", "version": "",
    }  # fmt: skip
    for body, status in (({"image": encoded(GREY)}, 200), ({}, 400)):
        event = nuclio.Event.deserialize(json.dumps({**fields, "body": body}), nuclio.event.EventDeserializerKinds.json)
        theirs = nuclio.Response.from_entrypoint_output(json.dumps, module.handler(context, event))
        ours = module.handler(_with_service(context), Event(body, "application/json", {}))
        assert theirs["status_code"] == ours.status_code == status
        assert theirs["body"] == ours.body
        assert (theirs["content_type"], theirs["headers"]) == (ours.content_type, ours.headers)


def _with_service(context):
    return Context(user_data=context.user_data)
