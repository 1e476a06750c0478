"""`minigan watch`: the page of a run as it grows, for a browser on this machine."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from ..errors import CheckpointError
from ..system.options import Options, nonempty
from ..system.terminal import answer, shown
from ..training import record
from ..training.report.live import Live, state
from ..training.report.page import source_of

ABOUT = """Show the page of a run in a browser, and keep it as the run is while that goes on.

    minigan watch runs/dcgan        one run
    minigan watch runs              each run in a folder

The page is served to this machine alone, and nothing else of the folder is. To see it from another machine:
ssh -L 8000:127.0.0.1:8000 MACHINE minigan watch RUN --port 8000
"""
HOST = "127.0.0.1"
HTML, JSON, TEXT = "text/html", "application/json", "text/plain"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LIST = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta http-equiv="refresh" content="10"><title>{title}</title><style>{style}</style></head>
<body><header class="top"><h1>Runs</h1><p class="soft mono">{title}</p></header><main>
<table class="numbers">{rows}</table></main></body></html>
"""


def command(arguments: Sequence[str]) -> int:
    """Serve pages until Ctrl-C."""
    p = Options("minigan watch", ABOUT)
    p.add_argument("run", type=nonempty, metavar="RUN|FOLDER", help="a run's folder, or one that holds such folders")
    p.add_argument("--port", type=_port, default=0, help="of the address (default: one that is free)")
    chosen = p.parse_args(arguments)
    with Server(Path(chosen.run), chosen.port) as server:
        answer(f"{server.address} shows {shown(chosen.run)}; Ctrl-C ends that")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 1 << 16:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text}")
    return value


class Server(ThreadingHTTPServer):
    """Serves the page of the run in the folder `path`, or of each run in it, at a port of this machine; 0: a free one.

    CheckpointError if there is no run, OSError if the port cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # Windows would let two servers have one port

    def __init__(self, path: Path, port: int = 0) -> None:
        self.path = path
        self.several = not record.is_run(path)
        self.pages: dict[str, Live] = {}  # by the names of their folders, "" of a single run
        if self.several and not self.names():
            record.read_config(path, [])  # says that there is none
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise OSError(f"port {port} of {HOST} cannot be had ({error.strerror})") from error

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.server_port}/"

    def names(self) -> list[str]:
        """The folders of runs in a folder of several."""
        return record.runs_in(self.path)

    def page_of(self, name: str) -> Live | None:
        """The page of the run of that name; None if there is no such run."""
        if name not in self.pages and (name in self.names() if self.several else not name):
            self.pages[name] = Live(self.path / name)
        return self.pages.get(name)

    def answer_to(self, asked: str) -> tuple[str, str] | None:
        """(the type, the text) of what is at that path, of which there are few; None if nothing is."""
        path, _, query = asked.partition("?")
        *folders, last = path.removeprefix("/").split("/")
        if self.several and not folders and not last:
            return HTML, self._list()
        live = self.page_of(unquote("".join(folders))) if len(folders) == self.several else None
        if live is None or last not in ("", "changes"):
            return None
        if last:
            return JSON, json.dumps(live.changes(dict(parse_qsl(query))), allow_nan=False)
        return HTML, live.page()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is no error; any other is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def _list(self) -> str:
        """The page of a folder of runs, with a link to each."""
        rows = "".join(
            f'<tr><td><a href="{quote(name, safe="")}/">{escape(shown(name))}</a></td>'
            f"<td>{escape(state(self.path / name))}</td></tr>"
            for name in self.names()
        )
        return LIST.format(title=escape(str(self.path)), style=source_of("page.css"), rows=rows)


class Handler(BaseHTTPRequestHandler):
    """Answers a request for a page or for what has changed on it; there is nothing else to ask for."""

    server: Server

    def do_GET(self) -> None:
        """Send what is asked for: 404 where there is nothing, 403 to a page of another name that asks."""
        host = self.headers.get("Host", "").partition(":")[0]
        if host not in (HOST, "localhost"):  # a name of somebody else's that leads here
            return self._send(HTTPStatus.FORBIDDEN, TEXT, f"this is {self.server.address}")
        try:
            found = self.server.answer_to(self.path)
        except (CheckpointError, OSError) as error:
            return self._send(HTTPStatus.NOT_FOUND, TEXT, str(error))
        if found is None:
            return self._send(HTTPStatus.NOT_FOUND, TEXT, "there is no such page")
        return self._send(HTTPStatus.OK, *found)

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        content = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": f"{kind}; charset=utf-8"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *about: Any) -> None:
        """Nothing is said of requests."""
