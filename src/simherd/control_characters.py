"""Texts that others wrote, such as journals, stores and logs, without what a terminal would act on.

Control sequences can move the cursor, rename the window or type commands [1]_; controls of writing direction
show characters in another order than they have [2]_.

References
----------
.. [1] ECMA-48, "Control Functions for Coded Character Sets".
.. [2] Unicode Standard Annex 9, "Unicode Bidirectional Algorithm", section 2.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

__all__ = ["readable_portions", "without_controls"]

_WITH_PARAMETERS = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*"
"""Such as colours and cursor movements."""
_WITH_TEXT = r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*"
"""Such as titles of windows."""
_SHORT = r"\x1b[ -/]*"
_SEQUENCES = rf"{_WITH_PARAMETERS}[@-~]|{_WITH_TEXT}(?:\x07|\x1b\\|\x9c)|{_SHORT}[0-~]"
_CONTROLS = re.compile(rf"{_SEQUENCES}|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_UNFINISHED = re.compile(rf"(?:\r|{_WITH_PARAMETERS}|{_WITH_TEXT}\x1b?|{_SHORT})\Z")
_LONGEST = 4096


def without_controls(text: str) -> str:
    """Return a text without control characters and sequences, but for tabs and ends of lines."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n"))


def readable_portions(portions: Iterable[bytes]) -> Iterator[str]:
    """Yield a text that comes in portions as `without_controls` gives it, each as soon as it can be told.

    A line that is written again and again, as progress bars do it, becomes several lines.

    Parameters
    ----------
    portions : iterable of bytes
        UTF-8, cut anywhere.
    """
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    for portion in portions:
        text = rest + decoder.decode(portion)
        unfinished = _UNFINISHED.search(text[-_LONGEST:])
        rest = unfinished[0] if unfinished else ""
        yield _in_lines(text.removesuffix(rest))
    yield _in_lines(rest + decoder.decode(b"", final=True))


def _in_lines(text: str) -> str:
    return without_controls(text.replace("\r\n", "\n").replace("\r", "\n"))
