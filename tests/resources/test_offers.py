"""Offers and claims: every file in exactly one batch, every hash owned by exactly one file."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from labels.survey import parse_survey
from resources.object_store import LocalStore
from resources.offers import claim, cut_new_batches, is_ready, offers_of
from resources.surveys import READY_MARKER, FolderPhotos


@pytest.fixture
def survey(tmp_path):
    text = f"name: reef\nphotos: {{folder: {tmp_path / 'photos'}, ready: marker}}\nbatch_size: 3\n"
    return parse_survey(text, "reef.yaml")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(7):
        (folder / f"p{n}.jpg").write_bytes(b"x" * n)
    return FolderPhotos(folder)


def test_files_are_cut_into_batches_and_none_is_lost(tmp_path, survey, photos):
    store = LocalStore(tmp_path / "store")
    new = cut_new_batches(store, survey, photos.list())
    assert [len(offer.files) for offer in new] == [3, 3, 1]
    assert [offer.batch for offer in new] == ["reef.0001", "reef.0002", "reef.0003"]
    assert cut_new_batches(store, survey, photos.list()) == []


def test_later_files_make_new_batches_and_old_ones_stay_as_they_are(tmp_path, survey, photos):
    store = LocalStore(tmp_path / "store")
    before = cut_new_batches(store, survey, photos.list())
    (photos.root / "a-late-one.jpg").write_bytes(b"late")
    new = cut_new_batches(store, survey, photos.list())
    assert [[f.path for f in offer.files] for offer in new] == [["a-late-one.jpg"]]
    assert offers_of(store, "reef")[:3] == before


def test_a_rewritten_file_is_offered_anew(tmp_path, survey, photos):
    store = LocalStore(tmp_path / "store")
    cut_new_batches(store, survey, photos.list())
    (photos.root / "p1.jpg").write_bytes(b"another picture")
    assert [f.path for o in cut_new_batches(store, survey, photos.list()) for f in o.files] == ["p1.jpg"]


def test_two_cutters_at_once_put_every_file_into_exactly_one_batch(tmp_path, survey, photos):
    store = LocalStore(tmp_path / "store")
    listed = photos.list()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: cut_new_batches(store, survey, listed), range(4)))
    held = [f.path for offer in offers_of(store, "reef") for f in offer.files]
    assert sorted(held) == [f"p{n}.jpg" for n in range(7)]


def test_strange_file_names_survive_the_round_trip(tmp_path, survey, photos):
    names = ["récif n° 7 (été).jpg", "a..b.jpg", "with space.jpg", "x" * 250 + ".jpg"]
    for name in names:
        (photos.root / name).write_bytes(b"p")
    not_utf8 = os.fsdecode(b"caf\xe9.jpg")
    (photos.root / not_utf8).write_bytes(b"p")
    store = LocalStore(tmp_path / "store")
    cut_new_batches(store, survey, photos.list())
    held = {f.path for offer in offers_of(store, "reef") for f in offer.files}
    assert {*names, not_utf8} <= held


def test_hidden_files_and_the_marker_are_not_photos(photos):
    (photos.root / ".DS_Store").write_bytes(b"x")
    (photos.root / READY_MARKER).touch()
    assert len(photos.list()) == 7


def test_an_upload_is_complete_when_marked_or_settled(survey, photos):
    assert not is_ready(survey, photos, photos.list())
    (photos.root / READY_MARKER).touch()
    assert is_ready(survey, photos, photos.list())


def test_the_first_file_owns_its_bytes_and_still_does_when_asked_again(tmp_path):
    store = LocalStore(tmp_path)
    assert claim(store, "reef", "abc", "reef.0001", "a.jpg") is None
    assert claim(store, "reef", "abc", "reef.0001", "a.jpg") is None
    assert claim(store, "reef", "abc", "reef.0002", "b.jpg") == "reef.0001: a.jpg"
    assert claim(store, "other", "abc", "other.0001", "b.jpg") is None
