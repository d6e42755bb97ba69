"""The model registry trusts a hash, not a file name."""

import shutil

import pytest

from inference.registry import MODELS, ModelError, ModelRegistry


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(MODELS, tmp_path / "models")
    return ModelRegistry(tmp_path / "models")


def test_the_shipped_model_is_the_registered_one():
    registry = ModelRegistry()
    card = registry.card("demo-corals")
    model = registry.load("demo-corals", threads=1)
    assert model.reference == card.reference == registry.reference("demo-corals")
    name, _, rest = card.reference.partition("@")
    version, _, digest = rest.partition("#")
    assert (name, version, digest) == ("demo-corals", card.version, card.sha256[:12])
    assert registry.load("demo-corals", threads=1) is model


def test_weights_that_are_not_the_registered_ones_are_refused(copy):
    path = copy.folder / copy.card("demo-corals").file
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="is not the registered file"):
        copy.load("demo-corals")


def test_missing_weights_are_said(copy):
    (copy.folder / copy.card("demo-corals").file).unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        copy.load("demo-corals")


@pytest.mark.parametrize("name", ["no-such-model", "demo-corals@99"])
def test_an_unknown_model_names_the_known_ones(copy, name):
    with pytest.raises(ModelError, match=r"it has: demo-corals@"):
        copy.load(name)


@pytest.mark.parametrize("text", ["", "models:\n- name: x\n", "[", "models: 3"])
def test_a_broken_registry_is_said(copy, text):
    (copy.folder / "models.yaml").write_text(text)
    with pytest.raises(ModelError, match="cannot be read as a model registry"):
        copy.cards()
