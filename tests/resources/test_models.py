"""An installation's registry: on a folder and on S3 alike; what is promoted follows from a history nobody can lose."""

import dataclasses
import hashlib
import threading

import boto3
import pytest
from moto.server import ThreadedMotoServer

from inference.registry import MODELS, ModelError, ModelRegistry
from resources.downloads import Downloader
from resources.models import InstalledModels, read_entries
from resources.object_store import LocalStore, S3Store

SHIPPED = ModelRegistry().card("demo-corals")
WEIGHTS = (MODELS / SHIPPED.file).read_bytes()


@pytest.fixture(scope="module")
def s3_client():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    secret = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **secret)
    client.create_bucket(Bucket="reef")
    yield client
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def models(request, tmp_path):
    if request.param == "folder":
        return InstalledModels(LocalStore(tmp_path / "store"))
    return InstalledModels(S3Store("reef", f"case-{tmp_path.name}", client=request.getfixturevalue("s3_client")))


@pytest.fixture
def local(tmp_path):
    return InstalledModels(LocalStore(tmp_path / "store"))


def variant(version, name="demo-corals"):
    """The shipped weights under another name or version."""
    return dataclasses.replace(SHIPPED, name=name, version=version)


def test_without_own_models_the_shipped_ones_are_there(models):
    assert models.card("demo-corals") == SHIPPED
    assert models.load("demo-corals", threads=1).reference == SHIPPED.reference
    assert models.history("demo-corals") == []


def test_an_added_model_is_kept_with_its_weights_and_seen_by_every_worker(models):
    kept = models.add(variant("4"), MODELS, "ana", "trial")
    other_worker = InstalledModels(models.store)
    assert other_worker.card("demo-corals@4") == kept
    assert other_worker.weights(kept) == WEIGHTS
    assert other_worker.card("demo-corals") == SHIPPED, "adding must not promote"
    assert [(e.action, e.version, e.who, e.why) for e in other_worker.history("demo-corals")] == [
        ("add", "4", "ana", "trial")
    ]
    models.add(variant("4"), MODELS, "ana")
    assert len(models.history("demo-corals")) == 1, "adding the same again is no event"


def test_promotions_and_rollbacks_are_a_stack_with_the_shipped_version_at_the_bottom(models):
    for version in ("4", "5"):
        models.add(variant(version), MODELS, "ana")
        models.promote(f"demo-corals@{version}", "ana", "better", metrics={"mAP50": 0.5})
    assert models.reference("demo-corals").startswith("demo-corals@5#")
    assert models.rollback("demo-corals", "ben", "white corals missed").version == "4"
    assert models.rollback("demo-corals", "ben").version == SHIPPED.version
    assert models.card("demo-corals") == SHIPPED
    with pytest.raises(ModelError, match="no promotion of 'demo-corals' to roll back"):
        models.rollback("demo-corals", "ben")
    models.promote("demo-corals@5", "ana", "mended")
    assert InstalledModels(models.store).promoted("demo-corals") == "5"
    said = [(e.action, e.version, e.previous, e.who) for e in models.history("demo-corals") if e.action != "add"]
    assert said == [
        ("promote", "4", "3", "ana"),
        ("promote", "5", "4", "ana"),
        ("rollback", "4", "5", "ben"),
        ("rollback", "3", "4", "ben"),
        ("promote", "5", "3", "ana"),
    ]


def test_a_pinned_version_is_not_moved_by_a_promotion(local):
    local.add(variant("4"), MODELS, "ana")
    local.promote("demo-corals@4", "ana", "better")
    assert local.card("demo-corals@3") == SHIPPED


def test_a_name_without_a_promoted_version_must_be_pinned(local):
    local.add(variant("1", "reef-corals"), MODELS, "ana")
    assert local.card("reef-corals@1").version == "1"
    with pytest.raises(ModelError, match=r"no version of reef-corals is promoted.*reef-corals@1"):
        local.card("reef-corals")
    local.promote("reef-corals@1", "ana", "the first")
    assert local.card("reef-corals").version == "1"
    assert local.rollback("reef-corals", "ana").version is None


def test_of_two_people_who_promote_at_once_both_are_in_the_history_and_all_agree(models):
    versions = [str(n) for n in range(4, 8)]
    for version in versions:
        models.add(variant(version), MODELS, "ana")
    threads = [
        threading.Thread(target=InstalledModels(models.store).promote, args=(f"demo-corals@{v}", f"user {v}", "race"))
        for v in versions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [e for e in models.history("demo-corals") if e.action == "promote"]
    assert sorted(e.version for e in events) == versions
    assert [e.previous for e in events] == ["3", *(e.version for e in events[:-1])]
    assert models.promoted("demo-corals") == events[-1].version


def test_a_version_never_changes_its_weights(local, tmp_path):
    local.add(variant("4"), MODELS, "ana")
    other = dataclasses.replace(variant("4"), sha256=hashlib.sha256(b"x").hexdigest())
    with pytest.raises(ModelError, match="exists with other weights"):
        local.add(other, MODELS, "ana")


def test_what_cannot_be_loaded_is_never_registered_nor_promoted(local, tmp_path):
    half = WEIGHTS[: len(WEIGHTS) // 2]
    (tmp_path / "half.onnx").write_bytes(half)
    cut = dataclasses.replace(variant("4"), file="half.onnx", sha256=hashlib.sha256(half).hexdigest())
    with pytest.raises(ModelError, match="was the file cut off"):
        local.add(cut, tmp_path, "ana")
    with pytest.raises(ModelError, match="engine 'abacus': use one of"):
        local.add(dataclasses.replace(variant("4"), engine="abacus"), MODELS, "ana")
    assert local.own() == []
    kept = local.add(variant("4"), MODELS, "ana")
    local.store.put(f"models/weights/{kept.sha256}", half)
    with pytest.raises(ModelError, match=r"is not the registered file.*it was cut off"):
        local.promote("demo-corals@4", "ana", "better")
    assert local.promoted("demo-corals") == "3"


def test_weights_come_from_s3_once_and_then_from_the_store(s3_client, tmp_path):
    s3_client.put_object(Bucket="reef", Key="lab/model.onnx", Body=WEIGHTS)
    models = InstalledModels(LocalStore(tmp_path), downloader=Downloader(s3=s3_client))
    kept = models.add(dataclasses.replace(variant("6"), file="s3://reef/lab/model.onnx"), tmp_path, "ana")
    s3_client.delete_object(Bucket="reef", Key="lab/model.onnx")
    assert models.load("demo-corals@6", threads=1).card == kept
    with pytest.raises(ModelError, match=r"s3://reef/lab/model.onnx cannot be fetched"):
        models.add(dataclasses.replace(variant("6"), file="s3://reef/lab/model.onnx"), tmp_path, "ana")
    s3_client.put_object(Bucket="reef", Key="lab/other.onnx", Body=WEIGHTS + b"more")
    with pytest.raises(ModelError, match="larger than"):
        wrong = dataclasses.replace(variant("6"), file="s3://reef/lab/other.onnx", size=len(WEIGHTS))
        models.add(wrong, tmp_path, "ana")


def test_the_hash_of_a_file_may_be_left_out_but_never_that_of_an_address(tmp_path):
    (tmp_path / "m.onnx").write_bytes(WEIGHTS)
    text = (
        "name: reef\nversion: 1\ntask: coral-segmentation\nengine: onnxruntime\nfile: {}\nlabels: [Porites]\n"
        "input_px: 640\nlicence: MIT\ntrained_on: nothing\n"
    )
    (tmp_path / "entry.yaml").write_text(text.format("m.onnx"))
    [card] = read_entries(tmp_path / "entry.yaml")
    assert (card.sha256, card.size, card.version) == (SHIPPED.sha256, len(WEIGHTS), "1")
    for address in ("https://reef.org/m.onnx", "s3://reef/m.onnx"):
        (tmp_path / "entry.yaml").write_text(text.format(address))
        with pytest.raises(ModelError, match="state its sha256"):
            read_entries(tmp_path / "entry.yaml")


@pytest.mark.parametrize("text", ["", "- x", "models: [3]", "a: [", "\x00"])
def test_an_entry_file_that_is_none_is_one_line(tmp_path, text):
    (tmp_path / "entry.yaml").write_text(text)
    with pytest.raises(ModelError) as caught:
        read_entries(tmp_path / "entry.yaml")
    assert len(str(caught.value).splitlines()) == 1


def test_a_damaged_card_in_the_store_is_named(local):
    local.store.put("models/cards/reef/1.yaml", b"models: []")
    with pytest.raises(ModelError, match=r"models/cards/reef/1.yaml cannot be read"):
        local.cards()
