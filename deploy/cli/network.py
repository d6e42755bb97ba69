"""What the host's network looks like: where containers reach the host, which subnet and which ports are free."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

SUBNETS = ("172.31.254.0/28", "10.213.77.0/28", "192.168.213.0/28", "10.77.213.0/28", "172.29.254.0/28")
"""Small networks for webhooks, in the order in which they are tried."""
DESKTOP_GATEWAY = {"darwin": "192.168.65.254", "win32": "192.168.65.254"}
"""Where containers of Docker Desktop reach the host."""
LINUX_GATEWAY = "172.17.0.1"


class NetworkProblem(ValueError):
    """The host's network leaves no room; the message says what to set."""


def host_gateway(platform: str = sys.platform) -> str:
    """The host's address as containers see it: asked from Docker, else the default of the operating system."""
    docker = shutil.which("docker")
    if docker and platform == "linux":
        command = [docker, "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            return LINUX_GATEWAY
        address = told.stdout.strip()
        if told.returncode == 0 and is_address(address):
            return address
    return DESKTOP_GATEWAY.get(platform, LINUX_GATEWAY)


def is_address(text: str) -> bool:
    """Whether this is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def own_address(towards: str) -> str:
    """This machine's address on the way to another host. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 9))
        except OSError as error:
            raise NetworkProblem(f"no way from here to {towards}: give --receiver-url") from error
        return str(probe.getsockname()[0])


def routes(table: str) -> list[ipaddress.IPv4Network]:
    """Networks of Linux' routing table (the text of ``/proc/net/route``), without the default route."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] != "00000000":
            address, mask = (struct.unpack("<I", bytes.fromhex(fields[i]))[0] for i in (1, 7))
            found.append(ipaddress.IPv4Network((address, int(mask).bit_count())))
    return found


def free_subnet(taken: Iterable[ipaddress.IPv4Network] | None = None) -> ipaddress.IPv4Network:
    """A small subnet that no route of this machine leads to.

    Raises:
        NetworkProblem: all candidates are taken.
    """
    if taken is None:
        file = Path("/proc/net/route")
        taken = routes(file.read_text(encoding="ascii")) if file.exists() else []
    known = list(taken)
    for text in SUBNETS:
        candidate = ipaddress.IPv4Network(text)
        if not any(candidate.overlaps(network) for network in known):
            return candidate
    raise NetworkProblem(f"none of {', '.join(SUBNETS)} is free: set DEPLOY_HOOKS_SUBNET and DEPLOY_RECEIVER_ADDRESS")


def port_is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            return True  # below 1024; Docker may
        except OSError:
            return False
    return True
