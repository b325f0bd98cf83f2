import dataclasses
import json

import pytest

from keras_i3d.errors import TrainingError
from keras_i3d.models import time_plan
from keras_i3d.training.recipe import Recipe


def test_a_recipe_goes_to_json_and_back(tmp_path) -> None:
    recipe = Recipe(frames=16, flips=False, learning_rate=0.01)
    (tmp_path / "recipe.json").write_text(json.dumps(recipe.to_json()))
    assert Recipe.read(tmp_path / "recipe.json") == recipe


def test_absent_fields_take_their_defaults() -> None:
    assert Recipe.from_json({"frames": 16}) == Recipe(frames=16)


def test_the_default_clip_is_the_papers() -> None:
    assert (Recipe().frames, Recipe().size) == (64, 224)


@pytest.mark.parametrize(
    ("network", "modality", "frames", "size"),
    [
        ("i3d", "rgb", 64, 224),
        ("two_stream_i3d", "both", 64, 224),
        ("convnet_lstm", "rgb", 125, 224),
        ("c3d", "rgb", 16, 112),
        ("two_stream", "both", 10, 224),
        ("fused_two_stream", "both", 50, 224),
    ],
)
def test_what_is_left_open_is_what_the_paper_trains_the_network_on(
    tmp_path, network: str, modality: str, frames: int, size: int
) -> None:
    recipe = Recipe(network=network)
    assert (recipe.modality, recipe.frames, recipe.size) == (modality, frames, size)
    (tmp_path / "recipe.json").write_text(json.dumps(recipe.to_json()))
    assert Recipe.read(tmp_path / "recipe.json") == recipe
    assert Recipe.from_json({"network": network}) == recipe
    assert json.loads((tmp_path / "recipe.json").read_text())["frames"] == frames


def test_a_plans_file_becomes_part_of_the_recipe(tmp_path) -> None:
    (tmp_path / "plan.json").write_text('{"conv": {"1a": 3}}')
    recipe = Recipe(time_plan=str(tmp_path / "plan.json"))
    (tmp_path / "plan.json").unlink()
    assert time_plan.time_plan(recipe.time_plan) == time_plan.TimePlan(conv={"1a": 3})
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_every_field_explains_itself() -> None:
    assert all(field.metadata["help"] for field in dataclasses.fields(Recipe))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"learning_rte": 0.1},
            "a recipe has no field 'learning_rte'; its fields are network, split, modality, frames",
        ),
        ({"network": "r3d"}, "unknown network 'r3d'; known: i3d, two_stream_i3d, convnet_lstm, c3d, two"),
        ({"modality": "depth"}, "network 'i3d' takes modality 'rgb' or 'flow', got 'depth'"),
        ({"modality": "both"}, "network 'i3d' takes modality 'rgb' or 'flow', got 'both'"),
        ({"network": "c3d", "modality": "flow"}, "network 'c3d' takes modality 'rgb', got 'flow'"),
        ({"network": "two_stream", "modality": "rgb"}, "network 'two_stream' takes modality 'both', got 'rgb'"),
        ({"time_plan": "2d"}, "unknown time plan '2d'; known: i3d, i2d, per_frame, s3d, s3d_g, top_heavy:TAG"),
        ({"time_plan": "top_heavy:9z"}, "no layer '9z'; its layers are 1a, 2b"),
        ({"time_plan": None}, "a time plan is one of i3d, .*; got None"),
        ({"network": "c3d", "time_plan": "i2d"}, "network 'c3d' has no time plan to choose, got 'i2d'"),
        ({"network": "two_stream", "frames": 16}, "frames must be a multiple of 10 for network 'two_stream', got 16"),
        ({"network": "convnet_lstm", "frames": 9}, "frames must be a multiple of 5 for network 'convnet_lstm', got 9"),
        ({"network": "fused_two_stream", "frames": 40}, "frames must be at least 50 for network 'fused_two_stream"),
        ({"network": "fused_two_stream", "size": 128}, "size must be at least 129 for network 'fused_two_stream"),
        ({"size": 0}, "size must be at least 1 for network 'i3d', got 0"),
        ({"optimiser": "lion"}, "unknown optimiser 'lion'; known: sgd, adam"),
        ({"epochs": 2.5}, "epochs must be of type int, got 2.5"),
        ({"flips": "no"}, "flips must be of type bool, got 'no'"),
        ({"seed": -3}, "seed must be at least 0, got -3"),
        ({"frames": 0}, "frames must be at least 1 for network 'i3d', got 0"),
        ({"frames": "16"}, "frames must be of type int, got '16'"),
        ({"epochs": -1}, "epochs must be at least 1, got -1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, got nan"),
        ({"dropout_rate": 1.0}, r"dropout_rate must be in \[0, 1\), got 1.0"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe.from_json(values)


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"frames": "many"}', '{"x": 1}'])
def test_a_file_that_is_no_recipe_is_named(tmp_path, content: str) -> None:
    (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(TrainingError, match=r"recipe.json: cannot be read as a recipe"):
        Recipe.read(tmp_path / "recipe.json")


def test_a_plan_of_ones_own_goes_into_the_recipe_as_text() -> None:
    plan = time_plan.top_heavy("4b")
    recipe = Recipe.from_json(Recipe(time_plan=plan).to_json())
    assert time_plan.time_plan(recipe.time_plan) == plan
