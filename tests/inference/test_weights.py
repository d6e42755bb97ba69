"""A weights file is judged by its bytes: what could run code when opened is refused, what was cut off is named."""

import hashlib
import io
import json
import pickle
import zipfile

import pytest

from inference.registry import MODELS, ModelCard, ModelError, ModelRegistry, class_map, labels_problem
from inference.registry.card import parse_card
from inference.registry.weights import WeightsFormat, examine, verify
from labels.taxonomy import load_taxonomy


class Evil:
    """Opening its pickle would end the test run."""

    def __reduce__(self):
        return (exit, (3,))


def archive(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, data in members.items():
            target.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return buffer.getvalue()


def card(data, **changes):
    given = {
        "name": "reef",
        "version": "1",
        "task": "coral-instances",
        "engine": "onnxruntime",
        "file": "reef.pt",
        "sha256": hashlib.sha256(data).hexdigest(),
        "labels": ("Porites",),
        "input_px": 640,
        "licence": "MIT",
        "trained_on": "nothing",
    }
    return ModelCard(**{**given, **changes})


TENSORS = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01."
EVIL = [
    *(pickle.dumps(Evil(), protocol) for protocol in range(6)),
    archive(model__data_dot_pkl=pickle.dumps(Evil(), 2)),
    archive(model__data_dot_pkl=TENSORS, model__more_dot_pkl=pickle.dumps(Evil(), 4)),
    archive(lama__code____torch__=b"def forward(): pass", lama__data_dot_pkl=TENSORS),
]


@pytest.mark.parametrize("data", EVIL, ids=[*(f"protocol {n}" for n in range(6)), "archive", "two", "TorchScript"])
def test_a_file_that_runs_code_when_opened_is_refused_unless_somebody_vouches_for_it(data):
    with pytest.raises(ModelError, match=r"runs code when it is opened.*trusted: true"):
        verify(card(data), data)
    assert verify(card(data, trusted=True), data) == data


def test_the_refusal_says_what_the_file_asks_for():
    with pytest.raises(ModelError, match=r"asks for (builtins|__builtin__|_sitebuiltins|site)"):
        verify(card(EVIL[2]), EVIL[2])


def test_tensors_alone_need_nobodys_word():
    data = archive(model__data_dot_pkl=TENSORS, model__data__0=b"\0" * 64)
    assert examine(data, "reef").format == WeightsFormat.TENSORS
    assert verify(card(data, engine="torch"), data) == data


def test_the_length_of_a_safetensors_header_is_not_taken_for_a_pickle():
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(0x280).encode()
    data = len(header).to_bytes(8, "little") + header + b"\0" * 4
    assert data[:2] == b"\x80\x02"
    assert examine(data, "reef").format == WeightsFormat.SAFETENSORS


@pytest.mark.parametrize("data", [EVIL[6][:-40], archive(model__data_dot_pkl=TENSORS[:-4]), TENSORS[:-4], b""])
def test_a_file_cut_in_half_is_named_as_such(data):
    with pytest.raises(ModelError, match=r"cut-off|empty"):
        examine(data, "reef@1")


def test_a_cut_off_file_of_known_size_says_how_much_is_there():
    whole = (MODELS / ModelRegistry().card("demo-corals").file).read_bytes()
    with pytest.raises(ModelError, match=f"has 1000 of {len(whole)} bytes: it was cut off"):
        verify(card(whole, size=len(whole)), whole[:1000])


def entry(**changes):
    return {**card(b"x").entry(), **changes}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"labels": []}, "must list its labels"),
        ({"labels": None}, "labels"),
        ({"labels": ["Porites", "Porites"]}, "twice"),
        ({"labels": "Porites"}, "list of names"),
        ({"sha256": "abc"}, "64 hex digits"),
        ({"file": "../reef.pt"}, "beside models.yaml"),
        ({"file": "/etc/reef.pt"}, "beside models.yaml"),
        ({"file": "http://reef.org/reef.onnx"}, "use a path, s3:// or https://"),
        ({"file": "https://me:word@reef.org/reef.onnx"}, "user or password"),
        ({"name": "Reef Corals"}, "lower-case"),
        ({"version": "1/2"}, "version"),
        ({"task": "corals"}, "one of coral-segmentation"),
        ({"input_px": 0}, "16 to 8192"),
        ({"trusted": "yes"}, "true or false"),
        ({"metrics": {"mAP50": "good"}}, "numbers by name"),
        ({"licence": ""}, "licence"),
        ({"weights": "x"}, "unknown field 'weights'"),
    ],
)
def test_an_entry_that_is_wrong_names_its_field(changes, says):
    with pytest.raises(ModelError, match=says) as caught:
        parse_card(entry(**changes), "models.yaml")
    assert len(str(caught.value).splitlines()) == 1


def test_a_card_is_its_entry_read_back():
    given = card(b"x", crosswalk="demo-reef", metrics={"mAP50": 0.5}, size=3, release="reef-1", options={"tile": 640})
    assert parse_card(given.entry(), "here") == given
    assert parse_card({**entry(task="corners"), "labels": []}, "here").labels == ()


def test_labels_go_through_the_crosswalk_of_the_models_own_taxonomy():
    own = load_taxonomy("demo-reef").names
    assert class_map(card(b"x", labels=own), "demo-reef") == {name: name for name in own}
    assert set(class_map(card(b"x", labels=own, crosswalk="demo-reef"), "agnostic").values()) == {"coral"}


def test_labels_that_do_not_fit_are_named():
    assert "Dragon, unknown to taxonomy 'demo-reef'" in labels_problem(card(b"x", labels=("Dragon",)), "demo-reef")
    assert "does not fit" in labels_problem(card(b"x", labels=("Dragon",), crosswalk="demo-reef"), "agnostic")
    assert "not for corals" in labels_problem(card(b"x", task="corners"), "demo-reef")
    assert labels_problem(ModelRegistry().card("demo-corals"), "demo-reef") is None
