"""Pictures that the sandbox reads from where they lie: CVAT's file share, a cloud storage."""

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.contract.test_schema import problems, schema  # noqa: F401 - a fixture
from tests.contract.workplace import picture

NAMES = ["reef/b/2.png", "reef/a/1.png", "reef/b/1.png"]
SPEC = {
    "provider_type": "AWS_S3_BUCKET",
    "resource": "pictures",
    "display_name": "reefline",
    "credentials_type": "KEY_SECRET_KEY_PAIR",
    "key": "AKIAEXAMPLE",
    "secret_key": "very secret",
    "specific_attributes": "region=us-east-1",
}


@pytest.fixture(scope="module")
def folders(workshop):
    """The file share and the folder of a bucket, with pictures in them."""
    for root in (workshop.sandbox.folder / "share", workshop.sandbox.folder / "cloud" / "pictures"):
        for number, name in enumerate(NAMES):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(number))
    return workshop.sandbox.folder


@pytest.fixture(scope="module")
def endpoint():
    """An S3 server with the pictures in a bucket."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host.replace('0.0.0.0', '127.0.0.1')}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.create_bucket(Bucket="pictures")
    for number, name in enumerate(NAMES):
        client.put_object(Bucket="pictures", Key=name, Body=picture(number))
    yield url
    server.stop()


def pointed(workplace, **body):
    """A task whose pictures lie elsewhere, with how its making went."""
    task = workplace.post("/api/tasks", {"name": "pointed", "project_id": workplace.project()["id"]})
    body = {"image_quality": 70, "sorting_method": "predefined", **body}
    request = workplace.post(f"/api/tasks/{task['id']}/data", body)["rq_id"]
    return workplace.get(f"/api/tasks/{task['id']}"), workplace.get(f"/api/requests/{request}")


def shows_its_pictures(workplace, task):
    """Whether every frame is served as it was stored, in the asked order."""
    meta = workplace.get(f"/api/tasks/{task['id']}/data/meta")
    assert [f["name"] for f in meta["frames"]] == NAMES
    assert [(f["width"], f["height"]) for f in meta["frames"]] == [(64, 48)] * 3
    for number in range(3):
        query = {"type": "frame", "number": number, "quality": "original"}
        answer = workplace.client.get(f"/api/tasks/{task['id']}/data", params=query)
        assert answer.content == picture(number)
    assert workplace.client.get(f"/pictures/{task['id']}/1").content == picture(1)
    assert workplace.client.get(f"/api/tasks/{task['id']}/preview").status_code == 200
    return meta


def test_a_cloud_storage_never_tells_its_credentials(workplace, folders, schema):  # noqa: F811
    made = workplace.post("/api/cloudstorages", SPEC)
    listed = workplace.get("/api/cloudstorages", name="reefline")
    assert listed["results"][0] == made
    assert not {"key", "secret_key", "credentials"} & made.keys()
    assert problems(schema, "PaginatedCloudStorageReadList", listed) == []
    path = f"/api/cloudstorages/{made['id']}"
    assert workplace.patch(path, {"description": "changed"})["description"] == "changed"
    assert workplace.get(f"{path}/status") == "AVAILABLE"
    assert workplace.client.delete(path).status_code == 204
    assert workplace.client.get(path).status_code == 404


def test_what_cvat_would_not_take_as_a_cloud_storage_is_refused(workplace):
    for wrong in ({"provider_type": "FTP"}, {"key": "x" * 41}):
        assert workplace.client.post("/api/cloudstorages", json=SPEC | wrong).status_code == 400
    assert workplace.client.post("/api/cloudstorages", json={}).status_code == 400


def test_pictures_of_a_bucket_in_a_folder_are_shown_in_the_given_order(workplace, folders):
    storage = workplace.post("/api/cloudstorages", SPEC | {"display_name": "folder"})
    task, request = pointed(workplace, server_files=NAMES, cloud_storage_id=storage["id"], use_cache=True)
    assert request["status"] == "finished"
    meta = shows_its_pictures(workplace, task)
    assert (meta["storage"], meta["cloud_storage_id"]) == ("cloud_storage", storage["id"])
    assert task["data_cloud_storage_id"] == storage["id"]


def test_pictures_of_a_bucket_behind_an_s3_address_are_fetched(workplace, endpoint):
    facts = f"region=us-east-1&endpoint_url={endpoint}"
    spec = SPEC | {"display_name": "s3", "specific_attributes": facts}
    storage = workplace.post("/api/cloudstorages", spec)
    assert workplace.get(f"/api/cloudstorages/{storage['id']}/status") == "AVAILABLE"
    task, request = pointed(workplace, server_files=NAMES, cloud_storage_id=storage["id"])
    assert request["status"] == "finished", request["message"]
    shows_its_pictures(workplace, task)
    other = workplace.post("/api/cloudstorages", spec | {"resource": "elsewhere"})
    assert workplace.get(f"/api/cloudstorages/{other['id']}/status") == "NOT_FOUND"


def test_pictures_of_the_file_share_stay_there_unless_they_are_copied(workplace, folders):
    task, _ = pointed(workplace, server_files=NAMES)
    assert shows_its_pictures(workplace, task)["storage"] == "share"
    copied, _ = pointed(workplace, server_files=NAMES, copy_data=True)
    assert shows_its_pictures(workplace, copied)["storage"] == "local"


def test_a_folder_stands_for_its_pictures_and_the_usual_order_is_by_name(workplace, folders):
    task, _ = pointed(workplace, server_files=["reef/"], sorting_method="lexicographical")
    meta = workplace.get(f"/api/tasks/{task['id']}/data/meta")
    assert [f["name"] for f in meta["frames"]] == sorted(NAMES)


@pytest.mark.parametrize("name", ["reef/none.png", "../log.png", "reef/../../../etc/passwd.png"])
def test_pictures_that_are_not_there_or_outside_fail_the_request(workplace, folders, name):
    task, request = pointed(workplace, server_files=[name])
    assert request["status"] == "failed"
    assert request["message"]
    assert task["size"] == 0


def test_no_pictures_and_no_storage_are_refused(workplace):
    task = workplace.post("/api/tasks", {"name": "empty"})
    path = f"/api/tasks/{task['id']}/data"
    assert workplace.client.post(path, json={"image_quality": 70}).status_code == 400
    body = {"server_files": NAMES, "cloud_storage_id": 999}
    assert workplace.client.post(path, json=body).status_code == 404
