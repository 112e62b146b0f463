"""What the job scripts of every kind of cluster must keep. Nothing is contacted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from simherd.clusters import job_script
from simherd.clusters.jobqueue.script import PROLOGUE_FAILED
from simherd.errors import ClusterOptionError
from simherd.threads import GUARD_VARIABLES

__all__ = ["ScriptContract"]

BREAKING = ("two words", "a;touch b", "a\ntouch b", "$(touch b)", "'", '"')
WORDS = ("name", "queue", "account", "log_directory")


class ScriptContract:
    """Clauses for the scripts of a kind of cluster: inherit them, and say what it is."""

    kind: ClassVar[str]
    """Kind of cluster."""
    options: ClassVar[Mapping[str, Any]]
    """What a job asks for."""
    words: ClassVar[tuple[str, ...]]
    """How the scheduler says that: each stands in the script."""
    absent: ClassVar[tuple[str, ...]] = ()
    """Options that the scheduler has no words for."""

    def script(self, **options: Any) -> str:
        """Return the script for the options of this kind and others."""
        text = job_script(self.kind, **{**self.options, **options})
        assert text is not None
        return text

    def command(self, script: str) -> str:
        """Return what the shell runs: the lines of the script, unless a scheduler wants them elsewhere."""
        return "\n".join(line for line in script.splitlines() if not line.startswith("#"))

    def test_it_is_written_where_there_is_no_scheduler(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))

        assert self.script().startswith("#!")
        assert list(tmp_path.iterdir()) == []

    def test_what_is_asked_for_is_said_in_the_words_of_the_scheduler(self) -> None:
        script = self.script()

        assert [word for word in self.words if word not in script] == []

    def test_the_same_options_give_the_same_script(self) -> None:
        assert self.script() == self.script()

    def test_workers_begin_with_the_guards_whatever_the_prologue_says(self, tmp_path: Path) -> None:
        seen = self._run(tmp_path, prologue=["export OMP_NUM_THREADS=9", "export SITE='a b'"])

        assert {name: seen.get(name) for name in GUARD_VARIABLES} == dict.fromkeys(GUARD_VARIABLES, "1")
        assert seen["SITE"] == "a b"

    def test_guards_are_as_many_threads_as_are_asked_for(self, tmp_path: Path) -> None:
        seen = self._run(tmp_path, guard_threads=2)

        assert {seen[name] for name in GUARD_VARIABLES} == {"2"}

    def test_settings_of_memory_reach_the_workers(self, tmp_path: Path) -> None:
        seen = self._run(tmp_path, worker_memory={"target": 0.5, "spill": False})

        assert seen["DASK_DISTRIBUTED__WORKER__MEMORY__TARGET"] == "0.5"
        assert seen["DASK_DISTRIBUTED__WORKER__MEMORY__SPILL"] == "False"

    def test_processes_share_cores_and_memory_of_the_job(self, tmp_path: Path) -> None:
        words = self._run(tmp_path, cores=4, processes=2, memory="4 GiB")["WORDS"].split()
        *_, limit = (words[i + 1] for i, word in enumerate(words) if word == "--memory-limit")

        assert words[words.index("--nthreads") + 1] == "2"
        assert words[words.index("--nworkers") + 1] == "2"
        assert 0.9 * 2 * 2**30 < int(limit) < 2 * 2**30  # what is left is for nannies and interpreters

    @pytest.mark.parametrize("value", BREAKING)
    @pytest.mark.parametrize("name", WORDS)
    def test_a_value_that_would_break_the_script_is_refused(self, name: str, value: str) -> None:
        if name in self.absent:
            pytest.skip("this scheduler has no such thing")
        with pytest.raises(ClusterOptionError, match=rf"{name}=.*cannot stand in a job script"):
            self.script(**{name: value})

    @pytest.mark.parametrize("option", ["prologue", "worker_arguments"])
    def test_what_runs_may_have_spaces_and_quotes(self, option: str, tmp_path: Path) -> None:
        text = "it's a; b"
        values = {"prologue": [f'export TEXT="{text}"'], "worker_arguments": ["--name", text]}
        seen = self._run(tmp_path, **{option: values[option]})

        assert text in (seen["TEXT"] if option == "prologue" else seen["WORDS"])

    @pytest.mark.parametrize("line", ["false", "cd /nowhere/at/all", "exit 3"])
    def test_failed_prologue_keeps_the_worker_from_starting(self, line: str, tmp_path: Path) -> None:
        done = self._ran(tmp_path, prologue=["export A=1", line, "export B=2"])

        assert done.returncode != 0
        assert PROLOGUE_FAILED in done.stderr
        assert not (tmp_path / "seen").exists()

    def test_an_unknown_option_is_an_error_with_what_is_meant(self) -> None:
        with pytest.raises(ClusterOptionError, match=r"has no option 'memroy'.*memory"):
            self.script(memroy="1 GiB")

    @pytest.mark.parametrize(
        "wrong", [{"cores": 0}, {"memory": "plenty"}, {"walltime": "soon"}, {"cores": 3, "processes": 2}]
    )
    def test_a_request_that_means_nothing_is_an_error(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ClusterOptionError):
            self.script(**wrong)

    def _run(self, folder: Path, **options: Any) -> dict[str, str]:
        """Return what the Python of a script is called with, and in which environment."""
        done = self._ran(folder, **options)
        assert done.returncode == 0, done.stderr
        pairs = (folder / "seen").read_text().split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def _ran(self, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a script whose Python writes down what it is called with, and in which environment."""
        python, seen = folder / "python", folder / "seen"
        python.write_text(f'#!/bin/sh\nexport WORDS="$*"\nenv -0 > {seen}\n')
        python.chmod(0o755)
        command = self.command(self.script(python=str(python), **options))
        command = re.sub(r"<address[^>]*>", "127.0.0.1:1", command)
        return subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60
        )
