from __future__ import annotations

import linecache
import threading
import traceback

import pytest

from simherd.errors import PicklingError
from simherd.executors.payload import KEPT, pack, unpack


def test_an_object_comes_back_as_it_went():
    assert unpack(pack({"a": [1, 2]})) == {"a": [1, 2]}


def test_a_payload_is_unpacked_once():
    payload = pack({"a": 1})

    assert unpack(payload) is unpack(payload)


def test_only_the_latest_payloads_are_kept():
    first = pack(["first"])
    kept = unpack(first)
    for number in range(KEPT):
        unpack(pack([number]))

    assert unpack(first) is not kept


def test_the_culprit_is_named_with_its_attribute():
    class Part:
        def __init__(self):
            self.fine = 1
            self.lock = threading.Lock()

    part = Part()

    with pytest.raises(
        PicklingError, match="Cannot send the part, attribute 'lock' to worker processes"
    ) as info:
        pack([part], [("other", 1), ("the part", part)])
    assert isinstance(info.value.__cause__, TypeError)


def test_a_variable_that_a_function_closes_over_is_named():
    lock = threading.Lock()

    def function():
        return lock

    with pytest.raises(PicklingError, match="hook 'function', attribute 'lock'"):
        pack(function, [("hook 'function'", function)])


def test_code_that_travels_by_value_keeps_its_file_and_source():
    source = "def fail():\n    raise ValueError('by value')  # told\n"
    linecache.cache["cell 1"] = (len(source), None, source.splitlines(keepends=True), "cell 1")
    names = {"__name__": "__main__"}
    exec(compile(source, "cell 1", "exec"), names)
    payload = pack(names["fail"])
    del linecache.cache["cell 1"]

    with pytest.raises(ValueError, match="by value") as info:
        unpack(payload)()

    last = traceback.extract_tb(info.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.line) == (
        "cell 1",
        2,
        "raise ValueError('by value')  # told",
    )


def test_source_that_travels_never_replaces_a_file_that_was_read(tmp_path):
    file = tmp_path / "model.py"
    file.write_text("def answer():\n    return 1\n")
    names = {"__name__": "__main__"}
    exec(compile(file.read_text(), str(file), "exec"), names)
    unpack(pack(names["answer"]))
    file.write_text("def answer():\n    return 12\n")

    linecache.checkcache(str(file))

    assert linecache.getline(str(file), 2) == "    return 12\n"
