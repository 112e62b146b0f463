"""What rules of diagnosis look at, and the words in which they say it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simherd.accounting.directives import Directives, directives_for, rounded_walltime
from simherd.accounting.efficiency import cpu_efficiency
from simherd.accounting.usage import JobUsage
from simherd.progress.words import format_duration
from simherd.resources import format_bytes, format_walltime
from simherd.schedulers.base import JobState

__all__ = ["HEADROOM", "KILL", "LONGER", "TERMINATE", "Facts", "percent"]

HEADROOM = 1.2
"""Memory to ask for, as a multiple of the peak."""
LONGER = 1.5
"""Walltime or memory to ask for after a job reached its limit, as a multiple of that."""
KILL, TERMINATE = 9, 15
RESOLUTION_S = 1.0
"""Wall times are whole seconds."""
SERIAL = (0.85, 1.2)
"""Cores that serial code keeps busy, least and most."""


def percent(share: float | None) -> str:
    """Return a share for people: ``"13 %"``, ``"<1 %"``, ``"no data"``."""
    if share is None:
        return "no data"
    return "<1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


@dataclass(frozen=True, slots=True)
class Facts:
    """A job as rules see it."""

    usage: JobUsage
    """The job."""

    @property
    def has_ended(self) -> bool:
        """Whether it ran and is over."""
        return self.usage.state.is_over and not self.usage.never_ran

    @property
    def is_done(self) -> bool:
        """Whether it ended well."""
        return self.usage.state is JobState.DONE

    @property
    def is_ended_worker(self) -> bool:
        """Whether it is a Dask worker that was ended, as its own Dask scheduler does."""
        is_killed = self.usage.state is JobState.FAILED and self.usage.signal in (KILL, TERMINATE)
        is_ended = self.usage.state is JobState.CANCELLED or is_killed
        return self.usage.is_worker and self.has_ended and is_ended

    @property
    def is_complete(self) -> bool:
        """Whether it did all of its work, as far as can be known."""
        return self.is_done or self.is_ended_worker

    @property
    def wall_s(self) -> float:
        """Wall time in s."""
        return self.usage.wall_s or 0.0

    @property
    def cores(self) -> int:
        """Allocated cores."""
        return self.usage.cores or 1

    @property
    def cpu(self) -> float | None:
        """CPU efficiency."""
        return cpu_efficiency(self.usage)

    @property
    def cpu_at_least(self) -> float | None:
        """CPU efficiency, if the wall time was as long as its resolution allows."""
        cpu = self.cpu
        return None if cpu is None else cpu * self.wall_s / (self.wall_s + RESOLUTION_S)

    @property
    def busy_cores(self) -> float | None:
        """Cores that it kept busy on average."""
        return None if self.cpu is None else self.cpu * self.cores

    @property
    def is_serial(self) -> bool:
        """Whether it kept one of several cores busy."""
        busy = self.busy_cores
        return self.cores > 1 and busy is not None and SERIAL[0] <= busy <= SERIAL[1]

    @property
    def needed_cores(self) -> int:
        """Cores that would have been enough; all of them where it waited rather than computed."""
        busy = self.busy_cores
        if busy is None or busy < SERIAL[0]:
            return self.cores
        return 1 if self.is_serial else min(self.cores, math.ceil(busy))

    @property
    def peak(self) -> int | None:
        """Peak memory in bytes, the upper bound where there are two."""
        peak = self.usage.memory_at_most_bytes or self.usage.memory_bytes
        return None if self.usage.is_reservation else peak

    @property
    def asked_bytes_of_needed_cores(self) -> float | None:
        """Allocated memory in bytes: of the cores that were needed, where each has its own."""
        asked = self.usage.memory_asked_bytes
        is_per_core = bool(self.usage.memory_resource)
        return asked if asked is None or not is_per_core else asked * self.needed_cores / self.cores

    @property
    def io_rate(self) -> float | None:
        """Bytes read and written per s."""
        moved = self.usage.io_bytes
        return None if moved is None or not self.wall_s else moved / self.wall_s

    # --- words

    @property
    def lines(self) -> Directives:
        """Lines of a job script of this batch scheduler."""
        return directives_for(self.usage)

    @property
    def cpu_text(self) -> str:
        """CPU efficiency in words."""
        return percent(self.cpu)

    @property
    def uncertainty_text(self) -> str:
        """What the CPU efficiency is uncertain by."""
        at_least = self.cpu_at_least
        return percent(None if self.cpu is None or at_least is None else self.cpu - at_least)

    @property
    def cores_text(self) -> str:
        """Number of cores in words."""
        return "1 core" if self.cores == 1 else f"{self.cores} cores"

    @property
    def busy_text(self) -> str:
        """Busy cores in words."""
        digits = 2 if self.cores == 1 else 1
        return f"{self.busy_cores or 0:.{digits}f} of {self.cores_text}"

    @property
    def wall_text(self) -> str:
        """Wall time in words."""
        return "an unknown time" if self.usage.wall_s is None else format_duration(self.wall_s)

    @property
    def of_walltime(self) -> str:
        """Walltime and wall time where they are known, to go on from "walltime"."""
        usage = self.usage
        limit = "" if usage.walltime_s is None else f" of {self.walltime_text}"
        return limit + ("" if usage.wall_s is None else f", after {self.wall_text}")

    @property
    def walltime_text(self) -> str:
        """Walltime in words."""
        return "an unknown time" if self.usage.walltime_s is None else format_walltime(self.usage.walltime_s)

    @property
    def peak_text(self) -> str:
        """Peak memory in words."""
        return "no data" if self.peak is None else format_bytes(self.peak)

    @property
    def asked_text(self) -> str:
        """Allocated memory in words, with what each slot has where that is asked for."""
        asked = self.usage.memory_asked_bytes
        if asked is None:
            return "an unknown amount of memory"
        text = format_bytes(asked)
        if self.usage.memory_resource and self.cores > 1:
            text += f" ({self.cores} x {self.usage.memory_resource} of {format_bytes(asked / self.cores)})"
        return text

    @property
    def io_text(self) -> str:
        """Input and output in words."""
        waited, moved = self.usage.io_wait_s, self.usage.io_bytes
        parts = [f"{format_duration(waited)} waiting for it"] if waited else []
        parts += [f"{format_bytes(moved)} read and written"] if moved else []
        return ", ".join(parts)

    # --- lines to change

    @property
    def fitting_bytes(self) -> float:
        """Memory for the peak and some headroom, on the cores that were needed, in bytes."""
        least = self.lines.least_memory(self.usage) * self.needed_cores
        return max(HEADROOM * (self.peak or 0), least)

    @property
    def fitting_memory(self) -> str:
        """Line that asks for that memory."""
        return self.lines.memory(self.usage, self.fitting_bytes, self.needed_cores)

    @property
    def more_memory(self) -> str:
        """Line that asks for more memory than was allocated, or used."""
        most = max(self.usage.memory_asked_bytes or 0, self.peak or 0)
        return self.lines.memory(self.usage, LONGER * most, self.cores) if most else "more memory"

    @property
    def fitting_walltime(self) -> str:
        """Line that asks for the wall time and some reserve."""
        return self.lines.walltime(self.usage, rounded_walltime(LONGER * self.wall_s))

    @property
    def more_walltime(self) -> str:
        """Line that asks for a longer walltime."""
        longest = max(self.usage.walltime_s or 0.0, self.wall_s)
        return (
            self.lines.walltime(self.usage, rounded_walltime(LONGER * longest))
            if longest
            else "a longer walltime"
        )

    @property
    def fitting_cores(self) -> str:
        """Line that asks for the cores that were needed."""
        return self.lines.cores(self.usage, self.needed_cores)

    @property
    def run_again(self) -> str:
        """Line that lets it run again after its node failed."""
        return self.lines.run_again()

    @property
    def fewest_nodes(self) -> int:
        """Nodes that would have been enough."""
        return math.ceil(self.cores / (self.usage.cores_per_node or self.cores))

    @property
    def look_elsewhere(self) -> str:
        """Command that looks further for it."""
        return self.lines.look_elsewhere(self.usage)
