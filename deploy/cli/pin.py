"""Replacing the tags of images by the digests that are in force now, so that a later pull brings the same bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping

NAMES = ("PYTHON", "BUILD", "POSTGRES", "GATEWAY", "CLICKHOUSE", "VECTOR", "GRAFANA")
IMAGES = tuple(f"DEPLOY_{name}_IMAGE" for name in NAMES)
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


class PinError(RuntimeError):
    """An image cannot be pinned; the message says why."""


def digest_by_docker(image: str) -> str:
    """The digest of an image's index in its registry, asked by docker buildx.

    Raises:
        PinError: no Docker, no such image, no network.
    """
    docker = shutil.which("docker")
    if not docker:
        raise PinError("docker is not installed here: pin where it is")
    command = [docker, "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    digest = told.stdout.strip()
    if told.returncode != 0 or not DIGEST.match(digest):
        raise PinError(f"{image}: {told.stderr.strip().splitlines()[-1] if told.stderr.strip() else 'no digest'}")
    return digest


def pinned(env: Mapping[str, str], ask: Callable[[str], str] = digest_by_docker) -> dict[str, str]:
    """The images of an env file with their digests, by variable. The tag stays, for people."""
    found = {}
    for name in IMAGES:
        if image := env.get(name, "").partition("@")[0]:
            found[name] = f"{image}@{ask(image)}"
    return found
