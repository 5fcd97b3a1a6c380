"""Certificates of the internal network: one authority of our own, one certificate per part.

They prove who is who between our own processes; what the public sees comes from ACME.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backbone.clock import wall_ms

ORGANISATION = "WADM"
AUTHORITY_DAYS = 3_650
DEFAULT_DAYS = 825
SKEW = dt.timedelta(hours=1)
"""A machine whose clock is a little behind accepts a new certificate as well."""
PRIVATE = 0o600
PUBLIC = 0o644
Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both in PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> None:
        """NAME.pem for everybody, NAME.key for its owner only."""
        write_public(folder / f"{name}.pem", self.certificate)
        write_private(folder / f"{name}.key", self.key)


class Authority:
    """Signs certificates; clients trust what it signed and nothing else."""

    def __init__(self, certificate: x509.Certificate, key: Key) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def made(cls) -> Authority:
        """A new one, good for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("authority")
        builder = (
            _builder(name, name, key.public_key(), AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @property
    def pair(self) -> Pair:
        """Its own certificate, for `tlsCAFile` and the like, and its key."""
        return _pair(self._certificate, self._key)

    def issue(self, name: str, hosts: Sequence[str] = (), days: int = DEFAULT_DAYS) -> Pair:
        """A certificate for a part: a client, and a server too where it has host names."""
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if hosts:
            purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(_name(name), self._certificate.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(authority, critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return _pair(builder.sign(self._key, hashes.SHA256()), key)


def write_public(path: Path, data: bytes) -> None:
    """A file everybody may read."""
    path.write_bytes(data)
    path.chmod(PUBLIC)


def write_private(path: Path, data: bytes) -> None:
    """A file only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    path.touch(PRIVATE)
    path.write_bytes(data)


def subject(name: str) -> str:
    """The distinguished name of a part, as NATS writes it."""
    return f"CN={name},O={ORGANISATION}"


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _builder(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.fromtimestamp(wall_ms() / 1_000, dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pair(certificate: x509.Certificate, key: Key) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
