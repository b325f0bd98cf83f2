"""Make TensorFlow repeat itself to the last bit."""

from __future__ import annotations

import tensorflow as tf

from keras_i3d.errors import TrainingError


def repeat_exactly() -> None:
    """Let equal runs of this program on this machine give equal bits, before TensorFlow has computed anything.

    ``enable_op_determinism`` alone does not do it on CPUs: operations that run side by side share the threads
    that each splits its sums over, so how a sum is split depends on what else was running. One operation at a
    time, on all threads, does.

    Raises:
        TrainingError: TensorFlow has computed something in this process already.
    """
    if tf.config.threading.get_inter_op_parallelism_threads() != 1:
        try:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError as error:
            raise TrainingError(
                "a run can be repeatable only if nothing was computed by TensorFlow before it: let it be the first of "
                "its process, or call keras_i3d.training.determinism.repeat_exactly() at its beginning"
            ) from error
    tf.config.experimental.enable_op_determinism()


def is_wanted(repeatable: bool | None) -> bool:
    """Tell whether to call `repeat_exactly`: as one likes, by default where there is no GPU."""
    return not tf.config.list_physical_devices("GPU") if repeatable is None else repeatable
