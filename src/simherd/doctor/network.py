"""Network interfaces: how workers on other machines reach this one."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil

from simherd.clusters.security import address_of, is_loopback
from simherd.doctor.finding import Finding, Verdict

__all__ = ["Interface", "look", "look_at_address", "look_at_interfaces"]

MBIT_PER_GBIT = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Interface:
    """A network interface that is up."""

    name: str
    """Its name."""
    addresses: tuple[str, ...]
    """Its IPv4 addresses."""
    speed_mbit: int
    """Its speed, in Mbit/s; 0 if unknown."""

    @property
    def is_loopback(self) -> bool:
        """Whether it reaches this machine only."""
        return all(is_loopback(one) for one in self.addresses)


def look() -> Iterator[Finding]:
    """Yield which interfaces there are, and which workers are to use."""
    interfaces = _interfaces()
    yield look_at_interfaces(interfaces)
    yield look_at_address(address_of(None), interfaces)


def _interfaces() -> list[Interface]:
    states: Mapping[str, psutil._common.snicstats] = psutil.net_if_stats()
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        ours = tuple(one.address for one in addresses if one.family == socket.AF_INET)
        if ours and name in states and states[name].isup:
            found.append(Interface(name=name, addresses=ours, speed_mbit=states[name].speed))
    return found


def look_at_interfaces(interfaces: list[Interface]) -> Finding:
    """Return which interfaces there are; workers on other machines need one beyond loopback."""
    text = ", ".join(_describe(one) for one in interfaces) or "none is up"
    data = {one.name: {"addresses": list(one.addresses), "speed_mbit": one.speed_mbit} for one in interfaces}
    if any(not one.is_loopback for one in interfaces):
        return Finding(topic="network", text=text, data=data)
    return Finding(
        topic="network",
        verdict=Verdict.NOTE,
        text=f"{text}: workers on other machines cannot reach this one",
        data=data,
    )


def _describe(interface: Interface) -> str:
    speed = interface.speed_mbit
    rate = f", {speed / MBIT_PER_GBIT:g} Gbit/s" if speed else ""
    return f"{interface.name} ({', '.join(interface.addresses)}{rate})"


def look_at_address(address: str, interfaces: list[Interface]) -> Finding:
    """Return where the workers of a cluster are told to connect to, unless another interface is named."""
    by = ", ".join(one.name for one in interfaces if address in one.addresses)
    text = f"workers of jobs are told to connect to {address}" + (f" ({by})" if by else "")
    data = {"address": address, "interface": by}
    if not is_loopback(address):
        return Finding(topic="network", text=text, data=data)
    return Finding(
        topic="network",
        verdict=Verdict.NOTE,
        text=f"{text}, which other machines cannot reach",
        fix="give the interface that the nodes are on: interface=NAME, --set cluster.interface=NAME.",
        data=data,
    )
