"""Show a training run as a progress bar, with a line that stays for each epoch."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from keras_i3d.progress import Bar
from keras_i3d.training import objective

_WORDS = {"loss": "loss", "top1": "top-1", "val_loss": "val loss", "val_top1": "val top-1"}


class ShowProgress(keras.callbacks.Callback):
    """Move a bar at each step, and say loss and accuracy behind it.

    Args:
        bar: A running bar.
    """

    def __init__(self, bar: Bar) -> None:
        super().__init__()
        self.bar, self.epoch = bar, 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Set the bar to what is done already."""
        self.bar.set_total(self.params["epochs"] * self.params["steps"])
        self.bar.advance(int(self.model.optimizer.iterations))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remember the epoch, counted from 1."""
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Advance by one step."""
        self.bar.note(self._line(logs))
        self.bar.advance()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Leave a line."""
        self.bar.log(self._line(logs))

    def _line(self, logs: Mapping[str, float] | None) -> str:
        values = objective.numbers(logs)
        numbers = (f"{word} {values[key]:.3f}" for key, word in _WORDS.items() if key in values)
        return "  ".join([f"epoch {self.epoch}/{self.params['epochs']}", *numbers])
