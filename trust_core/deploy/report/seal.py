"""The seal of a report: a hash of its content, and a signature that says who vouches for it.

The seal is one line of the file, between two comments. The hash is that of all other bytes; the
signature, Ed25519 (RFC 8032), is of the hash.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trust_core.errors import SettingsError, file_errors

OPEN, CLOSE = b"<!-- seal -->", b"<!-- end of seal -->"
PURPOSE = b"Second Look report, sha256 "  # what is signed begins with it: no other use of the key
VALUE_NAMES = {
    "sha256": "Content hash (sha256)",
    "signer": "Signed by",
    "key": "Public key (Ed25519)",
    "signature": "Signature",
}
VALUE = re.compile(r'<code data-seal="([a-z0-9]+)">([^<]*)</code>')


@dataclass(frozen=True)
class Verification:
    """Whether a report is what it was.

    Attributes:
        ok: nothing was changed and, where it is signed, the signature is that of its key.
        sentence: the same in words.
        sha256: of the content, as it is now.
        signed: whether it carries a signature.
        key: fingerprint of the signer's public key; "" without one.
        signer: the name that stands with the signature; whoever signed wrote it.
    """

    ok: bool
    sentence: str
    sha256: str
    signed: bool = False
    key: str = ""
    signer: str = ""


def seal(page: bytes, key: Ed25519PrivateKey | None = None, signer: str = "") -> bytes:
    """The page with its seal filled in.

    `page` is HTML with an empty seal: `OPEN` followed by `CLOSE`. `key` signs it, in the name of
    `signer`, which is signed with it; only a hash when None.
    """
    before, after = _around(page)
    digest = hashlib.sha256(before + after).hexdigest()
    return before + OPEN + _line(digest, key, signer).encode() + CLOSE + after


def verify(page: bytes, trusted: Ed25519PublicKey | None = None) -> Verification:
    """Check the seal of a report.

    `trusted` is the key that must have signed it; any will do when None.

    Raises:
        SettingsError: the file carries no seal.
    """
    before, after = _around(page)
    line = page[len(before) + len(OPEN) : len(page) - len(after) - len(CLOSE)]
    digest = hashlib.sha256(before + after).hexdigest()
    told = dict(VALUE.findall(line.decode("utf-8", "replace")))
    told = {name: unescape(value) for name, value in told.items()}
    if told.get("sha256") != digest:
        return Verification(
            False, "The report was changed after it was made: its content is not that of its hash.",
            digest,
        )  # fmt: skip
    if line.decode("utf-8", "replace") != _sealed(told):
        return Verification(False, "The seal of the report was changed.", digest)
    if "signature" not in told:
        sentence = "The report is as it was made. It is not signed: it does not say by whom."
        return Verification(trusted is None, sentence if trusted is None else
                            "The report is not signed.", digest)  # fmt: skip
    return _signed(told, digest, trusted)


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The Ed25519 key in a PEM file, as `openssl genpkey -algorithm ed25519` writes it.

    Raises:
        SettingsError: there is none in it.
    """
    try:
        key = serialization.load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            f"{path} holds no unencrypted Ed25519 private key in PEM; make one with "
            "`openssl genpkey -algorithm ed25519 -out key.pem`."
        )
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The Ed25519 public key in a PEM file.

    Raises:
        SettingsError: there is none in it.
    """
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(
            f"{path} holds no Ed25519 public key in PEM; get one from the private key with "
            "`openssl pkey -in key.pem -pubout -out public.pem`."
        )
    return key


def key_fingerprint(key: Ed25519PublicKey) -> str:
    """The sha256 of a public key's 32 bytes: what is compared by telephone."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def _signed(told: dict[str, str], digest: str, trusted: Ed25519PublicKey | None) -> Verification:
    signer = told.get("signer", "")
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(told["key"], validate=True))
        signature = base64.b64decode(told["signature"], validate=True)
        key.verify(signature, _message(digest, signer))
    except (KeyError, ValueError, binascii.Error, InvalidSignature):
        sentence = "The signature is not that of its key: the report or its seal was changed."
        return Verification(False, sentence, digest, signed=True)
    mark = key_fingerprint(key)
    if trusted is not None and key_fingerprint(trusted) != mark:
        sentence = f"Another key signed the report than the one that was named ({mark})."
        return Verification(False, sentence, digest, signed=True, key=mark, signer=signer)
    sentence = f"The report is as it was signed by {signer or 'its signer'}, key {mark}."
    if trusted is None:
        sentence += (
            " Whose key that is, you have to know; give the key that you trust to have it compared."
        )
    return Verification(True, sentence, digest, signed=True, key=mark, signer=signer)


def _around(page: bytes) -> tuple[bytes, bytes]:
    """What stands before and after the seal."""
    if page.count(OPEN) != 1 or page.count(CLOSE) != 1 or page.index(OPEN) > page.index(CLOSE):
        raise SettingsError("The file carries no seal; it is no report of this program.")
    return page[: page.index(OPEN)], page[page.index(CLOSE) + len(CLOSE) :]


def _message(digest: str, signer: str) -> bytes:
    return PURPOSE + digest.encode() + b" by " + signer.encode()


def _line(digest: str, key: Ed25519PrivateKey | None, signer: str) -> str:
    values = {"sha256": digest}
    if key is not None:
        signature = key.sign(_message(digest, signer))
        public = key.public_key().public_bytes_raw()
        values |= {
            "signer": signer,
            "key": base64.b64encode(public).decode(),
            "signature": base64.b64encode(signature).decode(),
        }
    return _sealed(values)


def _sealed(values: dict[str, str]) -> str:
    """The seal as HTML; what stands in it is nothing but its values."""
    rows = "".join(
        f'<dt>{text}</dt><dd><code data-seal="{name}">{escape(values[name])}</code></dd>'
        for name, text in VALUE_NAMES.items()
        if name in values
    )
    return f'<dl class="seal">{rows}</dl>'


def _read(path: Path) -> bytes:
    with file_errors(f"Cannot read {path}"):
        return path.read_bytes()
