"""Downloads over real TLS: bounded, whole, and never from inside the own network."""

import datetime
import http.server
import ipaddress
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from resources.downloads import Downloader, DownloadError, allowance, is_public

FILE = b"weights" * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name, _, rest = self.path.lstrip("/").partition("/")
        if name == "to":
            self.send_response(302)
            self.send_header("Location", rest)
            self.end_headers()
        elif name == "round":
            self.send_response(302)
            self.send_header("Location", "/round")
            self.end_headers()
        elif name in ("file", "short", "endless"):
            self.send_response(200)
            if name != "endless":
                self.send_header("Content-Length", str(len(FILE) + (5 if name == "short" else 0)))
            self.end_headers()
            try:
                for _ in range(1 if name != "endless" else 10_000):
                    self.wfile.write(FILE)
            except OSError:
                self.server.broken_off = True
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


def certificate(folder, host):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    )
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False).sign(key, hashes.SHA256())
    path = folder / f"{host}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def serve(pem):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.broken_off = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pem = certificate(tmp_path_factory.mktemp("tls"), "localhost")
    server = serve(pem)
    trust = ssl.create_default_context(cafile=str(pem))
    yield f"https://localhost:{server.server_port}", trust, server
    server.shutdown()


def outside(address):
    """For these tests this machine is the internet, but for 127.0.0.2."""
    return address in ("127.0.0.1", "::1")


def test_a_file_comes_whole_and_redirects_are_followed(site):
    url, trust, _ = site
    downloader = Downloader(outside, trust)
    assert downloader.fetch(f"{url}/file", len(FILE)) == FILE
    assert downloader.fetch(f"{url}/to/{url}/to//file", 10**6) == FILE


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "0.0.0.0"])
def test_the_own_network_is_never_asked(address):
    with pytest.raises(DownloadError, match=r"leads into the own network|is not known"):
        Downloader().fetch(f"https://{address}/latest/meta-data", 100)


def test_a_redirect_into_the_own_network_is_not_followed(site):
    url, trust, server = site
    with pytest.raises(DownloadError, match=r"127\.0\.0\.2 leads into the own network"):
        Downloader(outside, trust).fetch(f"{url}/to/https://127.0.0.2:{server.server_port}/file", 10**6)
    with pytest.raises(DownloadError, match="only https:// is followed"):
        Downloader(outside, trust).fetch(f"{url}/to/http://localhost:{server.server_port}/file", 10**6)


def test_a_file_that_is_too_large_is_not_taken_stated_or_not(site):
    url, trust, _ = site
    for name in ("file", "endless"):
        with pytest.raises(DownloadError, match="larger than"):
            Downloader(outside, trust).fetch(f"{url}/{name}", len(FILE) - 1)


@pytest.mark.parametrize(
    ("path", "says"), [("short", "cannot be fetched|only"), ("gone", "404"), ("round", "more than 5 redirects")]
)
def test_what_does_not_come_is_said_in_one_line(site, path, says):
    url, trust, _ = site
    with pytest.raises(DownloadError, match=says) as caught:
        Downloader(outside, trust).fetch(f"{url}/{path}", 10**6)
    assert len(str(caught.value).splitlines()) == 1


def test_the_certificate_must_be_that_of_the_name_though_the_address_is_dialled(site, tmp_path):
    url, _, _ = site
    with pytest.raises(DownloadError, match="cannot be fetched"):
        Downloader(outside).fetch(f"{url}/file", 10**6)  # a certificate nobody vouches for
    pem = certificate(tmp_path, "elsewhere.org")
    server = serve(pem)
    with pytest.raises(DownloadError, match="cannot be fetched"):
        Downloader(outside, ssl.create_default_context(cafile=str(pem))).fetch(
            f"https://localhost:{server.server_port}/file", 10**6
        )
    server.shutdown()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        (str(ipaddress.ip_address("fd00::1")), False),
    ],
)
def test_which_addresses_are_public(address, public):
    assert is_public(address) == public


def test_the_own_network_is_reached_only_where_the_operator_allows_it(site):
    url, trust, _ = site
    for text in ("127.0.0.0/8,::1/128", "localhost"):
        assert Downloader(tls=trust, allow=allowance(text)).fetch(f"{url}/file", 10**6) == FILE
    with pytest.raises(DownloadError, match="REEFLINE_DOWNLOAD_ALLOW"):
        Downloader(tls=trust, allow=allowance("10.0.0.0/8,nas.reef.org")).fetch(f"{url}/file", 10**6)


def test_what_is_allowed_is_read_strictly():
    assert allowance("").covers("localhost", "127.0.0.1") is False
    found = allowance("nas.reef.org, 10.1.0.0/16")
    assert found.covers("NAS.reef.org", "192.168.1.4")
    assert found.covers("other", "10.1.2.3")
    assert not found.covers("other", "10.2.2.3")
    with pytest.raises(ValueError, match=r"10\.1\.0\.0/99"):
        allowance("10.1.0.0/99")
