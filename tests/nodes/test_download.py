"""The downloader against a server on the loopback interface, and what is left after a failure."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

WEIGHTS = (Path(__file__).parents[2] / "xmempp_core/weights/lite.safetensors").read_bytes()
NAME = "lite.safetensors"


@pytest.fixture(scope="session")
def downloader(pack_module: Callable[[str], ModuleType]) -> ModuleType:
    return pack_module("nodes.download")


@pytest.fixture(scope="session")
def check(pack_module: Callable[[str], ModuleType]) -> Callable[[Path], object]:
    """What Load XMem++ does with a finished download: the tensors must be a network's."""
    core = pack_module("xmempp_core")
    runtime = pack_module("xmempp_core.runtime").Runtime.choose("cpu", "float32")
    return lambda path: core.load_model(path, runtime)


@pytest.fixture(scope="session")
def error(pack_module: Callable[[str], ModuleType]) -> type[Exception]:
    return pack_module("xmempp_core").FormatError


@pytest.fixture
def fetch(downloader: ModuleType, check: Callable[[Path], object]) -> Callable[..., Path]:
    def fetch(url: str, folder: Path, *, sha256: str = "", **options: object) -> Path:
        return downloader.download(
            downloader.RemoteModel(NAME, url, sha256), folder, check, **options
        )

    return fetch


class Handler(BaseHTTPRequestHandler):
    """Serves the bundled weights, well or badly."""

    def do_GET(self) -> None:
        getattr(self, "serve_" + self.path.strip("/").replace("-", "_"))()

    def log_message(self, *_: object) -> None:
        """Stays quiet."""

    def _send(self, body: bytes, declared: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if declared is None else declared))
        self.end_headers()
        with suppress(ConnectionError):  # the downloader may hang up at the sight of the size
            self.wfile.write(body)

    def serve_good(self) -> None:
        self._send(WEIGHTS)

    def serve_cut(self) -> None:
        self._send(WEIGHTS[: len(WEIGHTS) // 2], len(WEIGHTS))

    def serve_short(self) -> None:
        self._send(WEIGHTS[: len(WEIGHTS) // 2])

    def serve_page(self) -> None:
        self._send(b"<html>please log in</html>")

    def serve_moved(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/good")
        self.end_headers()

    def serve_gone(self) -> None:
        self.send_error(404)

    def serve_pieces(self) -> None:
        """Announces a piece of the file and hangs up within it."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"ffff\r\n" + WEIGHTS[:100])

    def serve_huge(self) -> None:
        self._send(WEIGHTS, 10**16)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_good_download_is_whole_and_has_its_hash_beside_it(
    downloader, fetch, check, address, tmp_path
):
    folder = tmp_path / "models" / "xmem"
    steps = []
    path = fetch(address + "good", folder, show=lambda *step: steps.append(step))
    assert path.read_bytes() == WEIGHTS
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    assert (folder / f"{NAME}.sha256").read_text() == f"{digest}  {NAME}\n"
    assert steps[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert len(steps) > 1
    downloader.verify(path)
    check(path)


def test_a_redirect_is_followed(fetch, address, tmp_path):
    assert fetch(address + "moved", tmp_path).read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("cut", r"only \d+ of \d+ bytes came"),
        ("short", "damaged or cut off"),
        ("page", "damaged or cut off"),
        ("pieces", r"the connection failed \(IncompleteRead"),
        ("gone", "the server answered 404"),
        ("huge", "there is no space for the file of 10000000000 MB"),
    ],
)
def test_a_failed_download_says_why_and_leaves_nothing(
    fetch, error, address, tmp_path, page, problem
):
    with pytest.raises(error, match=problem):
        fetch(address + page, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_gives_address_and_folder(fetch, error, tmp_path):
    url = "http://127.0.0.1:9/XMem.pth"
    with pytest.raises(error) as caught:
        fetch(url, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / NAME}: was not downloaded: the connection failed "
        f"([Errno 111] Connection refused); try again, or fetch {url} with a browser "
        f"and put it into {tmp_path}"
    )


def test_a_known_hash_that_does_not_agree_is_refused(fetch, error, address, tmp_path):
    with pytest.raises(error, match=r"its SHA-256 is .*, expected 0000"):
        fetch(address + "good", tmp_path, sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_cancel_leaves_nothing(fetch, address, tmp_path):
    class Cancelled(BaseException):
        pass

    def cancel(done_bytes: int, _all_bytes: int) -> None:
        if done_bytes:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch(address + "good", tmp_path, show=cancel)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_survives_a_failed_download(fetch, error, address, tmp_path):
    (tmp_path / NAME).write_bytes(b"earlier")
    with pytest.raises(error):
        fetch(address + "cut", tmp_path)
    assert (tmp_path / NAME).read_bytes() == b"earlier"


def test_a_file_that_changed_since_is_refused(downloader, fetch, error, address, tmp_path):
    path = fetch(address + "good", tmp_path)
    path.write_bytes(WEIGHTS[:-1] + b"x")
    with pytest.raises(error, match="has changed since it was downloaded"):
        downloader.verify(path)


@pytest.mark.parametrize("note", ["", "\xff\xfe"])
def test_a_damaged_note_of_the_hash_is_named(downloader, error, tmp_path, note):
    path = tmp_path / "mine.pth"
    path.write_bytes(b"anything")
    path.with_name("mine.pth.sha256").write_bytes(note.encode("latin-1"))
    with pytest.raises(error, match=r"delete it and mine\.pth\.sha256, then download it again"):
        downloader.verify(path)


def test_a_file_put_there_by_hand_is_taken_as_it_is(downloader, tmp_path):
    path = tmp_path / "mine.pth"
    path.write_bytes(b"anything")
    downloader.verify(path)
