"""What the parts prove themselves with: made once, readable by its owner only, accepted by all."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from pymongo.uri_parser import parse_uri

from collectors.venues import VENUES
from orderflow.errors import ConfigError
from wadm.certificates import Authority, subject
from wadm.nats_config import collector_role, roles
from wadm.secrets import make_secrets


def made(folder: Path) -> list[str]:
    return make_secrets(folder, folder, ["nats"], ["mongo1", "mongo2"])


def test_everything_is_there(tmp_path: Path) -> None:
    """Certificates of all roles, keys for their owner only, passwords, and URIs that name set, user
    and TLS; nothing is overwritten."""
    folder = tmp_path / "secrets"
    names = set(made(folder))
    assert {"ca.pem", "nats.conf", "nats.pem", "mongo.pem", "mongo.keyfile"} <= names
    assert {f"{role.name}.pem" for role in roles()} <= names
    assert {f"{collector_role(venue)}.key" for venue in VENUES} <= names
    for name in names:
        private = not name.endswith((".pem", ".conf")) or name in {"mongo.pem", "valkey.conf"}
        assert (folder / name).stat().st_mode & 0o077 == (0 if private else 0o044), name
    for user in ("processor", "server", "root"):
        uri = parse_uri((folder / f"mongo-{user}.uri").read_text(), validate=False)
        assert uri["username"] == user
        assert len(uri["password"]) >= 40
    assert 6 <= len((folder / "mongo.keyfile").read_bytes()) <= 1_024
    with pytest.raises(ConfigError, match="not empty"):
        made(folder)


def test_certificates_verify(tmp_path: Path) -> None:
    """A certificate names its role, is for its host names, and only our authority's verify it."""
    authority = Authority.made()
    pair = authority.issue("nats", ["nats", "127.0.0.1"])
    pair.write(tmp_path, "nats")
    found = x509.load_pem_x509_certificate(pair.certificate)
    assert found.subject.rfc4514_string() == subject("nats")
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["nats"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pair.certificate))
    with pytest.raises(ValueError, match=r"Issuer|signature|issuer"):
        x509.load_pem_x509_certificate(Authority.made().pair.certificate).verify_directly_issued_by(
            found
        )
    context = ssl.create_default_context(cadata=authority.pair.certificate.decode())
    context.load_cert_chain(tmp_path / "nats.pem", tmp_path / "nats.key")
