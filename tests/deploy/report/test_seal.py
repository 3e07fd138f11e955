"""The seal: every changed byte is found, and a signature is that of its key or none."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from trust_core.deploy.report.seal import (
    CLOSE,
    OPEN,
    key_fingerprint,
    read_private_key,
    read_public_key,
    seal,
    verify,
)
from trust_core.errors import SettingsError, StoreError

PAGE = b"<p>before</p>\n" + OPEN + CLOSE + b"\n<p>after, \xc3\xa9</p>\n"
KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
NAME = 'Jane "<b>" Döe & Co'


def test_unchanged_it_verifies() -> None:
    found = verify(seal(PAGE))
    assert (found.ok, found.signed) == (True, False)
    assert "not signed" in found.sentence


def test_the_hash_is_that_of_all_but_the_seal() -> None:
    import hashlib

    wanted = hashlib.sha256(PAGE.replace(OPEN + CLOSE, b"")).hexdigest()
    assert verify(seal(PAGE)).sha256 == wanted
    assert wanted.encode() in seal(PAGE, KEY, "x")


def test_signed_it_says_by_whom() -> None:
    found = verify(seal(PAGE, KEY, NAME))
    assert (found.ok, found.signed, found.signer) == (True, True, NAME)
    assert found.key == key_fingerprint(KEY.public_key())
    assert verify(seal(PAGE, KEY, NAME), KEY.public_key()).ok
    other = verify(seal(PAGE, KEY, NAME), OTHER.public_key())
    assert not other.ok
    assert "Another key" in other.sentence


def test_a_wanted_signature_must_be_there() -> None:
    assert not verify(seal(PAGE), KEY.public_key()).ok


@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    page = bytearray(seal(PAGE, KEY, NAME))
    at = data.draw(st.integers(0, len(page) - 1))
    page[at] ^= data.draw(st.integers(1, 255))
    try:
        assert not verify(bytes(page), KEY.public_key()).ok
    except SettingsError as refused:
        assert "no seal" in str(refused)  # noqa: PT017 - the comments around it were hit


def test_another_name_or_a_second_seal_is_found() -> None:
    signed = seal(PAGE, KEY, "Jane")
    assert not verify(signed.replace(b"Jane", b"John")).ok
    mine = seal(PAGE.replace(b"before", b"better"))
    stolen = mine[: mine.index(OPEN)] + signed[signed.index(OPEN) : signed.index(CLOSE)]
    assert not verify(stolen + mine[mine.index(CLOSE) :]).ok
    added = signed.replace(CLOSE, b"<p>approved</p>" + CLOSE)
    assert verify(added).sentence == "The seal of the report was changed."
    with pytest.raises(SettingsError, match="no seal"):
        verify(signed + OPEN + CLOSE)
    with pytest.raises(SettingsError, match="no report"):
        verify(b"<p>hello</p>")


def test_keys_come_from_pem(tmp_path: Path) -> None:
    private, public, wrong = (tmp_path / name for name in ("key.pem", "public.pem", "ec.pem"))
    plain = serialization.NoEncryption()
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    private.write_bytes(KEY.private_bytes(*form))
    wrong.write_bytes(generate_private_key(SECP256R1()).private_bytes(*form))
    public.write_bytes(
        KEY.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    assert verify(seal(PAGE, read_private_key(private), "x"), read_public_key(public)).ok
    for path in (wrong, public):
        with pytest.raises(SettingsError, match="openssl genpkey"):
            read_private_key(path)
    with pytest.raises(SettingsError, match="openssl pkey"):
        read_public_key(private)
    with pytest.raises(StoreError, match="Cannot read"):
        read_private_key(tmp_path / "none.pem")
