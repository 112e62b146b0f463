"""Writes random models as Python source, so that a failing one can be read.

Values are integers modulo a prime and every read goes into them: a value that comes too early, too late
or not at all changes all that follow. `LOG` takes what each stage method had computed at its end.
Run as a script it prints the order of execution of some models, for two interpreters to agree on.
"""

from __future__ import annotations

import random
import sys
import textwrap

from simherd.errors import ModelError

HEADER = """\
import numpy as np
import simherd as sh

LOG = []


def double_and_add_one(value):
    return (2 * value + 1) % 1009


def mix(total, read):
    try:
        value = read()
    except AttributeError:
        value = 500
    return (31 * total + int(value) + 1) % 1009
"""


class ModelWriter:
    """Writes one model; `rng` decides everything."""

    def __init__(self, rng):
        self.rng = rng
        self.size = rng.randint(1, 8)
        self.blocks = [HEADER]
        self.targets = []
        self.global_names = []
        self.late = [number for number in range(self.size) if self.chance(50)]
        self.groups = {"odd": rng.randint(1, 8), "even": rng.randint(1, 8)}

    def write(self):
        names = [self.process(number) for number in range(self.size)]
        self.rng.shuffle(names)
        entries = ", ".join(f"{name.lower()!r}: {name}" for name in names)
        self.blocks.append(f"model = sh.Model({{{entries}}})\n")
        return "\n\n".join(self.blocks)

    def chance(self, percent):
        return self.rng.randint(1, 100) <= percent

    def process(self, number):
        """Write a process, perhaps with a base class of its own, and return the name of its class."""
        name = f"P{number}"
        base = None
        if number not in self.late and self.chance(35):
            base = ProcessWriter(self, f"Base{number}", number, None)
            self.blocks.append(base.write())
        child = ProcessWriter(self, name, number, base)
        self.blocks.append(child.write())
        target = base.name if base and self.chance(30) else name
        self.targets += [(target, v, kind) for v, kind in (base or child).own]
        self.targets += [(name, v, kind) for v, kind in child.own if base]
        return name


class ProcessWriter:
    """Writes one process class."""

    def __init__(self, model, name, number, base):
        self.model, self.rng, self.chance = model, model.rng, model.chance
        self.name, self.number, self.base = name, number, base
        self.prefix = "b" if name.startswith("Base") else "v"
        self.own = []
        self.lines = []
        self.readable = list(base.readable) if base else []
        self.computable = list(base.computable) if base else []
        self.settable = list(base.settable) if base else []
        self.objects = list(base.objects) if base else []
        self.groups = list(base.groups) if base else []
        self.dicts = list(base.dicts) if base else []
        self.takes = {}

    def write(self):
        for count in range(self.rng.randint(1, 4)):
            self.own_variable(f"{self.prefix}{count}")
        if self.number in self.model.late:
            self.late_variable("late")
        for count in range(self.rng.randint(0, 3)):
            self.reference(f"{self.prefix}r{count}")
        for count in range(self.rng.randint(0, 2)):
            self.group_reader(f"{self.prefix}g{count}")
        for count in range(self.rng.randint(0, 2)):
            self.on_demand(f"{self.prefix}od{count}")
        for stage in ("initialize", "run_step", "finalize_step", "finalize"):
            if self.chance({"initialize": 90, "run_step": 85}.get(stage, 40)):
                self.stage(stage)
        head = f"@sh.process\nclass {self.name}{f'({self.base.name})' if self.base else ''}:\n"
        return head + textwrap.indent("\n".join(self.lines), "    ") + "\n"

    # Declarations

    def own_variable(self, name):
        kind = self.rng.choice(["in", "out", "out", "out", "inout", "inout", "object", "index"])
        if kind == "object":
            self.lines.append(f"{name} = sh.any_object()")
            self.objects.append(name)
        elif kind == "index":
            self.lines.append(f"{name} = sh.index(dims='{self.name}_{name}')")
            self.lines.append(f"def _set_{name}(self): self.{name} = np.arange(3)")
        else:
            self.lines.append(f"{name} = sh.variable({', '.join(self.options(name, kind))})")
            self.readable.append(name)
            self.computable.append(name)
            if kind != "in":
                self.settable.append(name)
        self.own.append((name, kind))

    def late_variable(self, name):
        """Declare a variable that earlier processes know by its global name; inout makes nobody wait."""
        groups = self.member_of()
        options = f"global_name='late_{self.number}', groups={groups!r}"
        self.lines.append(f"{name} = sh.variable(intent='inout', {options})")
        self.readable.append(name)
        self.computable.append(name)
        self.settable.append(name)

    def options(self, name, kind):
        yield f"intent={kind!r}"
        if groups := self.member_of():
            yield f"groups={groups!r}"
        if self.chance(20):
            yield "converter=double_and_add_one"
        if self.chance(20):
            global_name = f"{self.name}_{name}"
            self.model.global_names.append((global_name, kind))
            yield f"global_name={global_name!r}"

    def member_of(self):
        """Return groups that only later processes read."""
        groups = self.model.groups.items()
        return [group for group, reader in groups if self.number < reader and self.chance(40)]

    def reference(self, name):
        later = [number for number in self.model.late if number > self.number]
        if later and self.chance(50):
            self.lines.append(f"{name} = sh.global_ref('late_{self.rng.choice(later)}')")
            self.readable.append(name)
            self.computable.append(name)
            return
        if self.model.global_names and self.chance(30):
            target, kind = self.rng.choice(self.model.global_names)
            declaration = f"sh.global_ref({target!r}"
        elif self.model.targets:
            owner, variable, kind = self.rng.choice(self.model.targets)
            declaration = f"sh.foreign({owner}, {variable!r}"
        else:
            return
        intent = "in"
        if kind in ("in", "inout") and self.chance(30):
            intent = "out"
        elif kind in ("in", "inout", "out") and self.chance(15):
            intent = "inout"
        sets = intent != "in"
        self.lines.append(f"{name} = {declaration}, intent={intent!r})")
        (self.objects if kind == "object" else self.readable).append(name)
        if kind != "object":
            self.computable.append(name)
        if sets:
            self.settable.append(name)
        if kind == "index":
            self.readable.remove(name)
            self.computable.remove(name)
        elif kind != "object" and self.chance(20):
            self.own.append((name, "reference"))

    def group_reader(self, name):
        groups = [group for group, reader in self.model.groups.items() if self.number >= reader]
        if groups:
            kind = self.rng.choice(["group", "group_dict"])
            self.lines.append(f"{name} = sh.{kind}({self.rng.choice(groups)!r})")
            (self.groups if kind == "group" else self.dicts).append(name)

    def on_demand(self, name):
        groups = self.member_of()
        self.lines.append(f"{name} = sh.on_demand({f'groups={groups!r}' if groups else ''})")
        self.lines.append(f"@{name}.compute" + ("(cache=True)" if self.chance(50) else ""))
        body = [f"total = {self.constant()}", *(self.read(self.computable) for _ in range(3))]
        self.method(f"_compute_{name}(self)", [*body, "return total"])
        self.readable.append(name)
        self.own.append((name, "on_demand"))

    # Methods

    def stage(self, stage):
        labels = [] if stage == "initialize" or self.chance(60) else ["step", "step_end"]
        if labels:
            self.lines.append("@sh.runtime(args='step, step_end')")
        body = ["total = " + " + ".join([self.constant(), *labels])]
        if self.base and self.base.takes.get(stage) == labels and self.chance(70):
            body.append(f"super().{stage}({', '.join(labels)})")
        if self.readable or self.objects:
            body += [line for _ in range(self.rng.randint(1, 6)) for line in self.statement()]
        if stage == "initialize":
            body += self.first_values()
        body.append(f"LOG.append(({self.name!r}, {stage!r}, total))")
        if self.chance(6):
            body.append("if total % 2: return sh.RuntimeSignal.BREAK")
        self.takes[stage] = labels
        self.method(f"{stage}({', '.join(['self', *labels])})", body)

    def first_values(self):
        for name in self.settable:
            if self.chance(75):
                yield f"self.{name} = total + {self.constant()}"
        for name, kind in self.own:
            if kind == "object":
                yield f"self.{name} = [total]"
            if kind == "index":
                yield f"self._set_{name}()"

    def statement(self):
        """Return the lines of one statement of a kind for which there is something to choose."""
        kinds = {
            self.read_one: self.readable,
            self.set_one: self.settable,
            self.set_perhaps: self.settable,
            self.read_object: self.objects,
            self.group_loop: self.groups,
            self.dict_loop: self.dicts,
        }
        write, names = self.rng.choice([(write, names) for write, names in kinds.items() if names])
        return write(self.rng.choice(names))

    def read_one(self, name):
        return [self.read([name])]

    def set_one(self, name):
        return [f"self.{name} = total"]

    def set_perhaps(self, name):
        return ["if total % 3 == 0:", f"    self.{name} = total"]

    def read_object(self, name):
        return [f"total = mix(total, lambda: self.{name}[0])"]

    def group_loop(self, name):
        """Walk through a group, perhaps setting a variable on the way."""
        sets = [f"        self.{self.rng.choice(self.settable)} = total"] if self.settable else []
        return [
            "try:",
            f"    for value in self.{name}:",
            "        total = mix(total, lambda: value)",
            *(sets if self.chance(50) else []),
            "except AttributeError:",
            "    total = mix(total, lambda: 77)",
        ]

    def dict_loop(self, name):
        return [
            "try:",
            f"    for (process, _), value in self.{name}.items():",
            "        total = mix(total, lambda: value + len(process))",
            "except AttributeError:",
            "    total = mix(total, lambda: 78)",
        ]

    def read(self, names):
        return f"total = mix(total, lambda: self.{self.rng.choice(names)})" if names else "pass"

    def constant(self):
        return str(self.rng.randint(0, 1008))

    def method(self, signature, body):
        self.lines.append(f"def {signature}:")
        self.lines += [f"    {line}" for line in body]


def write_model(rng):
    """Return the source of a random model."""
    return ModelWriter(rng).write()


def describe_orders(count):
    """Return the order of processes and group members of some models, one in a line."""
    for seed in range(count):
        names = {}
        try:
            exec(write_model(random.Random(seed)), names)
        except ModelError as error:
            yield f"{seed} {error}\n"
            continue
        graph = names["model"].graph
        yield f"{seed} {graph.order} {graph.dependencies} {graph.members('odd')} {graph.members('even')}\n"


if __name__ == "__main__":
    sys.stdout.writelines(describe_orders(60))
