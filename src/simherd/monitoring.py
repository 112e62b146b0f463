"""A progress bar as a hook, for those who run simulations from Python."""

from __future__ import annotations

import threading
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from simherd.errors import MissingDependencyError, UnknownNameError, close_matches
from simherd.model.hooks import RuntimeHook, runtime_hook
from simherd.model.runtime import RuntimeContext

__all__ = ["ProgressBar"]

FRONTENDS = {
    "auto": "tqdm.auto",
    "console": "tqdm",
    "gui": "tqdm.gui",
    "notebook": "tqdm.notebook",
}


class _Bar(Protocol):
    """A bar on a screen."""

    def update(self, n: int) -> Any:
        """Go on by `n`."""
        ...

    def set_description_str(self, desc: str) -> Any:
        """Say what is going on."""
        ...

    def close(self) -> Any:
        """Leave the screen tidy."""
        ...


class ProgressBar(RuntimeHook):
    """Shows how a simulation goes on, or how many simulations of a batch are done.

    In a batch that runs on worker processes nothing is shown: hooks are called there.

    Parameters
    ----------
    frontend : {"auto", "console", "gui", "notebook"}, optional
        Where it is shown; "auto" finds out. With tqdm, if that is installed, else with rich.
    **options
        Arguments of tqdm's bar, such as ``desc`` or ``disable``. Of these rich takes ``desc``,
        ``disable`` and ``file``.

    Raises
    ------
    UnknownNameError
        If there is no such frontend.
    MissingDependencyError
        If the frontend needs tqdm, which is not installed.

    Examples
    --------
    >>> import simherd as sh
    >>> from simherd.monitoring import ProgressBar
    >>> with ProgressBar(disable=True):
    ...     pass  # ds_in.simherd.run(model=model)
    """

    def __init__(self, frontend: str = "auto", **options: Any) -> None:
        if frontend not in FRONTENDS:
            raise UnknownNameError(f"ProgressBar got {frontend!r}. {close_matches(frontend, FRONTENDS)}")
        if frontend != "auto" and find_spec("tqdm") is None:
            raise MissingDependencyError(
                f"ProgressBar(frontend={frontend!r}) needs tqdm.", fix="install tqdm, or use 'auto'."
            )
        super().__init__()
        self.frontend = frontend
        self.options = options
        self._forget()

    def _forget(self) -> None:
        self.bar: _Bar | None = None
        self.finished = 0
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Travel to workers without a bar: there is no screen there."""
        return {"frontend": self.frontend, "options": {**self.options, "disable": True}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__init__()
        vars(self).update(state)
        self._forget()

    @runtime_hook("initialize", trigger="pre")
    def open_bar(self, model: Any, context: RuntimeContext, state: Any) -> None:
        """Show the bar, once per simulation or batch."""
        with self.lock:
            if self.bar is None:
                is_batch = context.batch_size > 0
                total = context.batch_size if is_batch else context.nsteps + 2
                self.bar = self._make_bar(total, "simulations" if is_batch else "initialize")
                self.finished = 0

    def _make_bar(self, total: int, doing: str) -> _Bar:
        options = {"desc": doing, **self.options, "total": total}
        if find_spec("tqdm") is None:
            return _RichBar(**options)
        bar: _Bar = import_module(FRONTENDS[self.frontend]).tqdm(**options)
        return bar

    def _go_on(self, context: RuntimeContext, doing: str) -> None:
        if context.batch_size > 0 or self.bar is None:
            return
        self.bar.update(1)
        if "desc" not in self.options:
            self.bar.set_description_str(doing)

    @runtime_hook("initialize")
    def after_initialize(self, model: Any, context: RuntimeContext, state: Any) -> None:
        """Count the stage."""
        self._go_on(context, "run step")

    @runtime_hook("run_step")
    def after_step(self, model: Any, context: RuntimeContext, state: Any) -> None:
        """Count the step."""
        self._go_on(context, f"run step {context.step + 1}/{context.nsteps}")

    @runtime_hook("finalize")
    def after_finalize(self, model: Any, context: RuntimeContext, state: Any) -> None:
        """Count the stage, or the simulation of a batch, and close the bar after the last."""
        self._go_on(context, "finished")
        with self.lock:
            self.finished += 1
            if self.bar is None:
                return
            if context.batch_size > 0:
                self.bar.update(1)
            if self.finished >= context.batch_size:
                self.bar.close()
                self.bar = None


class _RichBar:
    """A bar that rich draws."""

    def __init__(
        self, total: int, desc: str, *, disable: bool = False, file: Any = None, **ignored: Any
    ) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self.progress = Progress(console=Console(file=file), disable=disable)
        self.task = self.progress.add_task(desc, total=total)
        self.progress.start()

    def update(self, n: int) -> None:
        """Go on by `n`."""
        self.progress.advance(self.task, n)

    def set_description_str(self, desc: str) -> None:
        """Say what is going on."""
        self.progress.update(self.task, description=desc)

    def close(self) -> None:
        """Leave the screen tidy."""
        self.progress.stop()
