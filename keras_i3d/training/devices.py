"""The devices that a run takes: all GPUs of this machine, or those of several machines.

Several machines are told of each other by the variable ``TF_CONFIG``, the same on all of them but for the index:
``{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}``.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass

import tensorflow as tf

from keras_i3d.errors import ClusterError

CONFIGURATION = "TF_CONFIG"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Devices:
    """Where a run computes.

    Attributes:
        strategy: Of ``tf.distribute``.
        worker: Number of this process among those of the run, from 0; the first writes the run folder.
        workers: Number of processes.
    """

    strategy: tf.distribute.Strategy
    worker: int = 0
    workers: int = 1

    @property
    def replicas(self) -> int:
        """Number of devices of all processes, each with a slice of every batch."""
        return self.strategy.num_replicas_in_sync

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run folder."""
        return self.worker == 0

    @property
    def are_several(self) -> bool:
        """Whether there is more than one device."""
        return self.replicas > 1

    def agree(self, value: float) -> bool:
        """Tell whether all processes have the same value, and wait until they all have asked."""
        if self.workers == 1:
            return True

        @tf.function
        def sums(own: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            both = self.strategy.run(lambda: (own, own * own))
            return tuple(self.strategy.reduce(tf.distribute.ReduceOp.MEAN, one, axis=None) for one in both)

        mean, mean_square = sums(tf.constant(value, tf.float64))
        return bool(mean == value) and bool(mean_square == value * value)


def here() -> Devices:
    """Return the devices that there are; to be called before TensorFlow has computed anything where TF_CONFIG is set.

    Raises:
        ClusterError: ``TF_CONFIG`` is wrong, or the other machines cannot be reached.
    """
    worker, workers = _place_in_cluster()
    if workers > 1:
        try:
            return Devices(tf.distribute.MultiWorkerMirroredStrategy(), worker, workers)
        except (RuntimeError, ValueError, tf.errors.OpError) as error:
            raise ClusterError(f"the workers of {CONFIGURATION} do not come together ({error})") from error
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        _log.info("training on %d GPUs", len(gpus))
        return Devices(tf.distribute.MirroredStrategy())
    return Devices(tf.distribute.get_strategy())


def _place_in_cluster() -> tuple[int, int]:
    text = os.environ.get(CONFIGURATION)
    if not text:
        return 0, 1
    form = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        told = json.loads(text)
        members, task = told["cluster"]["worker"], told["task"]
        worker = int(task["index"])
        if task["type"] != "worker" or set(told["cluster"]) != {"worker"} or not 0 <= worker < len(members):
            raise ValueError("only workers, with an index among them, are known")
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"{CONFIGURATION} must be of the form {form}; got {text!r} ({error})") from error
    return worker, len(members)
