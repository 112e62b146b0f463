"""Use of jobs as data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from simherd.accounting import (
    Finding,
    JobUsage,
    add_up,
    cpu_efficiency,
    diagnose,
    memory_efficiency,
    time_efficiency,
)
from simherd.accounting.overhead import diagnose_store

if TYPE_CHECKING:  # it loads Zarr
    from simherd.accounting.of_store import StoreUsage

__all__ = ["as_data"]


def as_data(usages: Sequence[JobUsage], store: StoreUsage | None) -> dict[str, Any]:
    """Return jobs, totals and what is known of the store; None where there is no data."""
    data = {"jobs": [_job(usage) for usage in usages], "total": asdict(add_up(usages))}
    return data if store is None else {**data, "store": _store(store)}


def _job(usage: JobUsage) -> dict[str, Any]:
    efficiency = {
        "cpu": cpu_efficiency(usage),
        "memory": memory_efficiency(usage),
        "time": time_efficiency(usage),
    }
    findings = [_finding(one) for one in diagnose(usage)]
    plain = {name: _plain(value) for name, value in asdict(usage).items()}
    return {**plain, "efficiency": efficiency, "findings": findings}


def _finding(finding: Finding) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(finding).items()}


def _store(store: StoreUsage) -> dict[str, Any]:
    return {
        **asdict(store.simulations),
        "core_hours_per_thousand": store.core_hours_per_thousand,
        "computing": store.computing,
        "failing": store.failing,
        "unasked": [asdict(one.job) for one in store.unasked],
        "findings": [_finding(one) for one in diagnose_store(store)],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value
