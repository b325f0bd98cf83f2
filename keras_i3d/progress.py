"""Progress bars on standard error, for everything that lasts.

On a terminal a bar is drawn and redrawn; elsewhere (a log file, a pipe) its state is written as a line now and
then, and at the end, so that logs stay short.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    wrap_file,
)

SECONDS_BETWEEN_LINES = 30  # where there is no terminal


class Bar:
    """A bar that appears with the first thing it is told, so that work which never starts shows none."""

    def __init__(self, progress: Progress, description: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, note="")
        self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def advance(self, steps: int = 1) -> None:
        """Count steps as done."""
        self._progress.start()
        self._progress.advance(self._task, steps)
        if not self._progress.console.is_terminal and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            task = self._progress.tasks[self._task]
            self.log(f"{task.description} {task.completed:.0f}/{task.total or '?'} {task.fields['note']}".rstrip())

    def note(self, text: str) -> None:
        """Show a text behind the bar, such as the loss."""
        self._progress.update(self._task, note=text)

    def log(self, text: str) -> None:
        """Write a line that stays, above the bar; also where there is no terminal."""
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def set_total(self, total: int) -> None:
        """Say how many steps there are, once that is known."""
        self._progress.start()
        self._progress.update(self._task, total=total)


@contextmanager
def bar(description: str, total: int | None = None) -> Iterator[Bar]:
    """Show a bar while the block runs.

    Args:
        description: What is going on, such as ``"videos"``.
        total: Number of steps, or None where it is not known.
    """
    columns: tuple[ProgressColumn, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    progress = Progress(*columns, console=Console(stderr=True))
    try:
        yield Bar(progress, description, total)
    finally:
        if progress.live.is_started:
            progress.stop()


def reading(file: BinaryIO, size: int, description: str) -> AbstractContextManager[BinaryIO]:
    """Wrap a file of `size` bytes (0: unknown) so that reading it moves a bar."""
    return wrap_file(file, size, description=description, console=Console(stderr=True))
