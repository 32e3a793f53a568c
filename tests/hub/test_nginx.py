"""A server that we did not write: transfers from nginx that are killed go on where they were."""

from __future__ import annotations

import http.client
import multiprocessing
import os
import pwd
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from tests.hub.transfers import checksum, download

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
KILLS = 10
RATE = 100_000  # bytes a second
CONTENT = b"".join(b"image %d\n" % number for number in range(200_000))  # nginx would like to compress it
CONF = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    log_format ranges '$http_range|$status|$body_bytes_sent';
    access_log {folder}/access.log ranges;
    client_body_temp_path {folder}/temp; proxy_temp_path {folder}/temp; fastcgi_temp_path {folder}/temp;
    uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
    gzip on; gzip_types *; gzip_min_length 1; gzip_http_version 1.0;
    server {{
        listen 127.0.0.1:{port};
        location /slow/ {{ alias {folder}/files/; limit_rate {rate}; }}
        location /fast/ {{ alias {folder}/files/; }}
    }}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "bus.zip").write_bytes(CONTENT)
    return tmp_path


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""  # else root's workers become somebody else
    conf = folder / "nginx.conf"
    conf.write_text(CONF.format(folder=folder, port=port, rate=RATE, user=user))
    with subprocess.Popen([NGINX, "-c", conf, "-p", folder, "-e", folder / "error.log"]) as nginx:
        try:
            wait_until(lambda: nginx.poll() is not None or is_open(port))
            assert nginx.poll() is None, (folder / "error.log").read_text()
            yield port
        finally:
            nginx.terminate()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(what, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.0005)


def start(url: str, target: Path) -> ForkServerProcess:
    """Download in a process of its own; they are forked from one that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.hub.transfers"])
    arguments = (url, len(CONTENT), checksum(CONTENT).value, target)
    process = context.Process(target=download, args=arguments)
    process.start()
    return process


def test_a_transfer_that_is_killed_ten_times_costs_what_lay_in_the_kernel(folder: Path, port: int) -> None:
    """What has reached the process is in the file when it is killed, and is never asked for again.

    What was sent, and not read yet, lay in buffers of the kernel, and is lost with the process: at most what nginx
    sends ahead, which is its rate for a second, and for one more where the clock ticks meanwhile.
    """
    chance = random.Random(0)
    (folder / "root").mkdir()
    target = folder / "root" / "bus.zip"
    partial = target.with_name(f".bus.zip.{checksum(CONTENT).value[:12]}.part")

    def size() -> int:
        return partial.stat().st_size if partial.exists() else 0

    kept = [0]
    for _ in range(KILLS):
        process = start(f"http://127.0.0.1:{port}/slow/bus.zip", target)
        least = size() + chance.randint(1, RATE // 2)
        wait_until(lambda least=least: size() >= least)
        process.kill()
        process.join()
        assert not target.exists()
        kept.append(size())
    process = start(f"http://127.0.0.1:{port}/fast/bus.zip", target)
    process.join()
    assert process.exitcode == 0
    assert target.read_bytes() == CONTENT

    log = folder / "access.log"
    wait_until(lambda: len(log.read_text().splitlines()) == KILLS + 1)  # nginx sees late that nobody listens any more
    asked, answered, sent = zip(*(line.split("|") for line in log.read_text().splitlines()), strict=True)
    assert asked == ("-", *(f"bytes={length}-" for length in kept[1:]))
    assert answered == ("200", *["206"] * KILLS)
    brought = [after - before for before, after in pairwise([*kept, len(CONTENT)])]
    assert all(got <= int(much) <= got + 2 * RATE for got, much in zip(brought, sent, strict=True))


def test_compression_that_is_on_does_not_matter(folder: Path, port: int) -> None:
    """The server compresses for whoever lets it; a transfer is of the file as it is."""
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as other:
        other.request("GET", "/fast/bus.zip", headers={"Accept-Encoding": "gzip"})
        answer = other.getresponse()
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(answer.read()) < len(CONTENT)
    download(f"http://127.0.0.1:{port}/fast/bus.zip", len(CONTENT), checksum(CONTENT).value, folder / "bus.zip")
    assert (folder / "bus.zip").read_bytes() == CONTENT
    assert (folder / "access.log").read_text().splitlines()[-1] == f"-|200|{len(CONTENT)}"
