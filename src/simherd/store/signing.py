"""Signatures of what a store may make simherd run: only what this user's own runs have written into it.

The key is a secret of the user, kept in the folder of `simherd.private`. Who can write a store can put a
pickle or the name of a model into it, but cannot sign them [1]_.

References
----------
.. [1] RFC 2104, "HMAC: Keyed-Hashing for Message Authentication".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from simherd.errors import ClusterError, StoreError
from simherd.private import private_folder, state_folder
from simherd.store.durable import open_file, write_all

__all__ = ["IDENTITY", "checkpoint_key", "is_signed", "make_key", "sign_text", "signature_of"]

IDENTITY = "store"
"""Key of the fingerprint: what tells a store from all others; stores of earlier versions have none."""
KEY = "signing.key"
KEY_BYTES = 32
_OF_MODEL = ("python", "processes", "order", "code", "packages")


def signature_of(key: bytes, *parts: bytes) -> bytes:
    """Return the signature of data, 32 bytes."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def checkpoint_key(fingerprint: Mapping[str, Any]) -> bytes | None:
    """Return what signs the checkpoints of a model in a store; None if this user never signed anything here.

    It is derived from the user's key, which therefore does not travel to workers.

    Parameters
    ----------
    fingerprint : mapping
        Fingerprint of the run with the identity of its store: checkpoints of another version of the model,
        and those of another store, which has other inputs or another seed, have another key.
    """
    key = _own_key()
    model = json.dumps([fingerprint.get(name) for name in _OF_MODEL], sort_keys=True)
    of_store = [fingerprint[IDENTITY].encode()] if IDENTITY in fingerprint else []
    return None if key is None else signature_of(key, b"checkpoints", model.encode(), *of_store)


def sign_text(purpose: str, text: str) -> str | None:
    """Return the signature of a text as hexadecimal digits; None where no key can be kept."""
    try:
        key = make_key()
    except StoreError:
        return None
    return signature_of(key, purpose.encode(), text.encode()).hex()


def is_signed(purpose: str, text: str, signature: object) -> bool:
    """Return whether a run of this user has signed a text."""
    key = _own_key()
    if key is None or not isinstance(signature, str):
        return False
    return hmac.compare_digest(
        signature_of(key, purpose.encode(), text.encode()).hex().encode(), signature.encode()
    )


def make_key() -> bytes:
    """Return the key of this user, made if need be.

    Raises
    ------
    StoreError
        If it cannot be kept.
    """
    if (key := _own_key()) is not None:
        return key
    try:
        folder = private_folder()
        unfinished = folder / f"{KEY}.{secrets.token_hex(8)}"
        descriptor = open_file(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write_all(descriptor, secrets.token_bytes(KEY_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):  # another run was first
            os.link(unfinished, folder / KEY)
        unfinished.unlink()
    except (OSError, ClusterError) as error:
        raise StoreError(
            f"Cannot keep the key that checkpoints are signed with in {str(state_folder())!r}: {error}",
            fix="let XDG_STATE_HOME name a folder that you may write and that all nodes see.",
        ) from error
    key = _own_key()
    assert key is not None, folder
    return key


def _own_key() -> bytes | None:
    """Return the key of this user, if there is one that nobody else can read."""
    path: Path = state_folder() / KEY
    try:
        descriptor = open_file(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise StoreError(
                f"The key {str(path)!r} is not yours alone: others could sign checkpoints in your name.",
                fix="remove it; checkpoints that it has signed begin anew.",
            )
        return os.read(descriptor, KEY_BYTES)
    finally:
        os.close(descriptor)
