"""Who may connect: by default only those who hold the temporary credentials of the cluster."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simherd.errors import ClusterOptionError, MissingDependencyError

__all__ = [
    "CREDENTIALS",
    "address_of",
    "as_security",
    "credential_files",
    "is_loopback",
    "write_credentials",
]

WORDS = {True: True, "tls": True, "temporary": True, False: False, "none": False}
CREDENTIALS = ("tls_ca_file", "tls_worker_cert", "tls_worker_key")
"""What a worker needs."""
FORMS = "'tls', 'none', a distributed.Security or a mapping with tls_ca_file, tls_client_cert ..."


def address_of(interface: str | None) -> str:
    """Return the address at which this machine is reached.

    Parameters
    ----------
    interface : str, optional
        Network interface, such as "ib0"; that of the route to the internet by default.

    Raises
    ------
    ClusterOptionError
        If there is no such interface.
    """
    if interface is None:
        from distributed.utils import get_ip

        return str(get_ip())  # type: ignore[no-untyped-call]
    import psutil

    addresses = {
        name: [one.address for one in found if one.family == socket.AF_INET]
        for name, found in psutil.net_if_addrs().items()
    }
    if addresses.get(interface):
        return str(addresses[interface][0])
    named = ", ".join(f"{name} ({found[0]})" for name, found in addresses.items() if found)
    raise ClusterOptionError(
        f"interface={interface!r}: this machine has no such network interface. It has {named}.",
        fix="name one of these that the nodes have too, or leave it out.",
    )


def is_loopback(host: str) -> bool:
    """Return whether a host can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def as_security(security: Any, is_wanted: bool) -> Any:
    """Return Dask's security object for a scheduler, or None for plain connections.

    Parameters
    ----------
    security : object
        What the user said.
    is_wanted : bool
        Whether to make temporary credentials if the user said nothing.

    Raises
    ------
    ClusterOptionError
        If `security` is none of the allowed forms.
    MissingDependencyError
        If temporary credentials are needed and the package that makes them is missing.
    """
    from distributed.security import Security

    if isinstance(security, Security):
        return security
    if isinstance(security, Mapping):
        try:
            return Security(**security)  # type: ignore[no-untyped-call]
        except (TypeError, ValueError) as error:
            raise ClusterOptionError(f"security: {error}.", fix=f"give {FORMS}.") from error
    if security is not None and not (isinstance(security, str | bool) and security in WORDS):
        raise ClusterOptionError(f"security={security!r} is not known.", fix=f"give {FORMS}.")
    wanted = is_wanted if security is None else WORDS[security]
    return _temporary() if wanted else None


def _temporary() -> Any:
    from simherd.clusters.credentials import TemporaryCredentials

    try:
        return TemporaryCredentials.new()
    except ImportError as error:
        raise MissingDependencyError(
            "Encrypted connections need the package cryptography, which is not installed.",
            fix="pip install cryptography; or security='none', where only people you trust reach the port.",
        ) from error


def write_credentials(security: Any, folder: Path) -> Any:
    """Return a security object whose credentials are files that workers can read, 0600 in a folder.

    Parameters
    ----------
    security : distributed.Security
        May hold its credentials in memory.
    folder : Path
        A folder that only the user may enter and that all nodes see.
    """
    files = credential_files(security, str(folder))
    for name in CREDENTIALS:
        if getattr(files, name) != (value := getattr(security, name)):
            path = Path(getattr(files, name))
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(value)
    return files


def credential_files(security: Any, folder: str) -> Any:
    """Return a security object with the paths that `write_credentials` gives to credentials in memory."""
    from distributed.security import Security

    found = {name: getattr(security, name) for name in CREDENTIALS}
    in_memory = {name for name, value in found.items() if value is not None and "\n" in value}
    paths = {name: f"{folder}/{name}.pem" if name in in_memory else value for name, value in found.items()}
    return Security(require_encryption=True, **paths)  # type: ignore[no-untyped-call]
