"""Asking for releases: frozen lists, options, and which release came before."""

import json
from dataclasses import replace

import pytest

from resources.object_store import LocalStore
from resources.releases import (
    ReleaseError,
    ReleaseShelf,
    ask_for_release,
    read_request,
    release_key,
    release_tables,
    requests,
    waiting_releases,
)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def finish(store, name):
    store.put(release_key(name, "checksums.sha256"), b"")
    ReleaseShelf(store, name).commit(json.dumps({"name": name}).encode())


def test_a_request_comes_back_with_all_its_options(store):
    asked = ask_for_release(store, "r-1", ["reef.0002", "reef.0001"], "why", formats=["dwca"], taxa=["Porites"])
    assert read_request(store, "r-1") == asked
    assert (asked.batches, asked.formats, asked.taxa) == (("reef.0001", "reef.0002"), ("dwca",), ("Porites",))


def test_asking_twice_is_one_request_and_asking_for_something_else_is_refused(store):
    first = ask_for_release(store, "r-1", ["reef.0001"])
    again = ask_for_release(store, "r-1", ["reef.0001"])
    assert (again.asked_at > first.asked_at, replace(again, asked_at=first.asked_at)) == (True, first)
    assert [r.name for r in requests(store)] == ["r-1"]
    with pytest.raises(ReleaseError, match="exists with other batches"):
        ask_for_release(store, "r-1", ["reef.0002"])
    with pytest.raises(ReleaseError, match="exists with other formats or filters"):
        ask_for_release(store, "r-1", ["reef.0001"], by="person")


def test_a_refused_release_takes_the_override_it_is_asked_for_again_with(store):
    ask_for_release(store, "r-1", ["reef.0001"], "for the paper")
    ask_for_release(store, "r-1", ["reef.0001"], override="agreed with Anna")
    assert (read_request(store, "r-1").override, read_request(store, "r-1").reason) == (
        "agreed with Anna",
        "for the paper",
    )
    finish(store, "r-1")
    made = read_request(store, "r-1")
    assert ask_for_release(store, "r-1", ["reef.0001"], override="another") == made


def test_a_release_that_lost_a_file_on_the_way_is_not_committed(store):
    store.put(release_key("r-1", "checksums.sha256"), b"0  labels.parquet\n")
    with pytest.raises(ReleaseError, match=r"has lost labels\.parquet before it was finished"):
        ReleaseShelf(store, "r-1").commit(b"{}")
    assert not store.exists(release_key("r-1", "release.json"))


def test_the_release_before_is_the_last_finished_one_of_the_same_surveys(store):
    ask_for_release(store, "z-1", ["reef.0001"])
    ask_for_release(store, "other-1", ["atoll.0001"])
    finish(store, "z-1")
    finish(store, "other-1")
    ask_for_release(store, "b-not-made", ["reef.0001"])
    assert ask_for_release(store, "a-2", ["reef.0001", "reef.0002"]).previous == "z-1"
    finish(store, "a-2")
    assert ask_for_release(store, "m-3", ["reef.0001"]).previous == "a-2"
    assert ask_for_release(store, "m-4", ["reef.0001"], previous="z-1").previous == "z-1"
    assert ask_for_release(store, "m-5", ["lagoon.0001"]).previous is None
    with pytest.raises(ReleaseError, match="no finished release 'b-not-made'"):
        ask_for_release(store, "m-6", ["reef.0001"], previous="b-not-made")
    assert [r.name for r in waiting_releases(store)] == ["b-not-made", "m-3", "m-4", "m-5"]


def test_what_an_earlier_try_left_is_gone_when_a_release_is_finished(store):
    store.put(release_key("r-1", "old.csv"), b"of an earlier try")
    shelf = ReleaseShelf(store, "r-1")
    shelf.keep_part("reef.0001", "d", b"part")
    assert shelf.part("reef.0001", "d") == b"part"
    finish(store, "r-1")
    assert list(store.keys("releases/parts/")) == []
    names = [key.rpartition("/")[2] for key in store.keys(release_key("r-1", ""))]
    assert names == ["checksums.sha256", "release.json"]
    ReleaseShelf(store, "r-1").discard()
    assert store.exists(release_key("r-1", "release.json")), "a finished release was taken away"


def test_a_finished_release_is_never_overwritten(store, tmp_path):
    finish(store, "r-1")
    file = tmp_path / "labels"
    file.write_bytes(b"other")
    with pytest.raises(ReleaseError, match="a release never changes"):
        ReleaseShelf(store, "r-1").put_file("labels.parquet", file)


def test_tables_of_a_release_that_is_not_there_name_those_that_are(store, tmp_path):
    ask_for_release(store, "r-1", ["reef.0001"])
    finish(store, "r-1")
    with pytest.raises(ReleaseError, match=r"no finished release 'r-2' \(there are: r-1\)"):
        release_tables(store, "r-2", tmp_path)
    with pytest.raises(ReleaseError, match=r"has lost its images\.parquet"):
        release_tables(store, "r-1", tmp_path)
