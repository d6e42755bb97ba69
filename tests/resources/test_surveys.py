"""Survey files on disk and photos in a bucket."""

import boto3
import pytest
from moto.server import ThreadedMotoServer

from labels.survey import SurveyError
from resources.surveys import READY_MARKER, S3Photos, SurveyCatalog


@pytest.fixture
def catalog(tmp_path):
    return SurveyCatalog(tmp_path)


def write(catalog, file, name="reef"):
    (catalog.folder / file).write_text(f"name: {name}\nphotos: {{folder: photos}}\ntaxonomy: demo-reef\n")


def test_two_files_with_one_name_are_told_and_the_first_counts(catalog):
    write(catalog, "a.yaml")
    write(catalog, "b.yaml")
    surveys, problems = catalog.all()
    assert len(surveys) == 1
    assert "b.yaml" in problems[0]


def test_a_survey_that_does_not_exist_names_those_that_do(catalog):
    write(catalog, "a.yaml", "moorea")
    with pytest.raises(SurveyError, match="found: moorea"):
        catalog.get("reef")


def test_a_relative_photo_folder_is_relative_to_the_survey_file(catalog):
    write(catalog, "a.yaml")
    assert catalog.photos(catalog.get("reef")).root == (catalog.folder / "photos").resolve()


def test_the_survey_of_a_batch_is_found_by_its_key(catalog):
    write(catalog, "a.yaml", "moorea-2026")
    assert catalog.of_batch("moorea-2026.0003").name == "moorea-2026"


def test_photos_in_a_bucket_are_listed_and_read_as_in_a_folder():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        keys = {"aws_access_key_id": "t", "aws_secret_access_key": "t", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
        client.create_bucket(Bucket="photos")
        for key in ("2026/b.jpg", "2026/a b.jpg", "2026/.hidden", "2027/c.jpg"):
            client.put_object(Bucket="photos", Key=key, Body=key.encode())
        photos = S3Photos("s3://photos/2026", client)
        assert [p.path for p in photos.list()] == ["a b.jpg", "b.jpg"]
        assert photos.read("a b.jpg") == b"2026/a b.jpg"
        assert not photos.ready_marker()
        client.put_object(Bucket="photos", Key=f"2026/{READY_MARKER}", Body=b"")
        assert photos.ready_marker()
        assert len(photos.list()) == 2
        with pytest.raises(FileNotFoundError, match=r"2026/gone\.jpg"):
            photos.read("gone.jpg")
    finally:
        server.stop()
