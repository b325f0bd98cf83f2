import json

import pytest

from keras_i3d.training.named_recipes import NAMED, named
from keras_i3d.training.recipe import Recipe
from keras_i3d.training.schedule import factor


@pytest.mark.parametrize("name", NAMED)
def test_every_named_recipe_is_one_and_goes_to_json_and_back(name: str) -> None:
    recipe = named(name)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert NAMED[name][1]


def rate(name: str, step: int) -> float:
    """Return the learning rate at a step, at the batch of the original: 64 replicas of 6 clips."""
    recipe = named(name, accumulation=64)
    return recipe.scaled_learning_rate * factor(recipe.schedule, step, recipe.steps)


def test_the_released_rgb_networks_schedule_is_that_of_its_readme() -> None:
    recipe = named("kinetics-release-rgb")
    assert (recipe.steps, recipe.modality, recipe.weights) == (115_000, "rgb", "none")
    rates = {0: 0.1, 96_999: 0.1, 97_000: 0.01, 107_999: 0.01, 108_000: 0.001, 114_999: 0.001}
    assert {step: rate("kinetics-release-rgb", step) for step in rates} == pytest.approx(rates)


def test_the_released_flow_networks_schedule_is_that_of_its_readme() -> None:
    recipe = named("kinetics-release-flow")
    assert (recipe.steps, recipe.modality) == (155_000, "flow")
    rates = {0: 0.1, 96_999: 0.1, 97_000: 0.01, 104_499: 0.01, 104_500: 0.001, 114_999: 0.001}
    rates |= {115_000: 0.1, 139_999: 0.1, 140_000: 0.01, 149_999: 0.01, 150_000: 0.001, 154_999: 0.001}
    assert {step: rate("kinetics-release-flow", step) for step in rates} == pytest.approx(rates)


@pytest.mark.parametrize("name", ["kinetics-paper", "kinetics-release-rgb", "kinetics-release-flow"])
def test_those_of_kinetics_are_trained_as_the_paper_and_the_release_say(name: str) -> None:
    recipe = named(name)
    assert (recipe.network, recipe.transfer, recipe.frames, recipe.size) == ("i3d", "scratch", 64, 224)
    assert (recipe.optimiser, recipe.momentum, recipe.weight_decay, recipe.dropout_rate) == ("sgd", 0.9, 1e-7, 0.5)
    assert (recipe.batch_norm_momentum, recipe.batch_size, recipe.flips) == (0.999, 6, True)
    assert recipe.learning_rate_batch == 64 * 6


def test_the_papers_run_has_its_steps_and_divides_at_plateaus() -> None:
    recipe = named("kinetics-paper")
    assert (recipe.steps, recipe.schedule) == (110_000, "plateau")


@pytest.mark.parametrize("data_set", ["ucf101", "hmdb51"])
def test_a_transfer_starts_from_kinetics(data_set: str) -> None:
    full, fixed = named(f"{data_set}-full"), named(f"{data_set}-fixed")
    assert (full.weights, full.transfer, full.steps, full.learning_rate_batch) == ("kinetics", "full", 5_000, 16 * 6)
    assert (fixed.weights, fixed.transfer, fixed.frozen_batch_norm) == ("kinetics", "fixed", True)


def test_small_is_the_default() -> None:
    assert named("small") == Recipe()


def test_fields_can_be_changed_and_what_follows_from_them_follows() -> None:
    assert named("kinetics-paper", network="c3d").frames == 16
    assert named("small", epochs=2) == Recipe(epochs=2)
    with pytest.raises(ValueError, match="unknown recipe 'kinetics'; known: kinetics-paper, kinetics-release-rgb, "):
        named("kinetics")
    with pytest.raises(ValueError, match="a recipe has no field 'epoch'; its fields are network, weights"):
        named("small", epoch=2)


@pytest.mark.parametrize(
    ("name", "clips"), [("kinetics-paper", 64 * 6), ("kinetics-release-flow", 64 * 6), ("ucf101-full", 16 * 6)]
)
def test_an_update_takes_the_clips_of_the_original_and_its_rate(name: str, clips: int) -> None:
    recipe = named(name)
    assert (recipe.clips_per_update, recipe.scaled_learning_rate) == (clips, recipe.learning_rate)
