import dataclasses
import json

import pytest

from keras_i3d.errors import TrainingError
from keras_i3d.training.recipe import Recipe


def test_a_recipe_goes_to_json_and_back(tmp_path) -> None:
    recipe = Recipe(frames=16, flips=False, learning_rate=0.01)
    (tmp_path / "recipe.json").write_text(json.dumps(recipe.to_json()))
    assert Recipe.read(tmp_path / "recipe.json") == recipe


def test_absent_fields_take_their_defaults() -> None:
    assert Recipe.from_json({"frames": 16}) == Recipe(frames=16)


def test_the_default_clip_is_the_papers() -> None:
    assert (Recipe().frames, Recipe().size) == (64, 224)


def test_every_field_explains_itself() -> None:
    assert all(field.metadata["help"] for field in dataclasses.fields(Recipe))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rte": 0.1}, "a recipe has no field 'learning_rte'; its fields are modality, frames"),
        ({"modality": "depth"}, "unknown modality 'depth'; known: rgb, flow"),
        ({"time_plan": "2d"}, "unknown time plan '2d'"),
        ({"optimiser": "lion"}, "unknown optimiser 'lion'; known: sgd, adam"),
        ({"epochs": 2.5}, "epochs must be of type int, got 2.5"),
        ({"flips": "no"}, "flips must be of type bool, got 'no'"),
        ({"seed": -3}, "seed must be at least 0, got -3"),
        ({"frames": 0}, "frames must be at least 1, got 0"),
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
