"""Signature: the only module of the edge that imports cryptography; it is loaded when needed."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def is_signed(key: bytes, signature: bytes, content: bytes) -> bool:
    """Say whether the 64-byte signature over a content is of the holder of a raw Ed25519 key."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
    except InvalidSignature:
        return False
    return True
