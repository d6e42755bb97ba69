"""Files for machines around an installation: mounted buckets, and a GPU machine on AWS."""

import configparser
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = sorted((DEPLOY / "mounts").glob("*.service"))


def read(unit):
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str
    parser.read(unit, encoding="utf-8")
    return parser


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_mounted_bucket_is_read_only_seen_by_containers_and_mounted_again_when_it_ends(unit):
    service = read(unit)["Service"]
    assert "read-only" in service["ExecStart"] or "-o ro" in service["ExecStart"]
    assert "allow-other" in service["ExecStart"] or "allow_other" in service["ExecStart"]
    assert service["Restart"] == "always"
    assert read(unit)["Unit"]["Before"] == "docker.service"
    assert f"deploy/mounts/{unit.name}" in unit.read_text(encoding="utf-8")


def test_there_is_a_unit_for_each_of_the_three_stores():
    assert [unit.stem.rpartition("-")[2] for unit in UNITS] == ["azure", "google", "s3"]


def test_the_machine_on_aws_gets_docker_and_a_driver_that_the_cuda_image_needs():
    text = (DEPLOY / "aws/cloud-init.yaml").read_text(encoding="utf-8")
    assert text.startswith("#cloud-config\n")
    config = yaml.safe_load(text)
    installed = next(command for command in config["runcmd"] if command[0] == "apt-get")
    assert {"docker-ce", "docker-compose-plugin", "nvidia-container-toolkit"} <= set(installed)
    driver = next(name for name in installed if name.startswith("nvidia-driver-"))
    assert int(driver.split("-")[2]) >= 580  # CUDA 13, as deploy/docker/cuda.lock says
    assert all(len(source["keyid"]) == 40 for source in config["apt"]["sources"].values())
