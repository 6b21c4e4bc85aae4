"""Signed firmware: the exact bytes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gateway import releases
from gateway.errors import Rejected
from gateway.releases import Manifest, read_manifest
from gateway.store.firmware import order_of

SHA256 = "ab" * 32
GOOD = Manifest("xiao-esp32s3-sense", "1.4.10", 1_048_576, SHA256)
TEXT = f"hearthlog-firmware-1\nxiao-esp32s3-sense\n1.4.10\n1048576\n{SHA256}\n".encode()


def test_a_manifest_has_one_way_to_be_written() -> None:
    assert GOOD.text() == TEXT
    assert read_manifest(TEXT) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        b"",
        TEXT[:-1],
        TEXT + b"\n",
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"firmware-1", b"firmware-2"),
        TEXT.replace(b"1048576", b"01048576"),
        TEXT.replace(b"1048576", b"+1048576"),
        TEXT.replace(b"1048576", b"0"),
        TEXT.replace(b"1.4.10", b"1.4"),
        TEXT.replace(b"1.4.10", b"1.4.010"),
        TEXT.replace(b"1.4.10", b"1.4.65536"),
        TEXT.replace(b"abab", b"ABAB"),
        TEXT.replace(b"xiao-esp", b"../xiao-"),
    ],
)
def test_any_other_way_is_refused(text: bytes) -> None:
    with pytest.raises(Rejected) as error:
        read_manifest(text)
    assert error.value.code == "bad-manifest"


@given(st.binary(max_size=300))
def test_noise_is_refused(text: bytes) -> None:
    with pytest.raises(Rejected):
        read_manifest(text)


def test_the_release_key_decides_where_it_is_known(tmp_path: Path) -> None:
    mine, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    releases.check_signature(GOOD, releases.sign(GOOD, other), tmp_path)
    public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / releases.RELEASE_KEY).write_bytes(mine.public_key().public_bytes(*public))
    releases.check_signature(GOOD, releases.sign(GOOD, mine), tmp_path)
    greater = Manifest(GOOD.board, "1.4.11", GOOD.size_bytes, GOOD.sha256)
    for wrong in (releases.sign(GOOD, other), releases.sign(greater, mine), "", "AAAA", "!" * 96):
        with pytest.raises(Rejected) as error:
            releases.check_signature(GOOD, wrong, tmp_path)
        assert error.value.code == "bad-signature"


def test_an_image_is_kept_under_its_hash_and_known_when_it_is_not_whole(tmp_path: Path) -> None:
    manifest = releases.manifest_of(b"image", board="xiao", version="1.0.0")
    path = releases.keep(tmp_path / "firmware", b"image")
    assert releases.is_whole(path, manifest)
    path.write_bytes(b"imagf")
    assert not releases.is_whole(path, manifest)
    path.unlink()
    assert not releases.is_whole(path, manifest)


def test_versions_are_compared_by_number() -> None:
    assert order_of("1.4.10") > order_of("1.4.9") > order_of("1.3.99") > order_of("0.9") == order_of("x.y.z") == ()
