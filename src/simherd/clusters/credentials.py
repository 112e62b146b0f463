"""Credentials that last as long as one cluster: one key pair in memory, which all its processes share.

The start of a local cluster pays for them, so they are cheap. An elliptic-curve key takes a millisecond to
make, where the RSA key of ``distributed.Security.temporary`` takes 50 to 150. Each process makes its TLS
contexts only once. Workers, which only use them, do not import cryptography.
"""

from __future__ import annotations

import datetime
from typing import Any

from distributed.security import Security

__all__ = ["TemporaryCredentials"]

ROLES = ("client", "scheduler", "worker")
LIFE = datetime.timedelta(days=3650)
"""Longer than any run: only the processes of the cluster trust the certificate, and it ends with them."""
CLOCK_SKEW = datetime.timedelta(days=1)
"""How far the clock of a node may be behind."""


class TemporaryCredentials(Security):
    """One self-signed certificate for client, scheduler and workers.

    Parameters
    ----------
    certificate, key : str
        In PEM.
    """

    def __init__(self, certificate: str, key: str) -> None:
        self._pair = certificate, key
        self._outgoing: dict[str, Any] | None = None
        self._incoming: dict[str, Any] | None = None
        certificates = {f"tls_{role}_cert": certificate for role in ROLES}
        keys = {f"tls_{role}_key": key for role in ROLES}
        super().__init__(  # type: ignore[no-untyped-call]
            require_encryption=True, tls_ca_file=certificate, **certificates, **keys
        )

    @classmethod
    def new(cls) -> TemporaryCredentials:
        """Return credentials with a new key.

        Raises
        ------
        ImportError
            If cryptography is not installed.
        """
        return cls(*_new_pair())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._pair

    def get_connection_args(self, role: str) -> dict[str, Any]:
        """Return the arguments of outgoing connections; they are the same for all roles."""
        if self._outgoing is None:
            self._outgoing = super().get_connection_args(role)  # type: ignore[no-untyped-call]
        return dict(self._outgoing)

    def get_listen_args(self, role: str) -> dict[str, Any]:
        """Return the arguments of a listener; they are the same for all roles."""
        if self._incoming is None:
            self._incoming = super().get_listen_args(role)  # type: ignore[no-untyped-call]
        return dict(self._incoming)


def _new_pair() -> tuple[str, str]:
    """Return a new certificate and its key in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simherd")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFE)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), text.decode()
