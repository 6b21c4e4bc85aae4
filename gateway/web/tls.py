"""The gateway's own certificate authority and the certificate that it serves.

Both are P-256. The authority may vouch only for names and addresses of a home (critical name constraints), so a
stolen one cannot speak for the rest of the web to those who trust it. Files lie in `<home>/tls`, 0700, keys 0600.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import HearthlogError
from gateway.files import write_whole

_HOME_SUFFIXES = ("localhost", "local", "lan", "home", "internal", "home.arpa")
_HOME_NETS = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)
_NETS = tuple(ipaddress.ip_network(net) for net in _HOME_NETS)
_PINNED = "pinned"
_CA_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_CA_LASTS = timedelta(days=20 * 365)
_LEAF_LASTS = timedelta(days=397)
_RENEW_BEFORE = timedelta(days=30)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Names:
    """Under what the box is reached."""

    dns: tuple[str, ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate that can be served."""

    ca: Path
    """PEM of the authority: what people install."""
    leaf: Path
    """PEM of the key and the certificate. 0600."""
    fingerprint: str
    """SHA-256 of the authority, in upper-case hex pairs with colons."""


def ensure(home: Path, names: Names, now: datetime) -> Tls:
    """The files, made or renewed if need be. Blocks. Raises HearthlogError when the authority's files are damaged.

    A name that the authority may not vouch for makes a new authority, unless cameras trust it (`pin`); then such a
    name is left out, as an address always is.
    """
    folder = home / "tls"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca, key = _authority(folder, names, now)
    names = _allowed(ca, names)
    leaf = folder / "leaf.pem"
    if not _still_good(leaf, ca, names, now):
        _make_leaf(leaf, (ca, key), names, now)
    return Tls(folder / "ca.pem", leaf, fingerprint_of(ca))


def broker_pem(home: Path, names: Names, now: datetime) -> tuple[bytes, bytes]:
    """(key, certificate and authority) as PEM for the broker, from the same authority. Blocks. Raises as `ensure`.

    It lasts as long as the authority, which stays from now on: nobody would renew it, and cameras go by who signed it.
    """
    folder = home / "tls"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca, ca_key = _authority(folder, names, now)
    pin(home)
    key, leaf = _signed((ca, ca_key), _allowed(ca, names), from_=now - _DAY, to=ca.not_valid_after_utc)
    return _private(key), leaf + ca.public_bytes(serialization.Encoding.PEM)


def pin(home: Path) -> None:
    """From now on cameras trust this authority by its fingerprint: it is not replaced before its end. Blocks."""
    (home / "tls" / _PINNED).touch(mode=0o600)


def context(tls: Tls) -> ssl.SSLContext:
    """For a server. `refresh` puts a renewed certificate into it."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    refresh(made, tls)
    return made


def refresh(made: ssl.SSLContext, tls: Tls) -> None:
    """New connections get the certificate that lies in the folder now."""
    made.load_cert_chain(tls.leaf)


def authority_pem(home: Path) -> bytes | None:
    """What people install to trust the box; None where it speaks no HTTPS yet."""
    path = home / "tls" / "ca.pem"
    return path.read_bytes() if path.exists() else None


def authority_fingerprint(home: Path) -> str:
    """As `fingerprint_of`; empty where the box speaks no HTTPS yet."""
    pem = authority_pem(home)
    return fingerprint_of(x509.load_pem_x509_certificate(pem)) if pem else ""


def fingerprint_of(certificate: x509.Certificate) -> str:
    """`AB:CD:…`, as browsers show it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def own_names(extra: Sequence[str] = ()) -> Names:
    """What this machine is called and has for addresses, and the names of the settings."""
    host = socket.gethostname().lower().rstrip(".")
    short = host.partition(".")[0]
    dns = dict.fromkeys(["localhost", host, short, f"{short}.local", *(name.lower().rstrip(".") for name in extra)])
    return Names(tuple(name for name in dns if _is_name(name)), tuple(local_addresses()))


def local_addresses() -> list[str]:
    """Addresses of this machine, as Linux lists them; elsewhere the loopback ones."""
    found = {"127.0.0.1", "::1"}
    for line in _lines("/proc/net/if_inet6"):
        found.add(str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))))
    previous = ""
    for line in _lines("/proc/net/fib_trie"):
        if "/32 host LOCAL" in line and previous:
            found.add(previous)
        previous = line.split()[-1] if "|--" in line else previous
    return sorted(found)


def _authority(folder: Path, names: Names, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate, key = folder / "ca.pem", folder / "ca.key"
    if certificate.exists() and key.exists():
        try:
            ca = x509.load_pem_x509_certificate(certificate.read_bytes())
            loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except ValueError as error:
            raise HearthlogError(
                "the certificate authority's files are damaged",
                code="tls-damaged",
                where=str(folder),
                hint="Move them away to make a new one: every browser then has to trust it anew",
            ) from error
        fits = (folder / _PINNED).exists() or all(_may_name(ca, name) for name in names.dns)
        if isinstance(loaded, ec.EllipticCurvePrivateKey) and fits and now < ca.not_valid_after_utc:
            return ca, loaded
    return _make_authority(folder, names, now)


def _make_authority(folder: Path, names: Names, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Hearthlog"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Hearthlog of this home {secrets.token_hex(3)}"),
        ]
    )
    suffixes = dict.fromkeys([*_HOME_SUFFIXES, *names.dns])
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in suffixes]
    permitted += [x509.IPAddress(net) for net in _NETS]
    permitted += [x509.IPAddress(ipaddress.ip_network(each)) for each in names.addresses if _is_odd(each)]
    ca = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_CA_FROM)
        .not_valid_after(max(now, _CA_FROM) + _CA_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_whole(folder / "ca.key", _private(key))
    write_whole(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return ca, key


def _make_leaf(
    path: Path, authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey], names: Names, now: datetime
) -> None:
    key, leaf = _signed(authority, names, from_=now - _DAY, to=now + _LEAF_LASTS)
    write_whole(path, _private(key) + leaf)


def _signed(
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey], names: Names, *, from_: datetime, to: datetime
) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    ca, ca_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names.dns]
    alternatives += [x509.IPAddress(ipaddress.ip_address(each)) for each in names.addresses]
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hearthlog")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(from_)
        .not_valid_after(to)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return key, leaf.public_bytes(serialization.Encoding.PEM)


def _still_good(path: Path, ca: x509.Certificate, names: Names, now: datetime) -> bool:
    if not path.exists():
        return False
    try:
        leaf = x509.load_pem_x509_certificate(path.read_bytes())
        leaf.verify_directly_issued_by(ca)
        has = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # noqa: BLE001  cryptography raises many kinds; whatever is wrong with it, a new one is made
        return False
    addresses = {str(each) for each in has.get_values_for_type(x509.IPAddress)}
    named = set(names.dns) <= set(has.get_values_for_type(x509.DNSName)) and set(names.addresses) <= addresses
    return named and leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc - _RENEW_BEFORE


def _allowed(ca: x509.Certificate, names: Names) -> Names:
    return Names(
        tuple(each for each in names.dns if _may_name(ca, each)),
        tuple(each for each in names.addresses if _may_serve(ca, each)),
    )


def _may_name(ca: x509.Certificate, name: str) -> bool:
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints).value
    suffixes = [each.value for each in constraints.permitted_subtrees or () if isinstance(each, x509.DNSName)]
    return any(name == suffix or name.endswith("." + suffix) for suffix in suffixes)


def _may_serve(ca: x509.Certificate, address: str) -> bool:
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints).value
    values = [each.value for each in constraints.permitted_subtrees or () if isinstance(each, x509.IPAddress)]
    nets = [each for each in values if isinstance(each, ipaddress.IPv4Network | ipaddress.IPv6Network)]
    return any(ipaddress.ip_address(address) in net for net in nets)


def _is_odd(address: str) -> bool:
    """A home network with addresses of the wide net. Not so IPv6: those change by themselves and nobody types them."""
    found = ipaddress.ip_address(address)
    return found.version == 4 and not any(found in net for net in _NETS)


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 253 and all(
        0 < len(part) <= 63 and part.isascii() and part.replace("-", "a").isalnum() for part in name.split(".")
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("ascii").splitlines()
    except OSError:
        return []
