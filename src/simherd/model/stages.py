"""Stages compiled to straight-line code.

A model's stage is the methods of its processes in order, each followed by handing what it set on to
the processes that read it. Written out as Python source once per model, that costs what a loop
written by hand costs::

    def run_step(context):
        answer = m0_run_step(context.step_delta)
        try: p2.elevation = p0.elevation
        except AttributeError: pass
        if answer is BREAK: return
        ...

A value that is not set yet raises AttributeError and is not handed on. What cannot be handed on is
pulled when it is read: on-demand variables and groups. A process that pulls in the middle of its
method first hands on what it has set so far, so that whoever computes the value sees it.
"""

from __future__ import annotations

import hashlib
import linecache
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, TypeAlias

from simherd.model.access import PULLS
from simherd.model.graph import Graph, Key, Variable
from simherd.model.groups import GroupValues
from simherd.model.process import lock_for
from simherd.model.runtime import RNG, STAGES, RuntimeContext, RuntimeSignal, signal_of_number
from simherd.model.variables import VarIntent, VarType

__all__ = ["CompiledStages", "SplitStages", "Stages", "Watcher", "compile_stages"]

Stage: TypeAlias = Callable[[RuntimeContext], None]
Stages: TypeAlias = Mapping[str, Stage]
SplitStages: TypeAlias = Mapping[str, Mapping[str, Callable[[RuntimeContext], bool]]]


class Watcher:
    """What looks in on each process of a stage: hooks at process level, and validation."""

    def before(self, process: str, stage: str, context: RuntimeContext) -> RuntimeSignal:
        """Return a signal: any but NONE skips the process, BREAK those after it too."""
        raise NotImplementedError

    def after(self, process: str, stage: str, context: RuntimeContext, answer: Any) -> Any:
        """Return the signal of the process: its own answer or a higher one."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class CompiledStages:
    """The stages of a model, to be bound to the process objects of a simulation."""

    filename: str
    """Name of the source in tracebacks."""
    places: Mapping[int, tuple[str, str]]
    """Process and stage that each line of the source calls."""
    bind: Callable[[Sequence[Any], Mapping[Key, list[Any]], Watcher | None], Any]
    """Takes process objects in the order of execution and caches by variable, gives the stages."""

    def locate(self, traceback: TracebackType | None) -> tuple[str, str] | None:
        """Return process and stage whose method a traceback goes through, if any."""
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == self.filename:
                return self.places.get(traceback.tb_lineno)
            traceback = traceback.tb_next
        return None


def compile_stages(graph: Graph, *, watched: bool = False, split: bool = False) -> CompiledStages:
    """Write and compile the stages of a model.

    Parameters
    ----------
    graph : Graph
        Processes and variables of the model.
    watched : bool, optional
        Call a `Watcher` around each process.
    split : bool, optional
        Give a function for each process of a stage, which returns whether it answered BREAK, in place
        of one for the stage; and under "begin" one to call before them.
    """
    writer = _Writer(graph, watched, split)
    writer.write()
    source = "\n".join(writer.lines) + "\n"
    filename = f"<simherd stages {hashlib.sha256(source.encode()).hexdigest()[:12]}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    names: dict[str, Any] = {
        "GroupValues": GroupValues,
        "PULLS": PULLS,
        "computes": writer.computes,
        "locks": writer.locks,
        "signal_of_number": signal_of_number,
        "BREAK": RuntimeSignal.BREAK,
        "NONE": RuntimeSignal.NONE,
    }
    exec(compile(source, filename, "exec"), names)
    return CompiledStages(filename, dict(writer.places), names["bind"])


@dataclass
class _Writer:
    """Writes the source of ``bind`` line by line."""

    graph: Graph
    watched: bool
    split: bool
    lines: list[str] = field(default_factory=list)
    places: dict[int, tuple[str, str]] = field(default_factory=dict)
    computes: dict[Key, Callable[[Any], Any]] = field(default_factory=dict)
    locks: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        self.add(0, "def bind(objects, caches, watcher):")
        if self.graph.order:
            self.add(1, f"{self.objects()} = objects")
        for key in self.on_demand:
            self.write_compute(key)
        for process in self.pulling:
            self.write_pulls(process)
        for stage in STAGES:
            self.write_split_stage(stage) if self.split else self.write_stage(stage)
        if self.split:
            self.add(1, "def begin():", *(f"    {self.cache_name(key)}.clear()" for key in self.graph.cached))
            self.add(2, "return None")
        names = (*STAGES, "begin") if self.split else STAGES
        self.add(1, f"return {{{', '.join(f'{s!r}: {s}' for s in names)}}}")

    def add(self, depth: int, *lines: str) -> None:
        for line in lines:
            self.lines.extend(textwrap.indent(line, "    " * depth).splitlines())

    def objects(self) -> str:
        return "".join(f"{self.object(name)}, " for name in self.graph.order)

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.graph.order)}

    def object(self, process: str) -> str:
        return f"p{self.numbers[process]}"

    def read(self, key: Key) -> str:
        """Return the expression that reads a variable from its owner."""
        if key in self.on_demand:
            return f"{self.compute_name(key)}()"
        return f"{self.object(key[0])}.{key[1]}"

    # What is computed when read

    @cached_property
    def on_demand(self) -> list[Key]:
        return [k for k, v in self.graph.variables.items() if v.type is VarType.ON_DEMAND]

    def compute_name(self, key: Key) -> str:
        return f"compute_{self.object(key[0])}_{key[1]}"

    def cache_name(self, key: Key) -> str:
        return f"cache_{self.object(key[0])}_{key[1]}"

    def write_compute(self, key: Key) -> None:
        name, cache = self.compute_name(key), self.cache_name(key)
        self.computes[key] = self.graph.infos[key[0]].on_demand[key[1]].method
        call = f"{name}_method({self.object(key[0])})"
        self.add(1, f"{name}_method = computes[{key!r}]")
        if key not in self.graph.cached:
            self.add(1, f"def {name}():")
            self.add(2 + self.lock(key[0], 2), f"return {call}")
            return
        self.add(1, f"{cache} = caches[{key!r}]", f"def {name}():")
        depth = 2 + self.lock(key[0], 2)
        self.add(depth, f"if not {cache}: {cache}.append({call})", f"return {cache}[0]")

    def lock(self, process: str, depth: int) -> int:
        """Hold the lock of a process that is not safe in threads; return by how much to indent."""
        if (lock := lock_for(self.graph.classes[process])) is None:
            return 0
        self.locks[process] = lock
        self.add(depth, f"with locks[{process!r}]:")
        return 1

    # What a process pulls

    @property
    def pulling(self) -> list[str]:
        found = {k[0]: None for k, v in self.graph.variables.items() if v.is_group or v.is_on_demand}
        return list(found)

    def write_pulls(self, process: str) -> None:
        number = self.object(process)
        hand_on = list(self.hand_on(process))
        self.add(1, f"def flush_{number}():", *(f"    {line}" for line in hand_on or ["pass"]))
        pulled = [
            v for v in self.graph.variables.values()
            if v.key[0] == process and (v.is_group or v.is_on_demand)
        ]  # fmt: skip
        for variable in pulled:
            self.add(1, f"def pull_{number}_{variable.key[1]}():")
            self.add(2, *self.pull(variable, f"flush_{number}()"))
        entries = ", ".join(f"{v.key[1]!r}: pull_{number}_{v.key[1]}" for v in pulled)
        self.add(1, f"setattr({number}, PULLS, {{{entries}}})")

    def pull(self, variable: Variable, flush: str) -> Iterator[str]:
        """Yield the lines that read an on-demand variable or a group."""
        if variable.is_on_demand:
            yield from (flush, f"return {self.read(variable.home)}")
            return
        members = self.graph.members(variable.declared.metadata["group"])
        if variable.type is VarType.GROUP_DICT:
            items = ", ".join(f"{key!r}: {self.read(key)}" for key in members)
            yield from (flush, f"return GroupValues({{{items}}})")
            return
        for key in members:
            yield from (flush, f"yield {self.read(key)}")
        yield "yield from ()"

    def hand_on(self, process: str) -> Iterator[str]:
        """Yield the lines that give what a process sets to all that hold it."""
        for home in dict.fromkeys(v.home for v in self.graph.set_by(process)):
            keeper = self.graph.keepers[process, home]
            for holder in self.graph.holders[home]:
                if holder != keeper:
                    yield f"try: {self.assign(holder)} = {self.read(keeper)}"
                    yield "except AttributeError: pass"
        yield from (f"{self.cache_name(key)}.clear()" for key in self.stale_after(process))

    def assign(self, key: Key) -> str:
        """Return the target of an assignment that converts nothing a second time."""
        variable = self.graph.variables[key]
        if variable.intent is not VarIntent.IN and variable.set_converter is not None:
            return f"vars({self.object(key[0])})[{key[1]!r}]"
        return f"{self.object(key[0])}.{key[1]}"

    def stale_after(self, process: str) -> list[Key]:
        """Return the cached variables that depend on something which a process sets."""
        changed = {v.home for v in self.graph.set_by(process)}
        return [key for key in self.graph.cached if changed & self.graph.needed_by(key[0])]

    # Stages

    def write_methods(self, stage: str) -> list[str]:
        """Bind the methods of a stage to local names, and return the processes that have one."""
        calls = [name for name in self.graph.order if stage in self.graph.infos[name].stages]
        for name in calls:
            self.add(1, f"m_{self.object(name)}_{stage} = {self.object(name)}.{stage}")
        return calls

    def write_split_stage(self, stage: str) -> None:
        calls = self.write_methods(stage)
        for name in calls:
            self.add(1, f"def {stage}_{self.object(name)}(context):")
            self.write_call(name, stage, depth=2)
            self.add(2, "return False")
        entries = ", ".join(f"{name!r}: {stage}_{self.object(name)}" for name in calls)
        self.add(1, f"{stage} = {{{entries}}}")

    def write_stage(self, stage: str) -> None:
        calls = self.write_methods(stage)
        self.add(1, f"def {stage}(context):")
        self.add(2, *(f"{self.cache_name(key)}.clear()" for key in self.graph.cached))
        for name in calls:
            self.write_call(name, stage, depth=2)
        self.add(2, "return None")

    def write_call(self, name: str, stage: str, depth: int) -> None:
        asked = self.graph.infos[name].stages[stage]
        arguments = ", ".join(f"context.rngs[{name!r}]" if a == RNG else f"context.{a}" for a in asked)
        if self.watched:
            self.add(depth, f"signal = watcher.before({name!r}, {stage!r}, context)")
            self.add(depth, "if signal is BREAK: return None", "if signal is NONE:")
            depth += 1
        inside = depth + self.lock(name, depth)
        self.add(inside, f"answer = m_{self.object(name)}_{stage}({arguments})")
        self.places[len(self.lines)] = (name, stage)
        if self.graph.infos[name].numbers_are_signals:
            self.add(depth, "if answer is not None: answer = signal_of_number(answer)")
        self.add(depth, *self.hand_on(name))
        if self.watched:
            self.add(depth, f"answer = watcher.after({name!r}, {stage!r}, context, answer)")
            self.places[len(self.lines)] = (name, stage)
        self.add(depth, f"if answer is BREAK: return {self.split or None}")
