"""The steps of a training run, on one device or on several, on one machine or on several.

One loop serves them all: every replica of a ``tf.distribute`` strategy takes its slice of a batch, and the sum of the
replicas' gradients is that of the whole batch. Keras's ``fit`` fails under MultiWorkerMirroredStrategy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_i3d.training.objective import Objective


@dataclass
class Tally:
    """Sums over clips: what an epoch's numbers are made of.

    Attributes:
        loss: Sum of the clips' losses.
        right: Clips whose best class is right.
        clips: Number of clips.
    """

    loss: float = 0.0
    right: float = 0.0
    clips: float = 0.0

    def add(self, other: Tally) -> None:
        """Count those of another in."""
        self.loss += other.loss
        self.right += other.right
        self.clips += other.clips

    def numbers(self, prefix: str = "") -> dict[str, float]:
        """Return the mean loss and the top-1 accuracy; NaN of no clips."""
        clips = self.clips or math.nan
        return {f"{prefix}loss": self.loss / clips, f"{prefix}top1": self.right / clips}


class Loop:
    """Update the weights, and measure.

    Args:
        model: What is trained, logits out (`Objective.model`), made in the strategy's scope.
        optimiser: Made in the strategy's scope.
        objective: Of the run.
        clips_per_update: Clips of all replicas and forward passes that make one update.
        accumulation: Forward passes of one update.
        weight_decay: L2 regularisation of kernels.
        forward: Computes as ``model(inputs, training=True)``, by default itself.
        jit_compile: Whether XLA compiles the steps.

    Raises:
        ValueError: XLA is asked for on several devices.
    """

    def __init__(
        self,
        model: keras.Model,
        optimiser: keras.Optimizer,
        objective: Objective,
        *,
        clips_per_update: int,
        accumulation: int = 1,
        weight_decay: float = 0.0,
        forward: Callable[..., Any] | None = None,
        jit_compile: bool = False,
    ) -> None:
        self._strategy = tf.distribute.get_strategy()
        self._model, self._optimiser, self._objective = model, optimiser, objective
        self._clips, self._accumulation = clips_per_update, accumulation
        self._weight_decay = weight_decay
        self._forward = forward or (lambda inputs: model(inputs, training=True))
        self._variables = list(model.trainable_variables)
        optimiser.build(self._variables)
        self._sums = self._accumulators() if accumulation > 1 else []
        if jit_compile and self._strategy.num_replicas_in_sync > 1:
            # XLA would have to compile the talk between the replicas too
            raise ValueError("jit_compile works on one device only, not on several")
        self._gradients = _compiled(self._gradients_of_replica) if jit_compile else self._gradients_of_replica
        self._answer = _compiled(self._answer_of_replica) if jit_compile else self._answer_of_replica
        self._update_step = tf.function(self._update_of_all)
        self._add_step = tf.function(self._add_of_all)
        self._apply_step = tf.function(self._apply_of_all)
        self._measure_step = tf.function(self._measure_of_all)

    def update(self, batches: Iterator[Any], learning_rate: float) -> Tally:
        """Take the batches of one update, and update the weights once.

        Args:
            batches: Gives (inputs, labels), a batch for each replica where there are several.
            learning_rate: Of this update.

        Raises:
            StopIteration: There is no batch left.
        """
        self._optimiser.learning_rate = learning_rate
        if self._accumulation == 1:
            return _tally(self._update_step(next(batches)))
        tally = Tally()
        for _ in range(self._accumulation):
            tally.add(_tally(self._add_step(next(batches))))
        self._apply_step()
        return tally

    def measure(self, batches: Iterator[Any]) -> Tally:
        """Measure the loss and the accuracy over batches of (inputs, labels, weights)."""
        tally = Tally()
        for batch in batches:
            tally.add(_tally(self._measure_step(batch, with_scores=False)[0]))
        return tally

    def measure_scores(self, batches: Iterator[Any]) -> tuple[Tally, np.ndarray, np.ndarray]:
        """Measure as `measure`, and return the logits and the labels of all clips too, arrays of shape (clips, ...)."""
        tally, scores, labels = Tally(), [], []
        for batch in batches:
            sums, parts = self._measure_step(batch, with_scores=True)
            tally.add(_tally(sums))
            answers, truth, weights = (self._strategy.experimental_local_results(part)[0].numpy() for part in parts)
            scores.append(answers[weights > 0])
            labels.append(truth[weights > 0])
        return tally, np.concatenate(scores), np.concatenate(labels)

    def _accumulators(self) -> list[tf.Variable]:
        # each replica adds up its own; the optimiser sums over the replicas when it applies them
        return [
            tf.Variable(
                tf.zeros(variable.shape),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
            )
            for variable in self._variables
        ]

    def _gradients_of_replica(self, inputs: Any, labels: Any) -> tuple[list[Any], tuple[Any, Any, Any]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in self._variables])
            outputs = self._forward(inputs)
            losses = self._objective.losses(outputs, labels)
            loss = tf.reduce_sum(losses) / self._clips + self._regularisation()
            scaled = self._optimiser.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in self._variables])
        right = self._objective.right(outputs, labels)
        return gradients, (tf.reduce_sum(losses), tf.reduce_sum(right), tf.cast(tf.size(losses), tf.float32))

    def _regularisation(self) -> Any:
        if not self._weight_decay:
            return 0.0
        kernels = [variable for variable in self._variables if len(variable.shape) > 1]
        total = tf.add_n([tf.nn.l2_loss(tf.cast(kernel.value, tf.float32)) for kernel in kernels])
        # every replica and every forward pass adds its share
        return self._weight_decay * total / (self._strategy.num_replicas_in_sync * self._accumulation)

    def _update_of_all(self, batch: Any) -> Sequence[Any]:
        def one(inputs: Any, labels: Any) -> Any:
            gradients, sums = self._gradients(inputs, labels)
            self._apply(gradients)
            return sums

        return self._summed(self._strategy.run(one, args=batch))

    def _add_of_all(self, batch: Any) -> Sequence[Any]:
        def one(inputs: Any, labels: Any) -> Any:
            gradients, sums = self._gradients(inputs, labels)
            for total, gradient in zip(self._sums, gradients, strict=True):
                total.assign_add(gradient)
            return sums

        return self._summed(self._strategy.run(one, args=batch))

    def _apply_of_all(self) -> None:
        def one() -> None:
            # what is read is of no device, which talk between processes asks for; a copy is of this one
            self._apply([tf.identity(total) for total in self._sums])
            for total in self._sums:
                total.assign(tf.zeros_like(total))

        self._strategy.run(one)

    def _apply(self, gradients: Sequence[Any]) -> None:
        """Update the weights by a replica's gradients, or those of no replica where loss scaling finds one to overflow.

        Keras asks one replica alone whether its gradients are finite.
        """
        scales = isinstance(self._optimiser, keras.optimizers.LossScaleOptimizer)
        if scales and self._strategy.num_replicas_in_sync > 1:
            is_finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
            overflows = tf.distribute.get_replica_context().all_reduce(
                tf.distribute.ReduceOp.SUM, tf.where(is_finite, 0.0, 1.0)
            )
            gradients = [tf.where(overflows > 0, tf.constant(math.nan, one.dtype), one) for one in gradients]
        self._optimiser.apply(gradients, self._variables)

    def _answer_of_replica(self, inputs: Any) -> Any:
        return self._model(inputs, training=False)

    def _measure_of_all(self, batch: Any, with_scores: bool) -> tuple[Sequence[Any], Any]:
        def one(inputs: Any, labels: Any, weights: Any) -> Any:
            outputs = self._answer(inputs)
            losses = self._objective.losses(outputs, labels) * weights
            right = self._objective.right(outputs, labels) * weights
            sums = tf.reduce_sum(losses), tf.reduce_sum(right), tf.reduce_sum(weights)
            return sums, self._gathered(self._objective.answers(outputs), labels, weights) if with_scores else ()

        sums, parts = self._strategy.run(one, args=batch)
        return self._summed(sums), parts

    def _gathered(self, *parts: Any) -> Sequence[Any]:
        """Put the replicas' parts of a batch together, in every replica."""
        if self._strategy.num_replicas_in_sync == 1:
            return parts
        context = tf.distribute.get_replica_context()
        # a copy is of this replica's device, as in _apply_of_all
        return tuple(context.all_gather(tf.identity(part), axis=0) for part in parts)

    def _summed(self, per_replica: Sequence[Any]) -> Sequence[Any]:
        return [self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for value in per_replica]


def _compiled(function: Callable) -> Callable:
    return tf.function(function, jit_compile=True)


def _tally(sums: Sequence[Any]) -> Tally:
    return Tally(*(float(value) for value in sums))
