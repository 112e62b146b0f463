"""What keeps a run going after a logout: tmux, and whether the machine lets it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from simherd.doctor.finding import Finding, Verdict

__all__ = ["kills_at_logout", "look"]

TIMEOUT_S = 10.0
LOGIND = ("/usr/lib/systemd/logind.conf", "/etc/systemd/logind.conf")
SETTING = re.compile(r"^\s*KillUserProcesses\s*=\s*(\w+)", re.MULTILINE)
TRUE = {"yes", "true", "on", "1"}


def look() -> Iterator[Finding]:
    """Yield whether sessions have tmux, and whether they survive a logout."""
    version = _tmux_version()
    if version is None:
        text = "not installed: sessions run without a terminal that one can attach to"
        yield Finding(topic="tmux", verdict=Verdict.ABSENT, text=text, data={"version": None})
    else:
        yield Finding(topic="tmux", text=version, data={"version": version})
    if kills_at_logout(_configuration()):
        yield Finding(
            topic="logout",
            verdict=Verdict.WRONG,
            text="systemd ends all that a user runs at the logout (KillUserProcesses=yes), sessions too",
            fix="'loginctl enable-linger', and start them with 'systemd-run --user --scope simherd session "
            "start ...'.",
        )


def _tmux_version() -> str | None:
    if shutil.which("tmux") is None:
        return None
    try:
        done = subprocess.run(["tmux", "-V"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().removeprefix("tmux ") or None


def _configuration() -> Iterator[str]:
    """Yield the texts of the settings of logind; a later one counts more."""
    for place in map(Path, LOGIND):
        for path in (place, *sorted(Path(f"{place}.d").glob("*.conf"))):
            try:
                yield path.read_text()
            except OSError:
                continue


def kills_at_logout(texts: Iterable[str]) -> bool:
    """Return whether the settings of logind let nothing of a user live on after the logout."""
    said = [value for text in texts for value in SETTING.findall(text)]
    return bool(said) and said[-1].lower() in TRUE
