"""An issuer of real tokens, and a real server of its keys on this machine."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

ISS = "https://id.example"
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
KEYS = {"RS256": RSA, "PS256": RSA, "ES256": EC, "Ed25519": ED}


def claims(now_s: float, **changed: Any) -> dict[str, Any]:
    """Return good claims; a change to ``None`` leaves one out."""
    good = {"iss": ISS, "aud": "steward", "sub": "7", "iat": now_s, "nbf": now_s, "exp": now_s + 600}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(payload: dict[str, Any] | bytes, algorithm: str = "RS256", key: Any = None, **header: Any) -> str:
    key = KEYS[algorithm] if key is None else key
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    full = {"alg": algorithm, "typ": "JWT", "kid": key.kid, **header}
    return jws.serialize_compact({k: v for k, v in full.items() if v is not None}, body, key, algorithms=[algorithm])


def forged(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys or (RSA, EC, ED)]}).encode()


class JwksServer:
    """What it answers and how often it was asked."""

    def __init__(self) -> None:
        self.answer = document()
        self.status = 200
        self.asked = 0
        self.url = ""
        self.headers: dict[str, str] = {}


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[JwksServer]:
    state = JwksServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked += 1
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(state.answer)))
            self.end_headers()
            self.wfile.write(state.answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state.url = f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}/jwks?v=1"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
