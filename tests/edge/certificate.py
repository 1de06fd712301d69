"""A private authority and a server's certificate for 127.0.0.1, as a county's own would be."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    authority: Path
    chain: Path
    key: Path
    fingerprint: str


def make_certificate(
    folder: Path, days: int = 2, address: str = "127.0.0.1", authority_name: str = "county"
) -> Certificate:
    """Make an authority and what it signs, good until so many days from now."""
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
        for text in (authority_name, "server")
    )

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
        )

    authority = (
        begun(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))])
    own = begun(name, key.public_key()).add_extension(names, critical=False)
    signed = own.sign(ca_key, hashes.SHA256())
    out = Certificate(
        folder / "ca.pem",
        folder / "server.pem",
        folder / "server.key",
        ":".join(f"{b:02X}" for b in signed.fingerprint(hashes.SHA256())),
    )
    out.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    out.chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    out.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return out
