"""An authenticator of a test: keeps one key and signs what it is asked, by the specification and not by a library."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor

ORIGIN = "https://testserver"
PRESENT, VERIFIED, HAS_KEY = 0x01, 0x04, 0x40  # WebAuthn, 6.1


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@dataclass
class Passkey:
    verifies: bool = True
    origin: str = ORIGIN
    host: str = "testserver"
    counter: int = 0
    handle: str | None = None  # of the account, as the site has given it
    name: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def make(self, options: dict[str, Any]) -> str:
        """The answer to what a site asks of a new passkey."""
        self.handle = options["publicKey"]["user"]["id"]
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        kept = b"\0" * 16 + struct.pack(">H", len(self.name)) + self.name + cbor.encode(cose)
        told = {"fmt": "none", "attStmt": {}, "authData": self._seen(HAS_KEY) + kept}
        return self._answer(self._asked("create", options), {"attestationObject": base64url(cbor.encode(told))})

    def sign(self, options: dict[str, Any]) -> str:
        """The answer to a challenge."""
        asked, seen = self._asked("get", options), self._seen()
        signature = self.key.sign(seen + hashlib.sha256(asked).digest(), ec.ECDSA(hashes.SHA256()))
        said = {"authenticatorData": base64url(seen), "signature": base64url(signature), "userHandle": self.handle}
        return self._answer(asked, said)

    def _asked(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": f"webauthn.{kind}", "challenge": options["publicKey"]["challenge"], "origin": self.origin}
        return json.dumps(said).encode()

    def _seen(self, flags: int = 0) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(self.host.encode()).digest() + struct.pack(">BI", flags, self.counter)

    def _answer(self, asked: bytes, said: dict[str, Any]) -> str:
        name = base64url(self.name)
        response = {"clientDataJSON": base64url(asked), **said}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
