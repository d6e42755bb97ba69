"""The same behaviour from a folder and from S3 (moto's server over real HTTP)."""

import errno
import threading

import boto3
import pytest
from moto.server import ThreadedMotoServer

from resources.object_store import LocalStore, MissingObjectError, S3Store, StoreError, open_store


@pytest.fixture(scope="module")
def s3_client():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="reef")
    yield client
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    if request.param == "folder":
        return LocalStore(tmp_path / "store")
    client = request.getfixturevalue("s3_client")
    return S3Store("reef", f"case-{tmp_path.name}", client=client)


def test_what_was_written_is_read_back(store):
    store.put("a/b.bin", b"\x00\xff")
    assert store.get("a/b.bin") == b"\x00\xff"
    store.put("a/b.bin", b"new")
    assert store.get("a/b.bin") == b"new"
    assert store.exists("a/b.bin")
    assert not store.exists("a/c.bin")


def test_a_missing_object_is_named_in_the_error(store):
    with pytest.raises(MissingObjectError, match=r"nothing/here\.bin"):
        store.get("nothing/here.bin")


def test_a_deleted_object_is_gone_and_deleting_it_again_is_no_error(store):
    store.put("parts/a.bin", b"1")
    for _ in range(2):
        store.delete("parts/a.bin")
    assert not store.exists("parts/a.bin")
    assert list(store.keys("parts/")) == []


def test_files_of_any_size_go_in_and_out_without_being_read_whole(store, tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(b"0123456789" * 300_000)
    store.put_file("big/file.bin", source)
    store.get_file("big/file.bin", copy)
    assert copy.read_bytes() == source.read_bytes()
    with pytest.raises(MissingObjectError, match=r"no\.bin"):
        store.get_file("no.bin", copy)


def test_a_write_that_a_full_disk_stops_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    store = LocalStore(tmp_path / "store")
    store.put("a", b"before")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.put("a", b"after")
    assert store.get("a") == b"before"
    assert [p.name for p in (tmp_path / "store").iterdir()] == ["a"]


def test_put_if_absent_never_overwrites(store):
    assert store.put_if_absent("once", b"first")
    assert not store.put_if_absent("once", b"second")
    assert store.get("once") == b"first"


def test_of_many_writers_at_once_exactly_one_wins(store):
    won = []
    threads = [
        threading.Thread(target=lambda n=n: won.append(n) if store.put_if_absent("race", str(n).encode()) else None)
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get("race") == str(won[0]).encode()


def test_keys_lists_by_prefix_in_order(store):
    for key in ("offers/b/2", "offers/a/1", "offers/ab", "other/x"):
        store.put(key, b"")
    assert list(store.keys("offers/")) == ["offers/a/1", "offers/ab", "offers/b/2"]
    assert list(store.keys("offers/a")) == ["offers/a/1", "offers/ab"]
    assert list(store.keys("")) == ["offers/a/1", "offers/ab", "offers/b/2", "other/x"]
    assert list(store.keys("none/")) == []


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a/../../b", "a\x00b"])
def test_a_key_cannot_leave_the_store(store, key):
    with pytest.raises(StoreError, match="cannot be a key"):
        store.put(key, b"x")


def test_an_interrupted_write_leaves_no_object(tmp_path):
    store = LocalStore(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / ".1234.tmp").write_bytes(b"half")
    assert list(store.keys("")) == []


@pytest.mark.parametrize("url", ["ftp://x", "/plain/path", "s3://", "file://host/path"])
def test_an_unknown_store_url_says_what_is_possible(url):
    with pytest.raises(StoreError, match=r"file:///folder or s3://bucket/prefix"):
        open_store(url)
