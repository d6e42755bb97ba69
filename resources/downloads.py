"""Fetching a file from ``https://`` or ``s3://``: bounded in size and time, and never from inside the own network.

Every address a name stands for must be public, and the connection goes to the address that was checked, so that a
name which changes its mind between check and use (DNS rebinding) gains nothing. A redirect is checked like the first
address. Proxy settings of the environment are not used: a proxy would look names up itself, unchecked.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
SECONDS = 30.0
"""Longest silence of the other side."""
TOTAL_SECONDS = 1800.0
MIB = 2**20


class DownloadError(RuntimeError):
    """The file was not fetched; the message says why and what to do."""


def is_public(address: str) -> bool:
    """Whether an address belongs to the open internet: not private, loopback, link-local, multicast or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_global and not (mapped or ip).is_multicast


@dataclass(frozen=True, slots=True)
class Allowance:
    """What of the own network may be connected to: hosts by their names, networks by their addresses."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def covers(self, host: str, address: str) -> bool:
        """Whether an address may be connected to, for a host of this name."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        return host.lower() in self.hosts or any(ip in network for network in self.networks)


def allowance(text: str) -> Allowance:
    """Names and networks (``10.1.0.0/16,nas.reef.org``), with commas between them.

    Raises:
        ValueError: a network is none.
    """
    hosts, networks = set(), []
    for part in (p.strip() for p in text.split(",")):
        if "/" in part or part.replace(".", "").isdigit() or ":" in part:
            networks.append(ipaddress.ip_network(part))
        elif part:
            hosts.add(part.lower())
    return Allowance(frozenset(hosts), tuple(networks))


@dataclass(frozen=True, slots=True)
class Downloader:
    """Fetches files.

    Attributes:
        allowed: which addresses may be connected to.
        tls: certificates to trust; the usual ones when not given.
        s3: the boto3 client; made from the usual AWS settings when not given.
        allow: hosts and networks of the own network that may be connected to, too.
    """

    allowed: Callable[[str], bool] = is_public
    tls: ssl.SSLContext | None = None
    s3: Any = None
    allow: Allowance = Allowance()

    def fetch(self, url: str, limit: int) -> bytes:
        """The file at an address.

        Args:
            url: ``https://...`` or ``s3://bucket/key``.
            limit: most bytes that are taken.

        Raises:
            DownloadError: it cannot be had, is larger, or the address is one that must not be used.
        """
        if urlsplit(url).scheme == "s3":
            return self._from_s3(url, limit)
        deadline = time.monotonic() + TOTAL_SECONDS
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._from_https(url, limit, deadline)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise DownloadError(f"{url}: more than {MAX_REDIRECTS} redirects; give the file's own address")

    def _from_https(self, url: str, limit: int, deadline: float) -> bytes | str:
        """The file, or where a redirect leads."""
        import httpx  # slow to load

        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise DownloadError(f"{url}: only https:// is followed")
        host, port = parts.hostname, parts.port or 443
        address = self._checked(host, port)
        target = httpx.URL(url).copy_with(host=address, username=None, password=None)
        client = httpx.Client(verify=self.tls or True, trust_env=False, timeout=SECONDS, follow_redirects=False)
        headers = {"Host": host if port == 443 else f"{host}:{port}", "Accept-Encoding": "identity"}
        try:
            # The certificate is checked against the name, though the connection goes to the checked address.
            request = client.build_request("GET", target, headers=headers, extensions={"sni_hostname": host})
            answer = client.send(request, stream=True)
            try:
                if answer.is_redirect:
                    return urljoin(url, answer.headers["location"])
                if answer.status_code != httpx.codes.OK:
                    raise DownloadError(f"{url} was answered with {answer.status_code}: check the address")
                return _body(answer, url, limit, deadline)
            finally:
                answer.close()
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise DownloadError(f"{url} cannot be fetched: {error or type(error).__name__}") from error
        finally:
            client.close()

    def _checked(self, host: str, port: int) -> str:
        try:
            found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError) as error:
            raise DownloadError(f"{host} is not known: {error}; check the address") from error
        inside = sorted(a for a in found if not (self.allowed(a) or self.allow.covers(host, a)))
        if inside or not found:
            raise DownloadError(
                f"{host} leads into the own network ({', '.join(inside)}): allow it in REEFLINE_DOWNLOAD_ALLOW, or "
                "download by hand and add the file"
            )
        return sorted(found, key=lambda address: ":" in address)[0]

    def _from_s3(self, url: str, limit: int) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        parts = urlsplit(url)
        try:
            client = self.s3 or _s3_client()
            found = client.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
            if found["ContentLength"] > limit:
                raise DownloadError(_too_large(url, limit))
            return found["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise DownloadError(f"{url} cannot be fetched: {error}") from error


def _body(answer: httpx.Response, url: str, limit: int, deadline: float) -> bytes:
    stated = answer.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > limit:
        raise DownloadError(_too_large(url, limit))
    data = bytearray()
    for part in answer.iter_raw():
        data += part
        if len(data) > limit:
            raise DownloadError(_too_large(url, limit))
        if time.monotonic() > deadline:
            raise DownloadError(f"{url}: not finished after {TOTAL_SECONDS / 60:.0f} minutes")
    if stated.isdecimal() and len(data) != int(stated):
        raise DownloadError(f"{url}: only {len(data)} of {stated} bytes came; try again")
    return bytes(data)


def _too_large(url: str, limit: int) -> str:
    return f"{url} is larger than {limit / MIB:.0f} MiB: is it the right file? A card's 'size' (bytes) sets the bound"


def _s3_client() -> Any:
    import boto3

    return boto3.client("s3")
