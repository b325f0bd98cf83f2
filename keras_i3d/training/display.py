"""Show a training run as a progress bar, with a line that stays for each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from keras_i3d import progress
from keras_i3d.progress import Bar

WORDS = {"loss": "loss", "top1": "top-1", "map": "mAP"}
WORDS |= {f"val_{name}": f"val {word}" for name, word in WORDS.items()}
WAITING = 0.3  # share of the time spent waiting for clips from which on the run is said to be bound by its input
STEPS_TO_JUDGE = 20  # before which the pipeline is still filling


class Display:
    """What a run shows.

    Args:
        bar: A running bar; None shows nothing.
        epochs: Of the run.
    """

    def __init__(self, bar: Bar | None, epochs: int) -> None:
        self._bar, self.epochs, self._has_warned = bar, epochs, False

    def begin(self, steps: int, done: int) -> None:
        """Set the bar to what is done already."""
        if self._bar:
            self._bar.set_total(steps)
            self._bar.advance(done)

    @contextmanager
    def counting(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show work before the steps as a bar of its own; gives what moves it."""
        if not self._bar:
            yield lambda clips: None
            return
        with progress.bar(description, total) as bar:
            yield bar.advance

    def say(self, text: str) -> None:
        """Leave a line."""
        if self._bar:
            self._bar.log(text)

    def step(self, epoch: int, numbers: Mapping[str, float], clips_per_second: float) -> None:
        """Advance by one step.

        Args:
            epoch: Which one, from 1.
            numbers: Of the epoch so far.
            clips_per_second: Of the last steps.
        """
        if self._bar:
            self._bar.note(f"{self._line(epoch, numbers)}  {clips_per_second:.3g} clips/s")
            self._bar.advance()

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Leave a line for an epoch."""
        self.say(self._line(epoch, numbers))

    def waited(self, steps: int, share: float) -> None:
        """Warn, once, of a run that waits for its clips.

        Args:
            steps: Done by this process.
            share: Of its time, spent waiting.
        """
        if share > WAITING and steps >= STEPS_TO_JUDGE and not self._has_warned:
            self._has_warned = True
            self.say(
                f"bound by input: {share:.0%} of the time is spent waiting for clips; more CPU cores, records with "
                "--store frames, or a smaller --short-side of the records would help"
            )

    def _line(self, epoch: int, numbers: Mapping[str, float]) -> str:
        shown = (f"{word} {numbers[name]:.3f}" for name, word in WORDS.items() if name in numbers)
        return "  ".join([f"epoch {epoch}/{self.epochs}", *shown])
