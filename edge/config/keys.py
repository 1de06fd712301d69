"""Keys: the public key that a server signs configurations with, as a file may hold it."""

import base64

RAW_BYTES = 32
_DER_HEAD = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of Ed25519 (RFC 8410)
_PEM_LINE = b"-----"


def ed25519_key(content: bytes) -> bytes:
    """Give the 32 bytes of a public key that is PEM, or base64 of them; ValueError: what it is."""
    lines = [ln.strip() for ln in content.splitlines() if not ln.startswith(_PEM_LINE)]
    if b"PRIVATE KEY" in content:
        raise ValueError("a private key, which belongs on no agent")
    try:
        raw = base64.b64decode(b"".join(lines), validate=True)
    except ValueError as error:
        raise ValueError("no base64") from error
    raw = raw.removeprefix(_DER_HEAD)
    if len(raw) != RAW_BYTES:
        raise ValueError(f"{len(raw)} bytes")
    return raw
