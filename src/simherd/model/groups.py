"""What a process gets for a group that it has declared as a mapping."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["GroupValues"]


class GroupValues(dict[tuple[str, str], Any]):
    """The values of a group by names of process and variable, made anew at each read; it cannot be changed.

    It copies and pickles as any dictionary does.
    """

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("The values of a group cannot be changed: set its members in their processes.")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return GroupValues, (dict(self),)
