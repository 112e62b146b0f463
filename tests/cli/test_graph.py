from __future__ import annotations

import shutil

import pytest


def test_a_model_is_printed_as_mermaid(simherd):
    done = simherd("graph", "simherd.examples.influenza:model")

    assert done.code == 0
    assert done.out.splitlines()[:3] == ["flowchart LR", '  n0("epidemic")', '  n1("fit")']


def test_a_model_is_printed_as_dot_without_names_of_variables(simherd):
    done = simherd("graph", "simherd.examples.influenza:model", "--format", "dot", "--no-variables")

    assert done.code == 0
    assert '  "epidemic" -> "fit"\n' in done.out


def test_the_tasks_of_an_experiment_are_printed(simherd, experiment):
    done = simherd("graph", "--tasks", experiment(run={"block_size": 3, "store": "out.zarr"}))

    assert done.code == 0
    assert done.out.splitlines() == [
        "flowchart LR",
        '  n0["model and shared inputs"]',
        '  n1["simulations 0 to 2"]',
        '  n2["simulation 3"]',
        '  n3[("store: walk__height")]',
        "  n0 --> n1",
        "  n0 --> n2",
        "  n1 --> n3",
        "  n2 --> n3",
    ]


def test_tasks_are_drawn_also_when_the_store_exists(simherd, experiment, tmp_path):
    path = experiment()
    simherd("run", path)

    assert simherd("graph", "--tasks", path).code == 0


def test_tasks_need_an_experiment(simherd):
    done = simherd("graph", "--tasks", "simherd.examples.influenza:model")

    assert done.code == 2
    assert "--tasks needs an experiment file" in done.err


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_a_picture_is_written(simherd, tmp_path):
    done = simherd("graph", "simherd.examples.landscape:model", "-o", tmp_path / "model.svg")

    assert done.code == 0
    assert done.out == f"wrote {tmp_path / 'model.svg'}\n"
    assert "erosion" in (tmp_path / "model.svg").read_text()


def test_a_picture_that_cannot_be_written_is_an_error(simherd, tmp_path):
    done = simherd("graph", "simherd.examples.influenza:model", "-o", tmp_path / "no" / "model.mmd")

    assert done.code == 1
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err


def test_an_unknown_ending_is_wrong_usage(simherd, tmp_path):
    assert simherd("graph", "simherd.examples.influenza:model", "-o", tmp_path / "m.jpeg").code == 2
