"""What every cluster adapter must keep."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import ClusterOptionError
from simherd.testing.models import MODEL, setup_of
from simherd.testing.traces import processes, settle, state_files, temporary_files
from simherd.threads import GUARD_VARIABLES

__all__ = ["ClusterContract"]

PENDING, DONE, FAILED = 0, 1, 2
SIMULATIONS, BLOCK, DOOMED = 12, 3, 4
LIMIT_S = 60.0


class ClusterContract:
    """Clauses for a kind of cluster: inherit them, and say what it is.

    What takes more than a name, such as a cluster that is started first, overrides the fixture ``target``.
    """

    kind: ClassVar[Any] = "local"
    """What `simherd.open_client` is called with."""
    options: ClassVar[Mapping[str, Any]] = {}
    """Its options."""
    misspelt: ClassVar[tuple[str, str]] = ("memroy", "memory")
    """An option that it does not have, and the one that is probably meant; "" if it has no such one."""
    starts_workers: ClassVar[bool] = True
    """Whether it starts worker processes, and is to give them the thread guards."""
    survives: ClassVar[bool] = True
    """Whether workers are processes that are started again when a simulation ends them."""

    @pytest.fixture(autouse=True)
    def own_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let state and temporary files go where a test can see all of them."""
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        monkeypatch.setenv("TMPDIR", str(scratch))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    @pytest.fixture
    def target(self, own_folders: None) -> Any:
        """Return what `simherd.open_client` is called with, options apart."""
        return self.kind

    @pytest.fixture
    def opened(self, target: Any) -> Callable[..., Any]:
        """Return a function that opens the cluster, with its options and others."""

        def function(**options: Any) -> Any:
            return sh.open_client(target, **{**self.options, **options})

        return function

    def traces(self) -> set[str]:
        """Return what there is that a cluster could leave: adapters that submit jobs add these."""
        return processes() | state_files() | temporary_files()

    @pytest.fixture
    def leaves_nothing(self, target: Any) -> Any:
        """Check that nothing is left of what a test opens."""
        before, environment = self.traces(), _environment()
        yield
        assert settle(lambda: self.traces() - before, LIMIT_S) == set()
        assert _environment() == environment

    def test_tasks_run_values_come_back_and_closing_leaves_nothing(
        self, leaves_nothing: None, opened: Any
    ) -> None:
        with opened() as client:
            assert client.submit(pow, 2, 10, pure=False).result(LIMIT_S) == 1024
            assert client.gather(client.map(abs, range(-20, 0), pure=False)) == list(range(20, 0, -1))

    def test_guards_are_in_the_environment_that_workers_begin_with(self, opened: Any) -> None:
        if not self.starts_workers:
            pytest.skip("its workers are processes that others start")
        with opened() as client:
            client.wait_for_workers(1, timeout=LIMIT_S)
            begun = client.run(_environment_at_start)

        assert begun
        for environment in begun.values():
            found = {name: environment.get(name) for name in GUARD_VARIABLES}
            assert found == dict.fromkeys(GUARD_VARIABLES, "1")

    def test_a_batch_is_the_same_as_a_serial_one_to_the_last_bit(self, opened: Any) -> None:
        setup = setup_of(SIMULATIONS)
        expected = sh.run(setup, MODEL, batch_dim="member", scheduler="sync", block_size=BLOCK)
        with opened() as client:
            found = _run_on(client, setup)

        assert (found.simulation_status == DONE).all()
        for name in ("sums__total", "sums__threads"):
            assert found[name].dtype == expected[name].dtype
            assert found[name].values.tobytes() == expected[name].values.tobytes()
        assert (found.sums__threads == 1).all()

    def test_a_simulation_that_ends_its_worker_fails_alone(self, opened: Any) -> None:
        if not self.survives:
            pytest.skip("its workers are not started again")
        with opened() as client:
            found = _run_on(client, setup_of(SIMULATIONS, doomed=(DOOMED,)))

        assert np.flatnonzero(found.simulation_status != DONE).tolist() == [DOOMED]
        assert found.simulation_status[DOOMED] == FAILED

    def test_an_error_comes_through_and_leaves_nothing(self, leaves_nothing: None, opened: Any) -> None:
        with pytest.raises(ZeroDivisionError), opened():
            raise ZeroDivisionError

    def test_without_with_closing_leaves_nothing_and_may_be_repeated(
        self, leaves_nothing: None, opened: Any
    ) -> None:
        client = opened()
        client.submit(abs, -1, pure=False).result(LIMIT_S)

        client.close()
        client.close()

    def test_a_program_that_does_not_close_leaves_nothing(
        self, leaves_nothing: None, target: Any, tmp_path: Path
    ) -> None:
        if not isinstance(target, str):
            pytest.skip("another program cannot name it")
        lines = (
            "import simherd",
            f"client = simherd.open_client({target!r}, **{dict(self.options)!r})",
            "print(client.submit(abs, -7).result(60))",
        )
        program = tmp_path / "program.py"  # without a guard of __main__
        program.write_text("\n".join(lines))
        done = subprocess.run(
            [sys.executable, str(program)], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

        assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr

    def test_an_unknown_option_is_one_error_with_what_is_meant(
        self, leaves_nothing: None, opened: Any
    ) -> None:
        wrong, meant = self.misspelt
        with pytest.raises(ClusterOptionError, match=wrong) as caught:
            opened(**{wrong: 1})

        assert meant in str(caught.value).replace(wrong, "")

    def test_a_wrong_word_for_security_is_an_error(self, leaves_nothing: None, opened: Any) -> None:
        with pytest.raises(ClusterOptionError, match="security"):
            opened(security="maybe")


def _run_on(client: Any, setup: xr.Dataset) -> xr.Dataset:
    return sh.run(
        setup,
        MODEL,
        batch_dim="member",
        parallel=True,
        scheduler=client,
        block_size=BLOCK,
        on_error="record",
    )


def _environment() -> dict[str, str]:
    """Return the environment without what pytest and Dask themselves change in it."""
    others = ("PYTEST_CURRENT_TEST", "__DASK_PARENT_PID")
    return {name: value for name, value in os.environ.items() if name not in others}


def _environment_at_start() -> dict[str, str]:
    """Return the environment that this process began with, before it could load anything."""
    from pathlib import Path

    pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    return dict(pair.decode().split("=", 1) for pair in pairs if b"=" in pair)
