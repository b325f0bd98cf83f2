"""What a run trains: the whole network on clips, or a new last layer on features that were computed once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_i3d.evaluation.average_precision import mean_average_precision
from keras_i3d.models import copies, networks
from keras_i3d.models import features as cutting
from keras_i3d.training import features, memory, optimiser, precision, rematerialisation, start
from keras_i3d.training.data import Data
from keras_i3d.training.devices import Devices
from keras_i3d.training.display import Display
from keras_i3d.training.execution import Execution
from keras_i3d.training.loop import Loop
from keras_i3d.training.objective import Objective
from keras_i3d.training.recipe import Recipe

_log = logging.getLogger(__name__)


@dataclass
class Trainee:
    """What a run trains.

    Attributes:
        model: What the loop updates, logits out.
        loop: Its steps.
        optimiser: Of the loop.
        whole: Holds all variables of the run's network.
        finished: Brings the values of the variables into the network that is saved, and returns it.
        training_batches: Gives endless batches from a batch of the run on.
        validation_batches: Gives each validation clip once; None without a split val.
        multi_label: Whether a clip may show several classes.
        scales_loss: Whether float16 needs it.
    """

    model: keras.Model
    loop: Loop
    optimiser: keras.Optimizer
    whole: keras.Model
    finished: Callable[[], keras.Model]
    training_batches: Callable[[int], Any]
    validation_batches: Callable[[], Any] | None
    multi_label: bool = False
    scales_loss: bool = False

    def variables(self) -> Mapping[str, Sequence[keras.Variable]]:
        """Return all that changes in a run, in groups."""
        return {"network": self.whole.variables, "optimiser": self.optimiser.variables}

    def validated(self) -> dict[str, float]:
        """Return the numbers of the validation clips, none without a split val."""
        if self.validation_batches is None:
            return {}
        if not self.multi_label:
            return self.loop.measure(iter(self.validation_batches())).numbers("val_")
        tally, scores, truth = self.loop.measure_scores(iter(self.validation_batches()))
        return tally.numbers("val_") | {"val_map": mean_average_precision(scores, truth)}

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the weights be their moving averages, where the recipe keeps them, while the block runs."""
        inner = getattr(self.optimiser, "inner_optimizer", self.optimiser)
        averages = inner._model_variables_moving_average if inner.use_ema else []
        pairs = list(zip(self.model.trainable_variables, averages, strict=True)) if averages else []
        _swap(pairs)
        try:
            yield
        finally:
            _swap(pairs)


def of_network(
    data: Data, recipe: Recipe, execution: Execution, devices: Devices, folder: Path, display: Display
) -> Trainee:
    """Return what trains every layer (but the frozen ones) on clips.

    Args:
        data: Of the recipe.
        recipe: The hyper-parameters.
        execution: How to compute.
        devices: Where.
        folder: The run folder.
        display: Of the run.
    """
    choice = precision.choose(execution.precision)
    if choice.reason:
        display.say(choice.reason)
    objective = _objective(data, recipe)
    with devices.strategy.scope():
        network = start.network(recipe, data.classes, multi_label=data.multi_label)
        trained = precision.prepared(
            network, choice.policy, _shapes(recipe), on_cpu=choice.on_cpu, synchronized=devices.are_several
        )
        start.freeze(trained, recipe)
        model = objective.model(trained)
        optimiser_ = optimiser.build(recipe, loss_scaling=choice.policy == "mixed_float16")
        loop = Loop(
            model,
            optimiser_,
            objective,
            clips_per_update=recipe.clips_per_update,
            accumulation=recipe.accumulation,
            weight_decay=recipe.weight_decay,
            forward=rematerialisation.rematerialised(model) if execution.rematerialise else None,
            jit_compile=execution.jit_compile,
        )
    for line in memory.lines(_step(model, recipe, execution, choice.policy, devices), devices=devices.replicas):
        display.say(line)
    # what a GPU computes in 16 bits travels to it in 16 bits
    transfer = "float32" if choice.on_cpu else choice.policy.removeprefix("mixed_")

    def finished() -> keras.Model:
        if trained is not network:
            copies.copy_values(trained, network)
        return network

    return Trainee(
        model=model,
        loop=loop,
        optimiser=optimiser_,
        whole=trained,
        finished=finished,
        training_batches=lambda first: data.training_batches(devices, first, transfer_dtype=transfer),
        validation_batches=(lambda: data.validation_batches(devices)) if data.val else None,
        multi_label=data.multi_label,
        scales_loss=choice.policy == "mixed_float16",
    )


def of_features(
    data: Data, recipe: Recipe, execution: Execution, devices: Devices, folder: Path, display: Display
) -> Trainee:
    """Return what trains a new last layer on fixed features; arguments as in `of_network`."""
    if execution.precision not in ("auto", "float32") or execution.rematerialise or execution.jit_compile:
        display.say("fixed features are computed in float32: --precision, --rematerialise and --jit-compile do nothing")
    if devices.are_several:
        display.say("fixed features are computed on one device")
    objective = _objective(data, recipe)
    network = start.network(recipe, data.classes, multi_label=data.multi_label)
    body, head = cutting.split(objective.model(network))
    head.name = network.name
    start.renew(head)
    with display.counting("computing features", features.clips_to_compute(data, recipe)) as on_clips:
        passes = features.training_passes(body, data, recipe, folder, on_clips)
        val = features.validation(body, data, folder, on_clips) if data.val else None
    optimiser_ = optimiser.build(recipe)
    loop = Loop(
        head,
        optimiser_,
        objective,
        clips_per_update=recipe.clips_per_update,
        accumulation=recipe.accumulation,
        weight_decay=recipe.weight_decay,
    )
    return Trainee(
        model=head,
        loop=loop,
        optimiser=optimiser_,
        whole=network,
        finished=lambda: network,
        training_batches=lambda first: features.training_batches(passes, recipe, first),
        validation_batches=(lambda: features.validation_batches(val, recipe.batch_size)) if val else None,
        multi_label=data.multi_label,
    )


def _shapes(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a recipe's clips by the names of the inputs, without the batch."""
    return networks.input_shapes(recipe.network, recipe.modality, frames=recipe.frames, size=recipe.size)


def _step(
    model: keras.Model, recipe: Recipe, execution: Execution, policy: str, devices: Devices
) -> memory.TrainingStep:
    return memory.TrainingStep(
        model,
        _shapes(recipe),
        recipe.batch_size // devices.replicas,
        recipe.optimiser,
        policy,
        execution.rematerialise,
        more_slots=(recipe.accumulation > 1) + (recipe.average_momentum > 0),
    )


def _objective(data: Data, recipe: Recipe) -> Objective:
    protocol = networks.network(recipe.network).protocol(recipe.modality)
    return Objective(
        data.classes,
        at_every_step=protocol.loss_at_every_step,
        multi_label=data.multi_label,
        label_smoothing=recipe.label_smoothing,
    )


def _swap(pairs: Sequence[tuple[keras.Variable, keras.Variable]]) -> None:
    for variable, average in pairs:
        value = keras.ops.copy(variable.value)
        variable.assign(average.value)
        average.assign(value)
