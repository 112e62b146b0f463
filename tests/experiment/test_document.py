"""Rules of reading an experiment file."""

from __future__ import annotations

import contextlib
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from simherd.errors import ExperimentError
from simherd.experiment.document import Document, apply_overrides, read_document, with_store, with_values
from simherd.experiment.yaml12 import read_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)


@pytest.fixture
def write(tmp_path):
    def write_file(text: str | bytes, name: str = "exp.yaml"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write_file


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.0e6", 1.0e6),
        ("1e-3", 1e-3),
        ("1E3", 1e3),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", -math.inf),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("01:00:00", "01:00:00"),
        ("2001-01-01", "2001-01-01"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("<<", "<<"),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(write, text, value):
    data = read_document(write(f"key: {text}\n")).data

    assert data == {"key": value}
    assert type(data["key"]) is type(value)


def test_not_a_number_is_a_float(write):
    assert math.isnan(read_document(write("key: .nan")).data["key"])


def test_keys_are_texts(write):
    assert read_document(write("1: a\ntrue: b\n")).data == {"1": "a", "true": "b"}


def test_every_key_and_item_has_its_line(write):
    document = read_document(write("a: 1\n# note\nb:\n  c: [1,\n   2]\n"))

    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 3,
        ("b", "c"): 4,
        ("b", "c", 0): 4,
        ("b", "c", 1): 5,
    }


def test_a_place_names_the_line_of_the_nearest_key(write):
    document = read_document(write("a: 1\nb:\n  c: [1, 2]\n"))

    assert document.place(("b", "c", 1)).endswith("exp.yaml, line 3: key 'b.c[1]'")
    assert document.place(("b", "missing")).endswith("exp.yaml, line 2: key 'b.missing'")


def test_an_alias_is_the_value_of_its_anchor(write):
    assert read_document(write("a: &x [1]\nb: *x\n")).data == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a: 1\nb: 2\na: 3\n", ["line 3: key 'a' stands here and in line 1"]),
        ("r:\n  x: 1\n  x: 2\n", ["line 3: key 'r.x' stands here and in line 2"]),
        ("a: [1, 2\n", ["line 2, column 1", "expected ',' or ']'", "close the bracket"]),
        ("a: b: c\n", ["line 1, column 5", "mapping values", "in quotes"]),
        ("a:\n\tb: 1\n", ["line 2, column 1", "spaces, not with tabs"]),
        ("a: 1\n  b: 2\n", ["line 2", "mapping values", "indentation"]),
        ("a:\n    b: 1\n  c: 2\n", ["line 3", "same column"]),
        ("a: 'open\n", ["end of stream", "still open"]),
        ("a: *gone\n", ["line 1, column 4", "undefined alias", "&name"]),
        ("a: @x\n", ["cannot start any token", "in quotes"]),
        ("a: !!python/object:os.system x\n", ["tag '!!python/object:os.system'", "remove the tag"]),
        ("a: !!int x\n", ["line 1, column 4", "'x' is not of the type '!!int'"]),
        ("a: !!bool maybe\n", ["'maybe' is not of the type '!!bool'"]),
        ("{a: b}: 1\n", ["a key must be a text"]),
        ("a: &a [*a]\n", ["an alias that contains itself"]),
        (BOMB, ["aliases in aliases make too many values"]),
        ("a: 1\n---\nb: 2\n", ["line 2", "single document"]),
        ("a: 1\nb: \x07\n", ["line 2", "is not allowed"]),
        (b"a: \xff\n", ["UTF-8"]),
        ("[" * 5000, ["nested too deeply"]),
        ("a: " + "9" * 400, ["is not of the type '!!int'"]),
    ],
)
def test_a_file_that_is_not_yaml_gives_one_error_with_its_place(write, text, parts):
    with pytest.raises(ExperimentError) as caught:
        read_document(write(text))

    assert all(part in str(caught.value) for part in ["exp.yaml", *parts])


def test_a_missing_file_comes_with_close_matches(write):
    path = write("a: 1", "hillslope.yaml")

    with pytest.raises(ExperimentError, match=r"No such file.*Did you mean 'hillslope.yaml'"):
        read_document(path.with_name("hilslope.yaml"))


def test_a_folder_is_not_an_experiment_file(tmp_path):
    with pytest.raises(ExperimentError, match="Is a directory"):
        read_document(tmp_path)


@pytest.mark.parametrize(
    ("assignment", "data"),
    [
        ("batch.size=20", {"batch": {"size": 20}, "m": "x", "l": [1, {"k": 2}]}),
        ("run.store=a=b.zarr", {"batch": {"size": 5}, "m": "x", "l": [1, {"k": 2}]}),
        ("batch=", {"batch": None, "m": "x", "l": [1, {"k": 2}]}),
        ("l.0=[3]", {"batch": {"size": 5}, "m": "x", "l": [[3], {"k": 2}]}),
        ("l.1.k=9", {"batch": {"size": 5}, "m": "x", "l": [1, {"k": 9}]}),
        ("m.file=a.nc", {"batch": {"size": 5}, "m": {"file": "a.nc"}, "l": [1, {"k": 2}]}),
        ("l.7=1", {"batch": {"size": 5}, "m": "x", "l": {"7": 1}}),
    ],
)
def test_an_override_sets_one_key(write, assignment, data):
    document = read_document(write("batch: {size: 5}\nm: x\nl: [1, {k: 2}]\n"))
    if assignment.startswith("run"):
        data = {**data, "run": {"store": "a=b.zarr"}}

    assert apply_overrides(document, [assignment]).data == data


def test_overrides_leave_the_document_as_it_is(write):
    document = read_document(write("batch: {size: 5}\nl: [1]\n"))

    apply_overrides(document, ["batch.size=1", "l.0=7", "new.key=1"])

    assert document.data == {"batch": {"size": 5}, "l": [1]}


def test_a_place_names_the_override_instead_of_a_line(write):
    document = apply_overrides(
        read_document(write("batch:\n  size: 5\n  dim: m\n")), ["batch.size={a: 1}", "run.x.y=1"]
    )

    assert document.place(("batch", "size")).endswith("exp.yaml, --set batch.size")
    assert document.place(("batch", "size", "a")).endswith("--set batch.size: key 'batch.size.a'")
    assert document.place(("batch", "dim")).endswith("line 3: key 'batch.dim'")
    assert document.place(("run",)).endswith("--set run.x.y: key 'run'")


@pytest.mark.parametrize("assignment", ["size", "=3", "a..b=3", ".a=1", "a.=1"])
def test_an_override_must_be_a_dotted_key_and_a_value(write, assignment):
    with pytest.raises(ExperimentError, match="not KEY=VALUE"):
        apply_overrides(read_document(write("a: 1")), [assignment])


def test_a_value_that_is_not_yaml_names_its_option(write):
    with pytest.raises(ExperimentError, match="--set a, line 1, column 3"):
        apply_overrides(read_document(write("a: 1")), ["a=[1"])


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_PLAIN)
def test_plain_data_survives_a_round_trip(data):
    text = yaml.safe_dump(data, default_style='"', allow_unicode=False)

    assert read_yaml(text, source="x")[0] == data


@given(st.text())
def test_a_value_that_is_set_is_not_read_as_yaml(text):
    document = with_values(Document(path="x.yaml", data={}), {"run.store": text}, "--store")

    assert document.data == {"run": {"store": text}}
    assert document.place(("run", "store")) == "x.yaml, --store: key 'run.store'"


@pytest.mark.parametrize(("store", "found"), [("a #1", "a #1"), ("s3://a", None), ("", None)])
def test_a_store_is_seen_from_here(tmp_path, monkeypatch, store, found):
    monkeypatch.chdir(tmp_path)

    document = with_store(Document(path="far/x.yaml", data={}), store)

    assert document.data == {"run": {"store": store if found is None else str(tmp_path / found)}}


@given(st.text())
def test_no_text_gives_anything_but_an_experiment_error(text):
    with contextlib.suppress(ExperimentError):
        read_yaml(text, source="x")


@given(
    st.dictionaries(st.sampled_from("abc"), _PLAIN),
    st.lists(st.sampled_from(["a", "b", "0", "1"]), min_size=1, max_size=3),
    st.integers(),
)
def test_an_override_can_be_read_back(data, pieces, value):
    document = Document(path="x.yaml", data=data)

    changed = apply_overrides(document, [f"{'.'.join(pieces)}={value}"]).data

    for piece in pieces:
        changed = changed[int(piece)] if isinstance(changed, list) else changed[piece]
    assert changed == value
