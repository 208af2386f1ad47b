"""A device that keeps a passkey, for tests without a browser: it signs what it is told, wrong or right."""

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64encode
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ORIGIN = "http://localhost"


class Authenticator:
    """One passkey on one device. ``sign_count`` is what its next answer says."""

    def __init__(self, rp_id: str = "localhost") -> None:
        self.rp_id = rp_id
        self.id = secrets.token_bytes(16)
        self.sign_count = 0
        self._key = ec.generate_private_key(ec.SECP256R1())

    def create(self, options: dict[str, Any], *, origin: str = ORIGIN, verified: bool = True) -> str:
        """The answer to ``navigator.credentials.create``."""
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + self._public_key()
        data = self._data(verified, ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": encoded(client_data("webauthn.create", options, origin)),
            "attestationObject": encoded(attestation),
            "transports": ["internal"],
        }
        return self._answer(response)

    def get(self, options: dict[str, Any], *, origin: str = ORIGIN, verified: bool = True) -> str:
        """The answer to ``navigator.credentials.get``."""
        self.sign_count += 1
        client, data = client_data("webauthn.get", options, origin), self._data(verified)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": encoded(client),
            "authenticatorData": encoded(data),
            "signature": encoded(signature),
        }
        return self._answer(response)

    def _data(self, verified: bool, more: int = 0) -> bytes:
        flags = PRESENT | (VERIFIED if verified else 0) | more
        return hashlib.sha256(self.rp_id.encode()).digest() + struct.pack(">BI", flags, self.sign_count)

    def _public_key(self) -> bytes:
        numbers = self._key.public_key().public_numbers()
        point = [number.to_bytes(32, "big") for number in (numbers.x, numbers.y)]
        made: bytes = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point[0], -3: point[1]})
        return made

    def _answer(self, response: dict[str, Any]) -> str:
        name = encoded(self.id)
        made = {"id": name, "rawId": name, "type": "public-key", "response": response}
        return json.dumps({**made, "clientExtensionResults": {}})


def client_data(kind: str, options: dict[str, Any], origin: str) -> bytes:
    """What a browser has signed along: for whom, and which challenge."""
    said = {"type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": False}
    return json.dumps(said).encode()


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
