"""Signing with the officer's Ed25519 key; the one module that needs `cryptography`."""

import base64
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from contract.errors import ConfigError, Problem

_OPEN_TO_OTHERS = 0o077


def make_key(path: Path) -> Path:
    """Write a new key (mode 0600), and its public half beside it as *.pub; give that path.

    ConfigError when either file is there already: a key that agents trust is never overwritten.
    """
    public = path.with_name(path.name + ".pub")
    for file in (path, public):
        if file.exists():
            fix = "give another name; agents trust the old key until they are given the new one"
            raise ConfigError([Problem(str(file), "--out", "a new file", "it exists", fix)])
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file_out:
        file_out.write(content)
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return public


def load_key(path: Path) -> Ed25519PrivateKey:
    """Read the officer's key; ConfigError when it is none, or others may read it."""
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        problem = Problem(
            str(path), "--key", "a readable key file", str(error.strerror),
            "check the path; a new key: agents config keygen",
        )  # fmt: skip
        raise ConfigError([problem]) from error
    if mode & _OPEN_TO_OTHERS:
        fix = f"chmod 600 {path}; if others may have read it, make a new one"
        got = f"{mode & 0o777:04o}"
        raise ConfigError([Problem(str(path), "--key", "a file of mode 0600", got, fix)])
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        key, got = None, str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    else:
        got = type(key).__name__
    if not isinstance(key, Ed25519PrivateKey):
        expected, fix = "an Ed25519 private key without passphrase, PEM", "agents config keygen"
        raise ConfigError([Problem(str(path), "--key", expected, got, fix)])
    return key


def signature_of(key: Ed25519PrivateKey, content: bytes) -> str:
    """Give the signature over a content, base64; it is checked before it is given."""
    signature = key.sign(content)
    key.public_key().verify(signature, content)
    return base64.b64encode(signature).decode("ascii")


def is_signed_by(key: Ed25519PrivateKey, signature: str, content: bytes) -> bool:
    """Say whether a signature over a content is of a key's holder."""
    try:
        key.public_key().verify(base64.b64decode(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True
