"""The downloader against a server on this machine: resuming, checking, giving up well."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vae_core.data.fetch import REMOTES, fetch, find_local, provide
from vae_core.data.idx import write_idx
from vae_core.errors import DataError

CONTENT = np.random.default_rng(0).bytes(600_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """A web server's address, its behaviour, and the Range headers it was sent."""

    url: str = ""
    knows_range: bool = True
    breaks_after: int | None = None
    ranges: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT at /file, as its site is told to."""

    def __init__(self, site: Site, *arguments: object) -> None:
        self.site = site
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.site.ranges.append(asked)
        if self.path != "/file":
            self.send_error(404)
            return
        start = int(asked[6:-1]) if asked and self.site.knows_range else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop, self.site.breaks_after = self.site.breaks_after, None
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, site))
    site.url = f"http://127.0.0.1:{server.server_port}/file"
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def test_plain_download_reports_progress(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    to = fetch(
        site.url,
        sha256=SHA256,
        to=tmp_path / "deep" / "file",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert to.read_bytes() == CONTENT and seen[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in to.parent.iterdir()] == ["file"]


def test_a_file_already_there_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    fetch(site.url, sha256=SHA256, to=tmp_path / "file")
    assert site.ranges == []


@pytest.mark.parametrize("knows_range", [True, False])
def test_half_a_file_is_continued_or_begun_anew(
    site: Site, tmp_path: Path, knows_range: bool
) -> None:
    site.knows_range = knows_range
    (tmp_path / "file.part").write_bytes(CONTENT[:250_000])
    fetch(site.url, sha256=SHA256, to=tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert site.ranges == ["bytes=250000-"]


def test_a_broken_connection_is_continued_at_once(site: Site, tmp_path: Path) -> None:
    site.breaks_after = 300_000
    fetch(site.url, sha256=SHA256, to=tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert site.ranges[0] is None and site.ranges[1] == "bytes=300000-"


@pytest.mark.parametrize("part", [b"rubbish", bytes(len(CONTENT)), bytes(700_000)])
def test_a_bad_part_is_thrown_away(site: Site, tmp_path: Path, part: bytes) -> None:
    (tmp_path / "file.part").write_bytes(part)
    fetch(site.url, sha256=SHA256, to=tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_whole_part_is_accepted(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    fetch(site.url, sha256=SHA256, to=tmp_path / "file")
    assert not (tmp_path / "file.part").exists()


def test_wrong_content_is_never_put_in_place(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another than expected"):
        fetch(site.url, sha256="0" * 64, to=tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_mirror_serves_when_the_first_address_does_not(site: Site, tmp_path: Path) -> None:
    missing = site.url.replace("/file", "/gone")
    fetch(missing, sha256=SHA256, to=tmp_path / "file", mirrors=[site.url])
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_404_and_offline_say_what_to_do(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="404") as caught:
        fetch(site.url + "x", sha256=SHA256, to=tmp_path / "file")
    assert f"put the file file into {tmp_path} by hand" in str(caught.value)
    with pytest.raises(DataError, match="check the network"):
        fetch("http://127.0.0.1:9/file", sha256=SHA256, to=tmp_path / "file")


def test_only_web_addresses_are_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(CONTENT)
    with pytest.raises(DataError, match="no http"):
        fetch(f"file://{tmp_path}/secret", sha256=SHA256, to=tmp_path / "file")


def test_every_pin_looks_like_a_sha256_and_none_is_used_twice() -> None:
    pins = [pin for remote in REMOTES.values() for pin in remote.sha256.values()]
    assert len(set(pins)) == 12 and all(len(bytes.fromhex(pin)) == 32 for pin in pins)


Quadruple = Callable[[Path], None]


@pytest.fixture
def quadruple(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Quadruple:
    monkeypatch.setenv("VAE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("VAE_DATA_DIR", raising=False)

    def write(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for part in ("train", "t10k"):
            write_idx(folder / f"{part}-images-idx3-ubyte", np.zeros((4, 5, 5), np.uint8))
            write_idx(folder / f"{part}-labels-idx1-ubyte", np.zeros(4, np.uint8))

    return write


@pytest.mark.parametrize("place", [".", "kmnist", "KMNIST/raw"])
@pytest.mark.parametrize("by_environment", [True, False])
def test_local_files_are_found(
    quadruple: Quadruple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    by_environment: bool,
) -> None:
    quadruple(tmp_path / "data" / place)
    if by_environment:
        monkeypatch.setenv("VAE_DATA_DIR", str(tmp_path / "data"))
    found = find_local("kmnist", None if by_environment else tmp_path / "data")
    assert found is not None and found.resolve() == (tmp_path / "data" / place).resolve()
    assert provide("kmnist", tmp_path / "data") == tmp_path / "data" / place


def test_a_folder_of_another_set_or_half_a_set_is_not_taken(
    quadruple: Quadruple, tmp_path: Path
) -> None:
    quadruple(tmp_path / "mnist")
    assert find_local("kmnist", tmp_path / "mnist") is None
    assert find_local("mnist", tmp_path / "mnist") == tmp_path / "mnist"
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    assert find_local("mnist", tmp_path / "mnist") is None
