from __future__ import annotations

import shutil

import pytest

from simherd.errors import MissingDependencyError, SetupError
from simherd.plots.diagram import Box, Diagram, model_diagram, task_diagram
from simherd.plots.render import as_text, write


def test_a_model_as_mermaid(walk):
    assert as_text(model_diagram(walk.model.graph), "mermaid").splitlines() == [
        "flowchart LR",
        '  n0("grid")',
        '  n1("walk")',
        '  n0 -->|"x"| n1',
    ]


def test_a_model_as_dot(walk):
    text = as_text(model_diagram(walk.model.graph, with_variables=False), "dot")

    assert text.splitlines()[0] == "digraph {"
    assert text.splitlines()[-2:] == ['  "grid" -> "walk"', "}"]


def test_attributes_of_the_graph_stand_in_the_text_for_graphviz():
    text = as_text(Diagram([Box("a", "a")], [], {"rankdir": "TB", "size": "4,3"}), "dot")

    assert text.splitlines()[1:3] == ['  rankdir="TB"', '  size="4,3"']


def test_the_tasks_of_a_small_batch_are_all_shown():
    assert as_text(task_diagram(5, 2, ["a", "b"]), "mermaid").splitlines() == [
        "flowchart LR",
        '  n0["model and shared inputs"]',
        '  n1["simulations 0 to 1"]',
        '  n2["simulations 2 to 3"]',
        '  n3["simulation 4"]',
        '  n4[("store: a, b")]',
        "  n0 --> n1",
        "  n0 --> n2",
        "  n0 --> n3",
        "  n1 --> n4",
        "  n2 --> n4",
        "  n3 --> n4",
    ]


def test_the_tasks_of_a_large_batch_are_collapsed():
    labels = [box.label for box in task_diagram(1000, 10, ["a"]).boxes]

    assert labels == [
        "model and shared inputs",
        *(f"simulations {start} to {start + 9}" for start in (0, 10, 20, 30)),
        "... 95 more blocks",
        "simulations 990 to 999",
        "store: a",
    ]


def test_quotes_do_not_break_the_text():
    diagram = Diagram([Box("a", 'say "hi"')], [])

    assert r"say \"hi\"" in as_text(diagram, "dot")
    assert 'n0("say #quot;hi#quot;")' in as_text(diagram, "mermaid")


@pytest.mark.parametrize(
    ("name", "start"), [("m.mmd", "flowchart"), ("m.dot", "digraph"), ("m.GV", "digraph")]
)
def test_texts_are_written_by_their_endings(walk, tmp_path, name, start):
    write(model_diagram(walk.model.graph), tmp_path / name)

    assert (tmp_path / name).read_text().startswith(start)


def test_an_unknown_ending_comes_with_the_close_match(walk, tmp_path):
    with pytest.raises(SetupError, match=r"Did you mean '\.svg'"):
        write(model_diagram(walk.model.graph), tmp_path / "m.svgg")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize(("name", "start"), [("m.svg", b"<?xml"), ("m.png", b"\x89PNG"), ("m.pdf", b"%PDF")])
def test_pictures_are_drawn_by_graphviz(walk, tmp_path, name, start):
    write(model_diagram(walk.model.graph), tmp_path / name)

    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_picture_without_graphviz_says_what_to_do(walk, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingDependencyError, match="install graphviz"):
        write(model_diagram(walk.model.graph), tmp_path / "m.svg")
