"""What a machine, and the workers of a cluster, offer, and what is wrong with them."""

from __future__ import annotations

from simherd.doctor.finding import Finding, Verdict
from simherd.doctor.machine import examine_machine

__all__ = ["Finding", "Verdict", "examine_machine"]
