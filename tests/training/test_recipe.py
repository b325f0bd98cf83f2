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
            "a recipe has no field 'learning_rte'; its fields are network, weights, transfer, split, modality, frames",
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
        ({"learning_rate": float("inf")}, "learning_rate must be above 0, got inf"),
        ({"learning_rate": True}, "learning_rate must be of type float, got True"),
        ({"dropout_rate": 1.0}, r"dropout_rate must be in \[0, 1\), got 1.0"),
        ({"dropout_rate": float("nan")}, "dropout_rate must be at least 0, got nan"),
        ({"momentum": 1}, r"momentum must be in \[0, 1\), got 1"),
        ({"average_momentum": 1.5}, r"average_momentum must be in \[0, 1\), got 1.5"),
        ({"batch_norm_momentum": -0.1}, "batch_norm_momentum must be at least 0, got -0.1"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\), got 1.0"),
        ({"weight_decay": -1e-7}, "weight_decay must be at least 0, got -1e-07"),
        ({"weight_decay": float("inf")}, "weight_decay must be at least 0, got inf"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"accumulation": 0}, "accumulation must be at least 1, got 0"),
        ({"learning_rate_batch": 0}, "learning_rate_batch must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0, got -1"),
        ({"patience": -1}, "patience must be at least 0, got -1"),
        ({"plateau_epochs": 0}, "plateau_epochs must be at least 1, got 0"),
        ({"feature_clips": 0}, "feature_clips must be at least 1, got 0"),
        ({"scale_jitter": 0.9}, "scale_jitter must be at least 1, got 0.9"),
        ({"photometric": -0.1}, "photometric must be at least 0, got -0.1"),
        ({"photometric": 1.1}, r"photometric must be in \[0, 1\], got 1.1"),
        ({"split": "test"}, "split must be train, or train1, train2 and so on, got 'test'"),
        ({"split": "train02"}, "split must be train, or train1, train2 and so on, got 'train02'"),
        ({"split": "train\n"}, "split must be train, or train1, train2 and so on, got 'train"),
        ({"split": 2}, "split must be of type str, got 2"),
        ({"schedule": "linear"}, "unknown schedule 'linear'; known: cosine"),
        ({"schedule": "100:1,50:0.1"}, "the steps of a schedule must rise, got '100:1,50:0.1'"),
        ({"weights": None}, "weights must be of type str, got None"),
        ({"frozen_batch_norm": "yes"}, "frozen_batch_norm must be of type bool, got 'yes'"),
        ({"transfer": "partial", "weights": "kinetics"}, "unknown transfer 'partial'; known: scratch, fixed, full"),
        ({"transfer": "full"}, "transfer 'full' needs weights to start from; got weights 'none'"),
        ({"transfer": "fixed"}, "transfer 'fixed' needs weights to start from; got weights 'none'"),
        (
            {"transfer": "scratch", "weights": "kinetics"},
            "transfer 'scratch' starts from random values; got weights 'kinetics'",
        ),
        ({"freeze_until": "Mixed_9z"}, "freeze_until must be one of Conv3d_1a_7x7, .*Mixed_5c; got 'Mixed_9z'"),
        ({"freeze_until": "Logits"}, "freeze_until must be one of Conv3d_1a_7x7, .*Mixed_5c; got 'Logits'"),
        ({"network": "c3d", "freeze_until": "Mixed_3b"}, "network 'c3d' has no end point 'Mixed_3b' to freeze until"),
        (
            {"weights": "kinetics", "transfer": "fixed", "freeze_until": "Mixed_3b"},
            "transfer 'fixed' keeps all but the last layer: freeze_until has no place, got 'Mixed_3b'",
        ),
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


@pytest.mark.parametrize(
    ("values", "transfer", "frozen"),
    [
        ({}, "scratch", False),
        ({"weights": "kinetics"}, "full", True),
        ({"weights": "kinetics", "transfer": "fixed"}, "fixed", True),
        ({"weights": "kinetics", "frozen_batch_norm": False}, "full", False),
        ({"frozen_batch_norm": True}, "scratch", True),
    ],
)
def test_the_transfer_and_the_batch_norm_follow_from_the_weights(values: dict, transfer: str, frozen: bool) -> None:
    recipe = Recipe(**values)
    assert (recipe.transfer, recipe.frozen_batch_norm) == (transfer, frozen)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_what_followed_from_a_changed_field_follows_again() -> None:
    changed = Recipe(batch_size=3).changed(network="c3d")
    assert changed == Recipe(network="c3d", batch_size=3)
    assert (changed.frames, changed.size) == (16, 112)
    assert Recipe().changed(network="two_stream").modality == "both"
    assert Recipe().changed(weights="kinetics") == Recipe(weights="kinetics")
    assert Recipe(weights="kinetics").changed(weights="none") == Recipe()


def test_what_was_chosen_stays_when_other_fields_change() -> None:
    recipe = Recipe(frames=32, size=112, modality="flow", frozen_batch_norm=True)
    changed = recipe.changed(weights="kinetics", epochs=3)
    assert (changed.frames, changed.size, changed.modality) == (32, 112, "flow")
    assert (changed.transfer, changed.frozen_batch_norm, changed.epochs) == ("full", True, 3)
    assert Recipe(weights="kinetics", transfer="fixed").changed(weights="imagenet").transfer == "fixed"
    with pytest.raises(ValueError, match="network 'c3d' takes modality 'rgb', got 'flow'"):
        recipe.changed(network="c3d")
    with pytest.raises(ValueError, match="a recipe has no field 'netwrk'"):
        recipe.changed(netwrk="c3d")


def test_the_learning_rate_is_scaled_to_the_clips_of_an_update() -> None:
    paper = Recipe(learning_rate=0.1, learning_rate_batch=384, batch_size=6)
    assert paper.clips_per_update == 6
    assert paper.scaled_learning_rate == pytest.approx(0.1 * 6 / 384)
    assert paper.changed(accumulation=64).scaled_learning_rate == pytest.approx(0.1)
    assert Recipe(learning_rate=0.02, batch_size=6, accumulation=4).scaled_learning_rate == pytest.approx(0.02)


def test_batch_norm_is_frozen_in_transfers_but_not_from_images() -> None:
    assert Recipe(weights="kinetics").frozen_batch_norm
    assert not Recipe(weights="imagenet").frozen_batch_norm
    assert Recipe(weights="imagenet", transfer="fixed").frozen_batch_norm
    assert not Recipe().frozen_batch_norm
