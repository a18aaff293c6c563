"""An OpenID provider on 127.0.0.1 that signs with a real key, and does wrong what a test tells it to."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

CLIENT_ID, CLIENT_SECRET = "due-notice", "between us two"


class Provider:
    """Knows one person, `claims`, who is signed in there already. A dict changes what it would answer by the book."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.change_key()
        self.claims: dict[str, Any] = {"sub": "1001", "email": "olga@due-notice.example", "email_verified": True}
        self.wrong: dict[str, Any] = {}  # claims of tokens; None leaves one out
        self.document: dict[str, Any] = {}  # of the discovery document
        self.algorithm = "ES256"
        self.asks_anew = True  # where it is told to
        self.asked: list[dict[str, str]] = []  # what people were sent with
        self._codes: dict[str, dict[str, str]] = {}

    def change_key(self) -> None:
        self.key: Any = ec.generate_private_key(ec.SECP256R1())
        self._public = {**_public(self.key), "kid": secrets.token_hex(4)}

    def signed_in(self, address: str) -> str:
        """Where somebody is sent back to who was sent here."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        self.asked.append(asked)
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def about_itself(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            **self.document,
        }

    def keys(self) -> dict[str, Any]:
        return {"keys": [self._public]}

    def token(self, posted: dict[str, str], credentials: str) -> dict[str, str] | None:
        """The answer to a code; None to one that was never given, given to another, or answered before."""
        asked = self._codes.pop(posted.get("code", ""), None)
        if asked is None or credentials != f"{CLIENT_ID}:{CLIENT_SECRET}":
            return None
        digest = hashlib.sha256(posted.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge != asked["code_challenge"] or posted["redirect_uri"] != asked["redirect_uri"]:
            return None
        return {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "id_token": self._signed(asked)}

    def _signed(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "auth_time": now if asked.get("prompt") == "login" and self.asks_anew else now - 3600,
            **self.claims,
            **self.wrong,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        key = {"ES256": self.key, "HS256": CLIENT_SECRET.ljust(32), "none": None}[self.algorithm]
        return jwt.encode(claims, key, self.algorithm, headers={"kid": self._public["kid"]})


def _public(key: Any) -> dict[str, str]:
    return {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "use": "sig", "alg": "ES256"}


@contextmanager
def running() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/.well-known/openid-configuration":
                self._answer(provider.about_itself())
            elif path == "/keys":
                self._answer(provider.keys())
            elif path == "/authorize":
                self._page()
            elif path.startswith("/moved/"):
                self._send_to(path.removeprefix("/moved"))
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if urlsplit(self.path).path == "/authorize":
                self._send_to(provider.signed_in(self.path))
                return
            posted = {name: values[0] for name, values in parse_qs(body).items()}
            basic = base64.b64decode(self.headers.get("Authorization", "Basic ").removeprefix("Basic ")).decode()
            answer = provider.token(posted, basic)
            self._answer(answer or {"error": "invalid_grant"}, 200 if answer else 400)

        def _send_to(self, address: str) -> None:
            self.send_response(302)
            self.send_header("Location", address)
            self.end_headers()

        def _page(self) -> None:
            page = (
                "<!doctype html><html lang=en><title>Provider</title><h1>Northwind ID</h1>"
                f"<form method=post action='{escape(self.path)}'><button>Go on as Olga</button></form>"
            )
            self._send(page.encode(), "text/html", 200)

        def _answer(self, content: dict[str, Any], status: int = 200) -> None:
            self._send(json.dumps(content).encode(), "application/json", status)

        def _send(self, body: bytes, kind: str, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
