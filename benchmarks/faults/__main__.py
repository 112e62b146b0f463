"""The matrix of injected faults: every call that writes a store fails once, or the process ends there.

After each fault nothing that the status says is done is lost or torn, the store opens, and the run, resumed,
completes with the values of an undisturbed one. Ends with exit code 1 if anything is broken.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from children import Ending, in_child, in_workers
from injection import CALLS, FAULTS, Fault, arm, begin_with_injection, count_calls
from scenarios import SCENARIOS, Scenario, load_everything
from verdict import Stored, broken_after_fault, broken_after_resume, read_stored

STORE = "out.zarr"
QUICK_FAULTS = 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What all faults of a scenario begin with."""

    scenario: Scenario
    """The scenario."""
    prepared: Path
    """Folder with the store that the run goes on in; empty where it makes one."""
    before: Stored | None
    """What that store holds."""
    reference: Stored
    """What an undisturbed run leaves."""
    calls: dict[str, int]
    """How many calls of each kind such a run makes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What came of a fault."""

    scenario: str
    """Name of the scenario."""
    fault: Fault
    """The fault."""
    broken: tuple[str, ...]
    """What does not hold after it."""


def main() -> None:
    """Try all faults, print what came of them, and end with the exit code."""
    options = _parsed()
    started = time.monotonic()
    load_everything()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="simherd-faults-") as folder:
        top = Path(folder).resolve()
        grounds = {name: _ground(top / name, SCENARIOS[name]) for name in options.scenario}
        faults = [(name, fault) for name in grounds for fault in _faults(grounds[name].calls, options.points)]
        if options.quick:
            faults = random.Random(0).sample(faults, QUICK_FAULTS)

        def tried(number: int) -> Verdict:
            name, fault = faults[number]
            return _tried(name, grounds[name], fault, top / f"{name}-{number}")

        verdicts = []
        for verdict in in_workers(tried, len(faults), options.workers):
            verdicts.append(verdict)
            for broken in verdict.broken:
                print(f"BROKEN {verdict.scenario}, {verdict.fault}: {broken}", flush=True)
    _print_table(verdicts)
    broken = sum(bool(verdict.broken) for verdict in verdicts)
    print(
        f"\ntried {len(verdicts)}, held {len(verdicts) - broken}, broken {broken} "
        f"({time.monotonic() - started:.0f} s)"
    )
    sys.exit(1 if broken else 0)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"a sample of {QUICK_FAULTS} faults")
    parser.add_argument("--points", type=int, default=3, help="faults of a kind per call and scenario")
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--folder", help="where stores are written (default: in memory, where there is room)")
    options = parser.parse_args()
    if options.folder is None and os.access("/dev/shm", os.W_OK):
        options.folder = "/dev/shm"
    return options


def _ground(folder: Path, scenario: Scenario) -> Ground:
    """Make the store that runs of a scenario begin with, and run one without a fault."""
    prepared, undisturbed = folder / "prepared", folder / "undisturbed"
    prepared.mkdir(parents=True)
    if scenario.prepare is not None:
        _expect(in_child(lambda: scenario.prepare(prepared / STORE)))
    shutil.copytree(prepared, undisturbed)

    def counted() -> dict[str, int]:
        arm(undisturbed, None)
        scenario.run(undisturbed / STORE)
        return count_calls()

    calls = _expect(in_child(counted))
    before = _expect(in_child(lambda: read_stored(prepared / STORE))) if scenario.prepare else None
    reference = _expect(in_child(lambda: read_stored(undisturbed / STORE)))
    return Ground(scenario=scenario, prepared=prepared, before=before, reference=reference, calls=calls)


def _expect(ending: Ending) -> object:
    if ending.error:
        raise RuntimeError(f"A run without a fault failed: {ending.error}")
    return ending.result


def _faults(calls: dict[str, int], points: int) -> Iterator[Fault]:
    """Yield faults spread over the calls of each kind, each kind of fault at other ones."""
    for call in CALLS:
        for shift, name in enumerate(FAULTS):
            for number in sorted({_place(calls[call], points, k, shift) for k in range(points)}):
                if calls[call]:
                    yield Fault(name=name, call=call, number=number)


def _place(calls: int, points: int, point: int, shift: int) -> int:
    """Return the call of a point: all calls are cut into parts, and each fault is elsewhere in its part."""
    return 1 + int(calls * (point + (shift + 0.5) / len(FAULTS)) / points)


def _tried(name: str, ground: Ground, fault: Fault, folder: Path) -> Verdict:
    """Let a fault happen to a run and return what came of it."""
    shutil.copytree(ground.prepared, folder)
    store = folder / STORE
    checks: list[tuple[str, Callable[[], object]]] = [
        ("after the fault", lambda: list(broken_after_fault(store, ground.before, ground.reference))),
        ("on resuming", lambda: ground.scenario.run(store)),
        ("after the resume", lambda: list(broken_after_resume(store, ground.reference))),
    ]

    def disturbed() -> bool:
        arm(folder, fault)
        ground.scenario.run(store)
        return count_calls()[fault.call] >= fault.number

    broken = []
    ending = in_child(disturbed)
    if ending.error and not ending.is_own_error and not ending.is_killed:
        broken.append(f"the run ended with {ending.error}")
    elif not ending.error and (fault.name == "SIGKILL" or not ending.result):
        broken.append("the fault never happened")
    for when, check in checks:
        ending = in_child(check)
        if ending.error:
            broken.append(f"{when}: {ending.error}")
        broken += [f"{when}: {found}" for found in ending.result or ()]
    if not broken:
        shutil.rmtree(folder)
    return Verdict(scenario=name, fault=fault, broken=tuple(broken))


def _print_table(verdicts: list[Verdict]) -> None:
    """Print how many faults were tried in each scenario, and how many of them broke something."""
    tried = Counter((verdict.scenario, verdict.fault.call) for verdict in verdicts)
    broken = Counter((verdict.scenario, verdict.fault.call) for verdict in verdicts if verdict.broken)
    print(f"\n{'tried / broken':<16}" + "".join(f"{call:>10}" for call in CALLS))
    for name in dict.fromkeys(verdict.scenario for verdict in verdicts):
        cells = (f"{tried[name, call]} / {broken[name, call]}" for call in CALLS)
        print(f"{name:<16}" + "".join(f"{cell:>10}" for cell in cells))


if __name__ == "__main__":
    begin_with_injection()
    main()
