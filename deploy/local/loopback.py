"""The address that nothing outside this machine can reach, and free ports of it. Light: no Dagster is imported."""

import socket

HOST = "127.0.0.1"


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
