"""What looks in on the processes of a model while a stage runs: hooks and validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simherd.model.hooks import HookTable
from simherd.model.runtime import RuntimeContext, RuntimeSignal
from simherd.model.stages import Watcher

if TYPE_CHECKING:
    from simherd.model.model import Model

__all__ = ["ProcessWatcher"]


class ProcessWatcher(Watcher):
    """Calls the hooks at process level and validates what a process set."""

    def __init__(self, model: Model, hooks: HookTable, validate: bool) -> None:
        self.model = model
        self.graph = model.graph
        self.hooks = hooks
        self.is_validating = validate

    def _call(self, stage: str, trigger: str, context: RuntimeContext) -> RuntimeSignal:
        return self.model.call_hooks(self.hooks, "process", stage, trigger, context)

    def before(self, process: str, stage: str, context: RuntimeContext) -> RuntimeSignal:
        """Call the hooks before a process."""
        return self._call(stage, "pre", context)

    def after(self, process: str, stage: str, context: RuntimeContext, answer: Any) -> Any:
        """Call the hooks after a process, and check what it set."""
        signal = self._call(stage, "post", context)
        if self.is_validating:
            self.model.check_intents()
            self.model.validate(dict.fromkeys((process, *(v.home[0] for v in self.graph.set_by(process)))))
        return max(answer, signal) if isinstance(answer, RuntimeSignal) else signal
