"""Downloads from servers that lie, never end, dawdle or answer with a page: nothing but the right file is kept."""

import contextlib
import hashlib
import http.server
import threading
import time

import pytest

import minigan as mg
from minigan.data import files

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MOST = 20_000


class Server(http.server.BaseHTTPRequestHandler):
    """Answers by the first part of the path."""

    def do_GET(self):
        with contextlib.suppress(OSError):  # of a client that has seen enough
            getattr(self, self.path.split("/")[1])()

    def log_message(self, *args):
        pass

    def answer(self, content, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)

    def right(self):
        self.answer(CONTENT, Content_Length=len(CONTENT))

    def unsized(self):
        self.answer(CONTENT)

    def chunked(self):
        self.protocol_version = "HTTP/1.1"
        self.answer(f"{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n0\r\n\r\n", Transfer_Encoding="chunked")

    def moved(self):
        self.answer(b"", 302, Location="/right/file")

    def strange_length(self):
        self.answer(CONTENT, Content_Length="\u00b2")

    def changed(self):
        self.answer(CONTENT[:-1] + b"?", Content_Length=len(CONTENT))

    def cut(self):
        self.answer(CONTENT[:999], Content_Length=len(CONTENT))

    def less(self):
        self.answer(CONTENT, Content_Length=999)

    def large(self):
        self.answer(CONTENT, Content_Length=10**15)

    def absurd(self):
        self.answer(CONTENT, Content_Length="9" * 5000)

    def endless(self):
        self.answer(b"")
        while True:
            self.wfile.write(bytes(1 << 16))

    def trickle(self):
        self.answer(b"", Content_Length=MOST)
        for k in range(MOST):
            self.wfile.write(bytes([k % 256]))
            time.sleep(0.02)

    def page(self):
        self.answer(b"", 302, Location="/html/file")

    def html(self):
        self.answer(b"<html>sign in</html>", Content_Type="text/html")

    def circle(self):
        self.answer(b"", 302, Location="/circle/file")

    def nowhere(self):
        self.answer(b"", 302, Location="file:///etc/passwd")

    def colours(self):
        self.send_response(500, "\x1b[31mred")
        self.end_headers()

    def nothing(self):
        self.connection.close()


@pytest.fixture(scope="module")
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}/"
    made.shutdown()
    made.server_close()
    thread.join()


def download(server, folder, *kinds):
    return files.download("file", [f"{server}{kind}/" for kind in kinds], SHA256, MOST, folder)


@pytest.mark.parametrize("kind", ["right", "unsized", "chunked", "moved", "strange_length"])
def test_the_right_file_however_it_comes(server, tmp_path, kind):
    assert download(server, tmp_path / "cache", kind).read_bytes() == CONTENT


def test_a_slow_download_is_waited_for_as_long_as_it_is_fast_enough(server, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0)
    monkeypatch.setattr(files, "SLOWEST", 1)
    assert download(server, tmp_path, "right").read_bytes() == CONTENT
    monkeypatch.setattr(files, "SLOWEST", 1e12)
    with pytest.raises(mg.errors.DataError, match=r"right/file sent \d+ bytes in 0 s"):
        download(server, tmp_path / "again", "right")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("changed", "changed/file, 10240 bytes of .*, has SHA-256 .* expected"),
        ("cut", "cut/file, 999 bytes of .*, has SHA-256"),
        ("less", "less/file, 999 bytes of .*, has SHA-256"),
        ("large", "large/file promises 1000000000000000 bytes, expected at most 20000"),
        ("absurd", "Exceeds the limit"),
        ("endless", "endless/file sends more than 20000 bytes"),
        ("trickle", r"trickle/file sent \d+ bytes in \d s"),
        ("page", "html/file, 20 bytes of text/html, has SHA-256"),
        ("circle", "would lead to an infinite loop"),
        ("nowhere", "is not allowed"),
        ("colours", r"500: \\x1b\[31mred"),
        ("nothing", "closed|reset"),
        ("absent", "closed|reset|Remote end"),
    ],
)
def test_what_is_wrong_is_said_and_not_kept_and_the_next_mirror_asked(server, tmp_path, monkeypatch, kind, message):
    monkeypatch.setattr(files, "PATIENCE", 0.2)
    with pytest.raises(mg.errors.DataError, match=f"file could not be downloaded.*/{kind}/: .*{message}") as caught:
        download(server, tmp_path, kind)
    assert str(caught.value).isprintable()
    assert list(tmp_path.iterdir()) == []
    assert download(server, tmp_path, kind, "right").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_download_that_is_interrupted_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(response, most):
        yield CONTENT[:99]
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_arriving", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download(server, tmp_path, "right")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_take_it(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(mg.errors.DataError, match=r"file could not be downloaded.*(File exists|Not a directory)"):
        download(server, tmp_path / "file", "right")
