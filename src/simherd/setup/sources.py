"""The code of a model: what its processes say, and all of the user's own that they refer to.

Every function, method, class and constant is a definition with a digest of its own, which tells of others
only by name: so what has changed can be named, and code that refers to itself has an end. Code counts as
compiled, as it runs: comments, layout and docstrings do not matter, the minor version of Python does.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import attr

from simherd.model.access import PROCESS
from simherd.model.model import Model
from simherd.model.process import converter_of, inspect_process
from simherd.model.variables import Attribute
from simherd.setup.digests import Named, code_of, digest_of, is_of_process
from simherd.setup.file_modules import lasting_name
from simherd.setup.ownership import compiled_file_of, imported, is_own, is_own_function, version_of
from simherd.setup.references import references_of

__all__ = ["CodeWalk", "constants_of", "constants_of_functions", "python_of_code"]

_DECLARED = ("dims", "static", "global_name", "groups", "group", "var_name", "keep_labels")
_NO_MEMBERS = frozenset(
    {
        "__annotate__",
        "__annotate_func__",
        "__annotations__",
        "__annotations_cache__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__attrs_attrs__",
        "__attrs_props__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__match_args__",
        "__module__",
        "__qualname__",
        "__static_attributes__",
        "__weakref__",
        PROCESS,
    }
)
"""What classes hold that is not part of what they do, or is looked at in another way."""
MODULE_GETATTR = "__getattr__"
"""The function by which a module computes attributes (PEP 562)."""
_MAKERS = frozenset({"attr", "dataclasses"})
"""Packages whose decorators put methods into classes."""
_DESCRIPTORS = "simherd.model.access"


@dataclass(frozen=True, slots=True)
class _Definition:
    module: str
    name: str
    kind: str
    value: Any

    @property
    def key(self) -> str:
        return f"{lasting_name(self.module)}:{self.name}"


class CodeWalk:
    """A walk over code, from processes and values to all that is reached from there.

    Attributes
    ----------
    packages : dict of str to str or None
        Versions of the installed packages that are referred to, by the name that is imported.
    missed : dict of str to str
        Types of objects whose changes cannot be seen, by the definition that holds them.
    """

    def __init__(self) -> None:
        self.packages: dict[str, str | None] = {}
        self.missed: dict[str, str] = {}
        self._found: dict[str, list[str]] = {}
        self._assigned: set[str] = set()
        self._constants: dict[str, tuple[str, str, Any]] = {}
        self._waiting: deque[_Definition] = deque()
        self._seen: dict[tuple[str, int], Any] = {}  # with the objects, so that no other gets their identity
        self._scanned: dict[int, FunctionType] = {}

    def digests_of_process(self, cls: type) -> dict[str, str]:
        """Return digests of the variables, methods and constants of a process class and its bases.

        Raises
        ------
        ProcessClassError
            If the class is not a process.
        """
        info = inspect_process(cls)
        self.refer(type(cls))
        found: dict[str, list[Any]] = {}
        for base in cls.__mro__:
            if self._is_looked_at(base):
                for name, member in _members(base):
                    self._note_constant(base.__module__, f"{base.__qualname__}.{name}", member)
                    found.setdefault(name, []).append(member)
        for name, compute in info.on_demand.items():
            found.setdefault(name, []).append(compute.method)
        for field in (*info.variables.values(), *info.plain):
            found.setdefault(field.name, []).append(_parts_of_field(field))
        return {
            name: self._digest(
                f"{lasting_name(cls.__module__)}:{cls.__qualname__}.{name}", *map(self._content, parts)
            )
            for name, parts in found.items()
        }

    def constants(self) -> Iterator[tuple[str, str, Any]]:
        """Yield module, name and value of the constants that were reached, after `code`."""
        yield from (one for key, one in self._constants.items() if key not in self._assigned)

    def globals(self) -> Iterator[tuple[str, str, Any]]:
        """Yield the same, and those of the variables that functions assign."""
        yield from self._constants.values()

    def follow(self, value: Any) -> None:
        """Reach the functions and classes that a value consists of."""
        digest_of(value, refer=self.refer)

    def code(self) -> dict[str, str]:
        """Return what was reached: kind and digest by module and name, such as ``"walk:rate"``."""
        while self._waiting:
            self._look_at(self._waiting.popleft())
        found = {}
        for key, digests in self._found.items():
            if key in self._assigned and digests[0].startswith("constant "):
                continue  # what functions assign, with ``global``, is no constant
            kind = digests[0].rpartition(" ")[0]
            found[key] = digests[0] if len(digests) == 1 else f"{kind} {digest_of(sorted(digests))}"
        return dict(sorted(found.items()))

    def refer(self, value: Named) -> bool:
        """Take note of a function, class or module; return whether its name is enough in its place."""
        if isinstance(value, FunctionType):
            return self._refer_to_function(value)
        if isinstance(value, ModuleType):
            self._refer_to_whole(value)
        elif is_own(value.__module__):
            self._add(value.__module__, value.__qualname__, "class", value)
        return True

    def _refer_to_function(self, function: FunctionType) -> bool:
        home = function.__globals__.get("__name__") or function.__module__ or ""
        if not is_own_function(function):
            self._note_package(home)
            return function.__closure__ is None
        if "<" in function.__qualname__:
            self._scan(function)
            return False
        self._add(home, function.__qualname__, "function", function)
        return True

    def _refer_to_whole(self, module: ModuleType) -> None:
        """Take note of a module that is handed on as a value: of whatever is in it."""
        if not self._is_opaque(module):
            self._refer_to_all(vars(module), module.__name__)

    def _refer_to_all(self, namespace: Mapping[str, Any], home: str) -> None:
        for name, value in list(namespace.items()):
            is_hidden = name.startswith("__") and name != MODULE_GETATTR
            if not (is_hidden or isinstance(value, ModuleType | Model)):
                self._name(home, name, value)

    def _is_opaque(self, module: ModuleType) -> bool:
        """Return whether a module counts as a whole: by the version of its package, or by its file."""
        if not is_own(module.__name__):
            self._note_package(module.__name__)
            return True
        file = compiled_file_of(module)
        if file is not None:
            self._add(module.__name__, "", "compiled module", Path(file))
        return file is not None

    def _is_looked_at(self, cls: type) -> bool:
        if not is_own(cls.__module__):
            self._note_package(cls.__module__)
            return False
        return True

    def _note_package(self, module: str) -> None:
        package = module.partition(".")[0]
        if package and package not in self.packages and package not in sys.stdlib_module_names:
            self.packages[package] = version_of(package)

    def _add(self, module: str, name: str, kind: str, value: Any) -> None:
        definition = _Definition(module, name, kind, value)
        mark = definition.key, id(value)
        if mark not in self._seen:
            self._seen[mark] = value
            self._waiting.append(definition)

    def _look_at(self, given: _Definition) -> None:
        if given.kind == "class":
            self.refer(type(given.value))
            for base in given.value.__mro__[1:]:
                self.refer(base)
                self._is_looked_at(base)
            self._put(given.key, "class", [base.__qualname__ for base in given.value.__mro__])
            for name, member in _members(given.value):
                kind = "constant" if _is_plain(member) else "method"
                self._note_constant(given.module, f"{given.name}.{name}", member)
                self._put(f"{given.key}.{name}", kind, self._content(member))
        elif given.kind == "compiled module":
            self._put(given.key, given.kind, hashlib.sha256(given.value.read_bytes()).hexdigest())
        else:
            self._put(given.key, given.kind, self._content(given.value))

    def _note_constant(self, module: str, name: str, value: Any) -> None:
        if _is_plain(value) and not is_of_process(value) and not name.rpartition(".")[2].startswith("__"):
            self._constants[f"{lasting_name(module)}:{name}"] = module, name, value

    def _put(self, key: str, kind: str, value: Any) -> None:
        self._found.setdefault(key, []).append(f"{kind} {self._digest(key, value)}")

    def _digest(self, key: str, *values: Any) -> str:
        def miss(value: Any) -> None:
            self.missed[key] = f"{type(value).__module__}.{type(value).__qualname__}"

        return digest_of(*values, refer=self.refer, miss=miss)

    def _content(self, value: Any) -> Any:
        """Return a function that stands where it is defined as values, and follow what it refers to."""
        function = getattr(value, "__func__", value)
        if not isinstance(function, FunctionType) or not is_own_function(function):
            return value
        self._scan(function)
        return type(value).__name__, code_of(function), getattr(function, "__wrapped__", None)

    def _scan(self, function: FunctionType) -> None:
        if id(function) in self._scanned:
            return
        self._scanned[id(function)] = function
        found, namespace = references_of(function.__code__), function.__globals__
        home = namespace.get("__name__") or function.__module__ or ""
        self._assigned.update(f"{lasting_name(home)}:{name}" for name in found.assigned)
        for chain in sorted(found.chains):
            self._follow(chain, namespace, home)
        if found.reaching - namespace.keys():  # builtins, which the user may have defined otherwise
            self._refer_to_all(namespace, home)
        for given in found.imports:
            module = imported(given.module, given.level, namespace.get("__package__"))
            if isinstance(module, str):
                self._note_package(module)
            elif module is not None and not self._is_opaque(module):
                for name in sorted({*found.names, MODULE_GETATTR} & vars(module).keys()):
                    self._follow((name,), vars(module), module.__name__)

    def _follow(self, chain: tuple[str, ...], namespace: Mapping[str, Any], home: str) -> None:
        """Follow a name, and attributes as long as they are read from modules."""
        for place, name in enumerate(chain):
            if name not in namespace:  # a builtin, what is not there yet, or what a module computes
                if place and MODULE_GETATTR in namespace:
                    self._name(home, MODULE_GETATTR, namespace[MODULE_GETATTR])
                return
            value = namespace[name]
            if not isinstance(value, ModuleType):
                self._name(home, name, value)
                return
            if self._is_opaque(value):
                return
            if place == len(chain) - 1:
                self._refer_to_whole(value)
            namespace, home = vars(value), value.__name__

    def _name(self, module: str, name: str, value: Any) -> None:
        if isinstance(value, FunctionType | type):
            is_foreign = not (is_own(value.__module__) if isinstance(value, type) else is_own_function(value))
            if self.refer(value) and not is_foreign:
                return
        for home in {getattr(value, "__module__", None) or "", type(value).__module__}:
            if home and not is_own(home):
                self._note_package(home)
        kind = "function" if callable(value) and not isinstance(value, type) else "constant"
        self._note_constant(module, name, value)
        self._add(module, name, kind, value)


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield what stands in a class, without what attrs and simherd put there."""
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        if name in _NO_MEMBERS or type(member).__module__ == _DESCRIPTORS:
            continue
        if not (isinstance(function, FunctionType) and _is_generated(name, function)):
            yield name, member
    if PROCESS not in vars(cls):
        for field in vars(cls).get("__attrs_attrs__", ()):
            yield field.name, _parts_of_field(field)
    for declared in vars(cls).get("__dataclass_fields__", {}).values():
        yield declared.name, (declared.default, declared.default_factory)


def _is_generated(name: str, function: FunctionType) -> bool:
    """Return whether simherd, attrs or dataclasses put a method into a class."""
    if function.__module__ in (_DESCRIPTORS, "simherd.model.process"):
        return True
    made = function if is_own_function(function) else inspect.unwrap(function)
    if not name.startswith("__") or not isinstance(made, FunctionType):
        return False
    home = str(made.__globals__.get("__name__")).partition(".")[0]
    code = made.__code__
    is_compiled = code.co_filename.startswith("<attrs generated") or code.co_qualname.startswith(
        "__create_fn__."
    )
    return home in _MAKERS or is_compiled


def _is_plain(member: Any) -> bool:
    return not callable(member) and not hasattr(type(member), "__get__")


def _parts_of_field(field: Attribute) -> tuple[Any, ...]:
    """Return what is declared of a variable, without its description."""
    metadata = field.metadata
    declared = {key: metadata.get(key) for key in _DECLARED}
    kinds = [metadata[key].value for key in ("var_type", "intent") if key in metadata]
    default: Any = None if field.default is attr.NOTHING else field.default
    functions = field.validator, converter_of(field)
    return field.name, kinds, declared, metadata.get("other_process_cls"), default, functions


def constants_of(classes: Iterable[type]) -> list[tuple[str, str, Any]]:
    """Return module, name and value of the constants that process classes refer to."""
    walk = CodeWalk()
    for cls in classes:
        walk.digests_of_process(cls)
    walk.code()
    return list(walk.constants())


def constants_of_functions(functions: Iterable[Any]) -> list[tuple[str, str, Any]]:
    """Return module, name and value of the global variables that functions refer to."""
    walk = CodeWalk()
    for function in functions:
        walk.follow(function)
    walk.code()
    return list(walk.globals())


def python_of_code() -> str:
    """Return the version of Python as far as compiled code depends on it."""
    return f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
