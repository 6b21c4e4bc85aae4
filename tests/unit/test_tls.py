"""The box's own certificate authority, and who listens where."""

import asyncio
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from gateway.config import Http
from gateway.errors import ConfigError, HearthlogError
from gateway.web import tls
from gateway.web.serve import bind, command_socket

NOW = datetime(2026, 11, 20, tzinfo=UTC)
NAMES = tls.Names(("localhost", "hearth", "hearth.local"), ("127.0.0.1", "192.168.1.20"))


def leaf_of(made: tls.Tls) -> x509.Certificate:
    return x509.load_pem_x509_certificate(made.leaf.read_bytes())


def test_keys_are_the_owners_alone(tmp_path: Path) -> None:
    tls.ensure(tmp_path, NAMES, NOW)
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    for name in ("ca.key", "leaf.pem"):
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600


def test_leaf_is_kept_while_it_fits_and_made_anew_when_it_does_not(tmp_path: Path) -> None:
    first = tls.ensure(tmp_path, NAMES, NOW)
    serial = leaf_of(first).serial_number
    assert leaf_of(tls.ensure(tmp_path, NAMES, NOW + timedelta(days=300))).serial_number == serial
    moved = tls.Names(NAMES.dns, ("127.0.0.1", "192.168.1.21"))
    renewed = tls.ensure(tmp_path, moved, NOW)
    assert leaf_of(renewed).serial_number != serial
    old = leaf_of(renewed).serial_number
    late = tls.ensure(tmp_path, moved, NOW + timedelta(days=380))
    assert leaf_of(late).serial_number != old
    assert late.fingerprint == first.fingerprint


def test_damaged_leaf_is_replaced_and_damaged_authority_is_said(tmp_path: Path) -> None:
    made = tls.ensure(tmp_path, NAMES, NOW)
    made.leaf.write_bytes(b"not a certificate")
    leaf_of(tls.ensure(tmp_path, NAMES, NOW))
    made.ca.write_bytes(b"not a certificate")
    with pytest.raises(HearthlogError) as caught:
        tls.ensure(tmp_path, NAMES, NOW)
    assert caught.value.code == "tls-damaged"


def test_authority_vouches_for_a_home_only(tmp_path: Path) -> None:
    made = tls.ensure(tmp_path, tls.Names(NAMES.dns, ("127.0.0.1", "2001:db8::1", "203.0.113.5")), NOW)
    ca = x509.load_pem_x509_certificate(made.ca.read_bytes())
    found = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    permitted = [str(each.value) for each in found.value.permitted_subtrees or ()]
    assert "local" in permitted
    assert "192.168.0.0/16" in permitted
    alternatives = leaf_of(made).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in alternatives.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "203.0.113.5"]


def test_address_that_the_authority_may_not_name_is_left_out_and_the_authority_kept(tmp_path: Path) -> None:
    first = tls.ensure(tmp_path, NAMES, NOW)
    moved = tls.ensure(tmp_path, tls.Names(NAMES.dns, ("127.0.0.1", "203.0.113.5")), NOW)
    assert moved.fingerprint == first.fingerprint
    alternatives = leaf_of(moved).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "203.0.113.5" not in {str(each) for each in alternatives.get_values_for_type(x509.IPAddress)}


def test_name_outside_the_home_makes_a_new_authority_that_may_name_it(tmp_path: Path) -> None:
    first = tls.ensure(tmp_path, NAMES, NOW)
    wider = tls.Names((*NAMES.dns, "memory.example.org"), NAMES.addresses)
    second = tls.ensure(tmp_path, wider, NOW)
    assert second.fingerprint != first.fingerprint
    assert tls.ensure(tmp_path, wider, NOW).fingerprint == second.fingerprint


@pytest.mark.parametrize("name", ["localhost", "hearth.local", "127.0.0.1"])
async def test_client_that_trusts_the_authority_verifies_the_box(tmp_path: Path, name: str) -> None:
    made = tls.ensure(tmp_path, NAMES, datetime.now(UTC))
    trusting = ssl.create_default_context(cafile=str(made.ca))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls.context(made))
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
        assert await reader.read() == b"hello"
        writer.close()


def test_own_addresses_include_loopback() -> None:
    names = tls.own_names(("Hearth.Example.",))
    assert "127.0.0.1" in names.addresses
    assert "hearth.example" in names.dns


def close(bound: list) -> None:
    for each in bound:
        each.sock.close()


def test_loopback_host_is_plain_and_nothing_else_listens() -> None:
    bound = bind(Http(host="127.0.0.1", port=0))
    try:
        assert not any(each.secure for each in bound)
        assert {each.sock.getsockname()[0] for each in bound} <= {"127.0.0.1", "::1"}
    finally:
        close(bound)


def test_wildcard_host_is_secure_and_loopback_beside_it_plain() -> None:
    bound = bind(Http(host="0.0.0.0", port=0))
    try:
        assert {(each.sock.getsockname()[0], each.secure) for each in bound} >= {
            ("0.0.0.0", True),
            ("127.0.0.1", False),
        }
        port = bound[0].sock.getsockname()[1]
        plain = next(each.sock for each in bound if each.sock.getsockname()[0] == "127.0.0.1")
        for _ in range(20):  # every one goes to the most specific address
            with socket.create_connection(("127.0.0.1", port)) as client:
                taken, peer = plain.accept()
                taken.close()
                assert peer == client.getsockname()
        with pytest.raises(ConfigError) as caught:
            bind(Http(host="0.0.0.0", port=port))
        assert caught.value.code == "port-taken"
    finally:
        close(bound)


def test_address_of_another_machine_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        bind(Http(host="203.0.113.7", port=0))
    assert "http.host" in caught.value.hint


def test_command_socket_is_the_owners_alone_even_under_a_long_path(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30)
    with command_socket(home):
        path = home / "run" / "gateway.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()


def test_an_authority_that_cameras_trust_stays_when_the_box_is_renamed(tmp_path: Path) -> None:
    first = tls.ensure(tmp_path, NAMES, NOW)
    tls.pin(tmp_path)
    renamed = tls.Names(("localhost", "box.example.org"), NAMES.addresses)
    again = tls.ensure(tmp_path, renamed, NOW)
    assert again.fingerprint == first.fingerprint
    named = leaf_of(again).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "box.example.org" not in named.get_values_for_type(x509.DNSName)


def test_the_brokers_certificate_is_of_the_same_authority_and_outlives_the_dashboards(tmp_path: Path) -> None:
    made = tls.ensure(tmp_path, NAMES, NOW)
    key, chain = tls.broker_pem(tmp_path, NAMES, NOW)
    leaf, ca = x509.load_pem_x509_certificates(chain)
    leaf.verify_directly_issued_by(ca)
    assert tls.fingerprint_of(ca) == made.fingerprint
    assert leaf.not_valid_after_utc == ca.not_valid_after_utc
    assert b"PRIVATE KEY" in key
    assert b"PRIVATE KEY" not in chain
