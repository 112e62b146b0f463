"""A naive interpreter of the semantics of a model: what the compiled engine must reproduce.

All values are in one dictionary. Every variable of every process is a property that looks there at each
read, so that whatever a process sets is seen at once by all. Slow, and simple enough to be believed.
It shares with the engine the declarations of the processes and the order of execution, nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from simherd.model.process import inspect_process

BREAK, CONTINUE = 3, 2


class Unset(AttributeError):
    """A variable was read that has no value."""


class Reference:
    """The processes of a model as objects whose variables live in ``state``."""

    def __init__(self, classes, order):
        self.classes = dict(classes)
        self.state = {}
        self.objects = {name: self._new_object(name) for name in order}

    def _new_object(self, name):
        cls = self.classes[name]
        properties = {variable: self._property(name, variable) for variable in _declared(cls)}
        return object.__new__(type(cls.__name__, (cls,), properties))

    def _property(self, process, variable):
        return property(
            lambda instance: self.read(process, variable),
            lambda instance, value: self.write(process, variable, value),
        )

    def _kind(self, process, variable):
        return self._metadata(process, variable)["var_type"].value

    def _metadata(self, process, variable):
        return _declared(self.classes[process])[variable].metadata

    def home(self, process, variable):
        """Return process and name of the variable that a reference stands for in the end."""
        kind, metadata = self._kind(process, variable), self._metadata(process, variable)
        if kind == "foreign":
            target = metadata["other_process_cls"]
            owner = next(name for name, cls in self.classes.items() if issubclass(cls, target))
            return self.home(owner, metadata["var_name"])
        if kind == "global":
            return next(
                (name, other)
                for name, cls in self.classes.items()
                for other, field in _declared(cls).items()
                if field.metadata["global_name"] == metadata["global_name"]
                and field.metadata["var_type"].value != "global"
            )
        return process, variable

    def read(self, process, variable):
        process, variable = self.home(process, variable)
        kind = self._kind(process, variable)
        if kind == "on_demand":
            return inspect_process(self.classes[process]).on_demand[variable].method(self.objects[process])
        if kind == "group":
            return (self.read(*key) for key in self._members(process, variable))
        if kind == "group_dict":
            return {key: self.read(*key) for key in self._members(process, variable)}
        if (process, variable) not in self.state:
            raise Unset(f"{process}.{variable}")
        return self.state[process, variable]

    def _members(self, process, variable):
        group = self._metadata(process, variable)["group"]
        members = [
            (name, other)
            for name, cls in self.classes.items()
            for other, field in _declared(cls).items()
            if group in field.metadata["groups"]
        ]
        computed = [key for key in members if self._kind(*key) == "on_demand"]
        return [key for key in members if key not in computed] + computed

    def write(self, process, variable, value):
        process, variable = self.home(process, variable)
        field = _declared(self.classes[process])[variable]
        converter = field.metadata.get("converter") or field.converter
        self.state[process, variable] = converter(value) if converter else value

    def execute(self, stage, context):
        """Run one stage of all processes; BREAK of one skips those after it."""
        for name, instance in self.objects.items():
            arguments = inspect_process(self.classes[name]).stages.get(stage)
            if arguments is None:
                continue
            answer = getattr(instance, stage)(*(context[label] for label in arguments))
            if answer == BREAK:
                return

    def simulate(self, labels, inputs, varying, taps, signal_at):
        """Run a whole simulation and return for each tap the values saved, in their order.

        ``signal_at(stage, trigger, step)`` gives the signal of a hook at model level.
        """
        saved = [[] for _ in taps]
        context = defaultdict(int, batch=-1, batch_size=-1, nsteps=len(labels) - 1)
        for key, value in inputs.items():
            self.write(*key, value[0] if key in varying else value)
        self.execute("initialize", context)
        for step, (start, end) in enumerate(pairwise(labels)):
            for key in varying:
                self.write(*key, inputs[key][step])
            context |= {"step": step, "step_start": start, "step_end": end, "step_delta": end - start}
            signal = self._hooked("run_step", context, signal_at)
            if signal == BREAK:
                break
            self._save(saved, taps, lambda tap, step=step: step in tap.steps)
            if signal != CONTINUE and self._hooked("finalize_step", context, signal_at) == BREAK:
                break
        self._save(saved, taps, lambda tap: tap.clock is None or len(labels) - 1 in tap.steps)
        self.execute("finalize", context)
        return saved

    def _hooked(self, stage, context, signal_at):
        signal = signal_at(stage, "pre", context["step"])
        if not signal:
            self.execute(stage, context)
            signal = signal_at(stage, "post", context["step"])
        return signal

    def _save(self, saved, taps, is_due):
        for values, tap in zip(saved, taps, strict=True):
            if is_due(tap):
                values.append(self.read(*tap.key))


def _declared(cls):
    return inspect_process(cls).variables
