"""A project's server is found while it runs, and nobody else is taken for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from steward.cli.running import ServerFacts, announced, running
from steward.runtime.settings import Settings


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Run an HTTP server that answers everything with ``status``; give its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_server_is_found_while_it_runs_and_forgotten_after(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    with answering(200) as port:
        with announced(settings) as announce:
            facts = announce(port)
            assert running(settings) == facts == ServerFacts(host="127.0.0.1", port=port, pid=os.getpid())
        assert running(settings) is None
        assert not (tmp_path / ".steward" / "server.json").exists()


@pytest.mark.parametrize(("status", "pid"), [(404, os.getpid()), (200, 2**22 + 1)], ids=["alive", "dead"])
def test_another_program_on_its_port_is_not_taken_for_it(tmp_path: Path, status: int, pid: int) -> None:
    (tmp_path / ".steward").mkdir()
    with answering(status) as port:
        facts = ServerFacts(host="127.0.0.1", port=port, pid=pid)
        (tmp_path / ".steward" / "server.json").write_bytes(msgspec.json.encode(facts))
        assert running(Settings(root=tmp_path)) is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"host": "127.0.0.1", "port": 1, "pid": 999999999}'])
def test_a_stale_or_broken_address_is_not_believed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".steward").mkdir()
    (tmp_path / ".steward" / "server.json").write_bytes(content)
    assert running(Settings(root=tmp_path)) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("::1", "http://[::1]:1"),
    ],
)
def test_the_address_can_be_called(host: str, url: str) -> None:
    assert ServerFacts(host=host, port=1, pid=1).url == url
