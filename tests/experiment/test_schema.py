"""Rules of checking an experiment file."""

from __future__ import annotations

import contextlib
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simherd.errors import ExperimentError
from simherd.experiment.document import Document, apply_overrides, read_document
from simherd.experiment.schema import (
    BatchSpec,
    CallInput,
    ClockSpec,
    Experiment,
    FileInput,
    RunSpec,
    ValueInput,
    check,
)
from simherd.experiment.yaml12 import read_yaml
from simherd.setup.parameters import Parameter

FULL = """\
model: models/hill.py:model
clocks:
  time: {start: 0, stop: 1.0e6, num: 101}
  snapshot: {every: 20}
main_clock: time
inputs:
  diffusion__diffusivity: 1.0e-2
  surface__elevation: {file: dem.nc, variable: elevation}
  surface__mask: {value: [0, 1], dims: [x], attrs: {units: m}}
  rain__rate: {call: "rain:storm", arguments: {seed: 1}, variable: rate}
outputs:
  surface__elevation: snapshot
  rain__total:
batch:
  sampling: sobol
  size: 1000
  seed: 42
  parameters:
    diffusion__diffusivity: {low: 1.0e-3, high: 1.0e-1, scale: log}
    flow__paths: {low: 1, high: 8, dtype: int}
run: {store: out.zarr, retries: 1}
cluster:
  workers: 2
  walltime: 00:10:00
  slurm: {partition: short, walltime: 01:00:00, jobs: 4}
"""


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "exp.yaml"
    path.write_text(FULL)
    return read_document(path)


def checked(text: str, tmp_path: Path, *overrides: str) -> Experiment:
    path = tmp_path / "exp.yaml"
    path.write_text(text)
    return check(apply_overrides(read_document(path), overrides))


def test_a_full_experiment_is_read_as_it_is_written(document, tmp_path):
    experiment = check(document)

    assert experiment.path == tmp_path / "exp.yaml"
    assert experiment.clocks == {
        "time": ClockSpec(start=0, stop=1.0e6, num=101),
        "snapshot": ClockSpec(every=20),
    }
    assert experiment.main_clock == "time"
    assert experiment.inputs == {
        "diffusion__diffusivity": 1.0e-2,
        "surface__elevation": FileInput(file=str(tmp_path / "dem.nc"), variable="elevation"),
        "surface__mask": ValueInput(value=[0, 1], dims=("x",), attrs={"units": "m"}),
        "rain__rate": CallInput(call="rain:storm", arguments={"seed": 1}, variable="rate"),
    }
    assert experiment.outputs == {"surface__elevation": "snapshot", "rain__total": None}
    assert experiment.batch == BatchSpec(
        sampling="sobol",
        size=1000,
        seed=42,
        parameters={
            "diffusion__diffusivity": Parameter(
                name="diffusion__diffusivity", low=1e-3, high=1e-1, scale="log"
            ),
            "flow__paths": Parameter(name="flow__paths", low=1, high=8, integer=True),
        },
    )
    assert experiment.run == RunSpec(store=str(tmp_path / "out.zarr"), retries=1)


def test_the_section_of_a_kind_goes_before_common_options(document):
    cluster = check(document).cluster

    assert cluster.options_for("local") == {"workers": 2, "walltime": "00:10:00"}
    assert cluster.options_for("slurm") == {
        "workers": 2,
        "walltime": "01:00:00",
        "partition": "short",
        "jobs": 4,
    }


def test_an_experiment_needs_a_model_only(tmp_path):
    experiment = checked("model: a:b\nrun:\ninputs:\n", tmp_path)

    assert experiment.run == RunSpec()
    assert (experiment.clocks, experiment.main_clock, experiment.batch) == ({}, None, None)
    assert experiment.cluster.kind == "local"


def test_paths_are_relative_to_the_file(tmp_path):
    text = "model: ../m/hill.py:model\nrun: {store: s3://bucket/out.zarr}\n"
    batch = "batch: {sampling: data/table.csv}\n"

    experiment = checked(text + batch, tmp_path)

    assert experiment.model == f"{tmp_path.parent}/m/hill.py:model"
    assert experiment.run.store == "s3://bucket/out.zarr"
    assert experiment.batch.table == f"{tmp_path}/data/table.csv"


def test_a_list_is_a_clock_of_these_values(tmp_path):
    clocks = checked("model: a:b\nclocks: {t: [0, 1.5, 4]}\n", tmp_path).clocks

    assert clocks == {"t": ClockSpec(values=(0, 1.5, 4))}


def test_the_only_independent_clock_is_the_main_one(tmp_path):
    text = "model: a:b\nclocks: {c: {every: 2}, t: {start: 0, stop: 1, step: 0.5}}\n"

    assert checked(text, tmp_path).main_clock == "t"


def test_a_table_takes_its_columns_from_the_parameters(tmp_path):
    text = "model: a:b\nbatch: {sampling: t.nc, parameters: {a__b: column 1}}\n"

    batch = checked(text, tmp_path).batch

    assert batch.columns == {"a__b": "column 1"}
    assert batch.parameters == {}


@pytest.mark.parametrize("sampling", ["grid", "zip", "random"])
def test_listed_values_are_written_in_two_ways(tmp_path, sampling):
    size = "size: 5, " if sampling == "random" else ""
    for values in ("[1, 2]", "{values: [1, 2]}"):
        text = f"model: a:b\nbatch: {{sampling: {sampling}, {size}parameters: {{a__b: {values}}}}}"

        parameter = checked(text, tmp_path).batch.parameters["a__b"]

        assert parameter == Parameter(name="a__b", values=(1, 2))


def test_scheduler_without_parallel_is_an_error(tmp_path):
    with pytest.raises(ExperimentError, match="'threads' runs simulations at once, but 'parallel' is false"):
        checked("model: m:model\nrun: {scheduler: threads, parallel: false}", tmp_path)
    assert (
        checked("model: m:model\nrun: {scheduler: sync, parallel: false}", tmp_path).run.scheduler == "sync"
    )


@pytest.mark.parametrize("kind", ["tls://host:8786", "session:night", "scheduler.json", "sge"])
def test_a_kind_is_known_or_an_address(tmp_path, kind):
    assert checked(f"model: a:b\ncluster: {{kind: '{kind}'}}", tmp_path).cluster.kind == kind


FAULTS = [
    # what is set, parts of the message
    ("input={}", ["--set input: unknown key", "Did you mean 'inputs'?"]),
    ("model=", ["--set model: found nothing (null), needs a text"]),
    ("model=3", ["found 3, needs a text", "quotes"]),
    ("clocks=3", ["found 3, needs keys and values"]),
    ("clocks.time=5", ["--set clocks.time: found 5, needs keys and values"]),
    ("clocks.time.step=2", ["{start, stop, num, step}", "{start, stop, step}, {values}, {every}"]),
    ("clocks.time={start: 1}", ["found {start}"]),
    ("clocks.time={units: d}", ["found {}"]),
    ("clocks.time.stepp=1", ["unknown key", "Did you mean 'step'"]),
    ("clocks.time.start=2e6", ["line 3: key 'clocks.time'", "start 2e+06 is not below stop 1e+06"]),
    ("clocks.time.num=1", ["found 1, needs an integer of 2 or more"]),
    ("clocks.time.num=true", ["found true, needs an integer"]),
    ("clocks.time.num=1.0e2", ["found 100.0, needs an integer", "write it as 100"]),
    ("clocks.time.stop=.inf", ["found inf, needs a finite number"]),
    ("clocks.time={start: 0, stop: 1, step: 2}", ["step 2 is longer than"]),
    ("clocks.time={start: 0, stop: 1, step: 0}", ["needs a finite number above 0"]),
    ("clocks.time=[]", ["a list that is not empty"]),
    ("clocks.time=[1, 1]", ["do not increase"]),
    ("clocks.time=[0, x]", ["key 'clocks.time[1]'", "found 'x', needs a finite number"]),
    ("clocks.time.units=3", ["needs a text"]),
    ("clocks.snapshot.every=0", ["an integer of 1 or more"]),
    ("main_clock=tme", ["--set main_clock: there is no clock 'tme'. Did you mean 'time'?"]),
    ("main_clock=snapshot", ["'every: N' of the main clock and cannot be it"]),
    ("inputs.a=3", ["'a' is not the name of a variable", "two underscores"]),
    ("inputs.surface_mask=3", ["two underscores"]),
    ("inputs.a__b=", ["found nothing (null), needs a number"]),
    ("inputs.a__b=[1, [2, null]]", ["key 'inputs.a__b[1][1]'"]),
    ("inputs.a__b={}", ["exactly one of 'file', 'call', 'value'; found none"]),
    ("inputs.a__b={fil: x}", ["found 'fil'. Did you mean 'file'?"]),
    ("inputs.a__b={file: x.nc, call: 'a:b'}", ["exactly one of"]),
    ("inputs.a__b={file: 3}", ["needs a text"]),
    ("inputs.a__b={file: x.nc, varable: y}", ["Did you mean 'variable'"]),
    ("inputs.a__b={call: 'm:f', arguments: [1]}", ["found a list of 1, needs keys and values"]),
    ("inputs.a__b={value: 1, dims: x}", ["a list that is not empty"]),
    ("outputs.a__b=snapshots", ["there is no clock 'snapshots'. Did you mean 'snapshot'?"]),
    ("outputs.a__b=3", ["needs a text"]),
    ("outputs.a=time", ["two underscores"]),
    ("outputs=[a__b]", ["found a list of 1, needs keys and values"]),
    ("batch.sampling=sobl", ["--set batch.sampling: found 'sobl'. Did you mean 'sobol'?"]),
    ("batch.sampling=table.txt", [".csv, .nc, .zarr"]),
    ("batch={size: 3}", ["key 'batch.sampling': is missing"]),
    ("batch.size=-1", ["found -1, needs an integer of 1 or more"]),
    ("batch.size=", ["line 14: key 'batch'", "'sobol' needs 'size'"]),
    ("batch.seed=-1", ["an integer of 0 or more"]),
    ("batch.dim=time", ["--set batch.dim: 'time' is the name of a clock"]),
    ("batch.dims=x", ["Did you mean 'dim'"]),
    ("batch.sampling=grid", ["line 19: key 'batch.parameters.diffusion__", "needs 'num'"]),
    ("batch.parameters=[a]", ["needs keys and values"]),
    ("batch.parameters.a=[1]", ["two underscores"]),
    ("batch.parameters.a__b=1", ["found 1, needs keys and values"]),
    ("batch.parameters.a__b=[]", ["a list that is not empty"]),
    ("batch.parameters.a__b=[[1]]", ["found a list of 1, needs a number"]),
    ("batch.parameters.a__b=[1, x]", ["not of one type"]),
    ("batch.parameters.a__b={low: 3, high: 2}", ["low 3 is not below high 2"]),
    ("batch.parameters.a__b={low: 0, high: 2, scale: log}", ["low 0 is not above 0"]),
    ("batch.parameters.a__b={low: 0, high: 2, scale: lin}", ["Did you mean 'linear'"]),
    ("batch.parameters.a__b={low: 0, high: 2, num: 3}", ["'num' has no use"]),
    ("batch.parameters.a__b={low: 0, high: 2, dtype: integer}", ["found 'integer'"]),
    ("batch.parameters.a__b={low: 0.5, high: 2, dtype: int}", ["whole 'low' and 'high'"]),
    ("batch.parameters.a__b={low: 0, hgh: 2}", ["Did you mean 'high'"]),
    ("batch.parameters.a__b={start: 0, high: 2}", ["Did you mean 'low'?"]),
    ("batch.parameters.a__b={low: 0, stop: 2}", ["Did you mean 'high'?"]),
    ("batch.parameters.a__b={low: 0}", ["both 'low' and 'high'"]),
    ("batch={sampling: zip, parameters: {a__b: [1], a__c: [1, 2]}}", ["'a__b': 1, 'a__c': 2"]),
    ("batch={sampling: grid, size: 3, parameters: {a__b: [1]}}", ["give 1 simulations"]),
    ("batch={sampling: grid}", ["needs one parameter"]),
    ("batch={sampling: t.nc, parameters: {a__b: [1]}}", ["needs a text"]),
    ("run.on_error=ignore", ["found 'ignore'. Allowed: 'raise', 'record'"]),
    ("run.vectorize=0", ["found 0, needs a finite number above 0, or true or false"]),
    ("run.vectorize=yes", ["found 'yes', needs a finite number above 0, or true or false"]),
    ("run.block_size=0", ["needs an integer of 1 or more, or 'auto'"]),
    ("run.block_size=autp", ["found 'autp'"]),
    ("run.retries=-1", ["an integer of 0 or more"]),
    ("run.retries=true", ["found true, needs an integer"]),
    ("run.check_dims=loose", ["Allowed: 'strict', 'transpose'"]),
    ("run.validate=input", ["Did you mean 'inputs'"]),
    ("run.timeout_s=0", ["a finite number above 0"]),
    ("run.seed=-1", ["an integer of 0 or more"]),
    ("run.checkpoint_every=0", ["an integer of 1 or more"]),
    ("run.grace_s=-1", ["a finite number above 0"]),
    ("run.memory_limit=much", ["'much' is not a size of memory"]),
    ("run.encoding={a__b: 3}", ["needs keys and values"]),
    ("run.stor=x", ["Did you mean 'store'"]),
    ("cluster.workers=0", ["--set cluster.workers: found 0, needs an integer of 1 or more"]),
    ("cluster.memory=4", ["needs a text"]),
    ("cluster.worker=2", ["Did you mean 'workers'"]),
    ("cluster.kind=slrum", ["unknown kind 'slrum'. Did you mean 'slurm'"]),
    ("cluster.adapt=[1]", ["a list of 2 items"]),
    ("cluster.slurm=3", ["needs keys and values"]),
    ("cluster.slurm.jobs=0", ["--set cluster.slurm.jobs: found 0"]),
    ("cluster.slurm.memory=''", ["--set cluster.slurm.memory: is empty, needs a text"]),
    ("cluster.slurm.parition=long", ["kind 'slurm' has no option 'parition'. Did you mean 'partition'"]),
    ("cluster.local.bogus=1", ["kind 'local' has no option 'bogus'", "'workers'"]),
    ("cluster.mpi={job: 1}", ["cluster.mpi", "kind 'mpi' has no option 'job'"]),
]


def test_a_cluster_class_has_arguments_of_its_own(tmp_path):
    given = "kind: distributed.LocalCluster, n_workers: 2, processes: false, slurm: {jobs: 3}"

    cluster = checked(f"model: a:b\ncluster: {{{given}}}", tmp_path).cluster

    assert cluster.options_for(cluster.kind) == {"n_workers": 2, "processes": False}


def test_a_number_that_is_null_is_not_handed_on(document):
    changed = apply_overrides(document, ["cluster.jobs=null", "cluster.workers=null"])

    assert not {"jobs", "workers"} & check(changed).cluster.options_for("distributed.LocalCluster").keys()


def test_several_independent_clocks_are_fine_with_a_main_clock(document):
    changed = apply_overrides(document, ["clocks.other=[1, 2]"])

    assert check(changed).main_clock == "time"


@pytest.mark.parametrize(("override", "parts"), FAULTS)
def test_each_fault_gives_one_error_with_place_and_remedy(document, override, parts):
    changed = apply_overrides(document, [override])

    with pytest.raises(ExperimentError) as caught:
        check(changed)

    message = str(caught.value)
    assert message.startswith(str(document.path))
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["the file is empty", "simherd new experiment"]),
        ("- a\n", ["line 1: found a list of 1, needs keys and values"]),
        ("clocks: {}\n", ["line 1: key 'model': is missing", "add 'model: ...'"]),
        ("model: a:b\nclocks:\n  t: [1]\n  u: [2]\n", ["key 'main_clock'", "2 clocks", "'t', 'u'"]),
        ("model: a:b\nclocks:\n  t: {every: 2}\n", ["line 2: key 'clocks'", "'every: N'"]),
        ("model: a:b\nmain_clock: t\n", ["line 2: key 'main_clock'", "None is allowed here"]),
        ("model: a:b\nbatch:\n  size: 3\n", ["line 2: key 'batch.sampling': is missing"]),
    ],
)
def test_faults_of_the_whole_file_name_their_line(tmp_path, text, parts):
    with pytest.raises(ExperimentError) as caught:
        checked(text, tmp_path)

    assert all(part in str(caught.value) for part in parts)


def test_a_later_fault_can_name_its_place(document):
    error = check(document).fault("inputs", "surface__elevation", message="odd.")

    assert str(error) == f"{document.path}, line 8: key 'inputs.surface__elevation': odd."


def test_a_checked_experiment_is_equal_to_the_same_one(document):
    assert check(document) == check(document)


SECTIONS = [field.name for field in fields(Experiment) if "rule" in field.metadata]
WORDS = st.sampled_from(
    [
        *SECTIONS,
        *[field.name for cls in (ClockSpec, BatchSpec, RunSpec, FileInput) for field in fields(cls)],
        *["a__b", "low", "high", "scale", "kind", "slurm", "call", "value", "dtype", "t"],
        *["grid", "zip", "sobol", "random", "x.csv", "log", "int", "m:f", "auto"],
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=300)
@given(VALUES)
def test_nothing_but_an_experiment_error_comes_of_any_data(data):
    with contextlib.suppress(ExperimentError):
        check(Document(path=Path("exp.yaml"), data=data))


DATA, LINES = read_yaml(FULL, source="FULL")
KEYS = [".".join(map(str, keys)) for keys in LINES if keys]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(KEYS), VALUES | SCALARS), min_size=1, max_size=2))
def test_nothing_but_an_experiment_error_comes_of_a_changed_experiment(changes):
    document = Document(path=Path("exp.yaml"), data=DATA)
    assignments = [f"{key}={yaml.safe_dump(value, width=1000)}" for key, value in changes]

    with contextlib.suppress(ExperimentError):
        check(apply_overrides(document, assignments))
