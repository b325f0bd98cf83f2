import hashlib
import importlib
from pathlib import Path

import pytest

from keras_i3d.checkpoints import names, stored_tensorflow
from keras_i3d.models.i3d import I3D

PUBLISHED = Path(__file__).parents[3] / "shared" / "published"
SMALL = {"weights": None, "input_shape": (1, 32, 32, 3)}


@pytest.fixture(scope="module")
def weights():
    return names.weights_of(I3D(**SMALL))


def test_the_names_and_shapes_are_those_of_the_published_checkpoints(weights) -> None:
    lines = sorted(f"{names.DEEPMIND.spell(weight)} {list(weight.shape)}" for weight in weights)
    assert len(lines) == 230
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    # the digest of the published RGB checkpoint's own list of names and shapes (its temporal kernels among them)
    assert digest == "1177819588dc508e8682c1dd869349acc01b6246f5e1422007005f91b2f580d3"


@pytest.mark.parametrize(
    ("folder", "modality", "classes"),
    [
        ("rgb_imagenet", "rgb", 400),
        ("rgb_scratch", "rgb", 400),
        ("flow_imagenet", "flow", 400),
        ("flow_scratch", "flow", 400),
        ("rgb_scratch_kin600", "rgb", 600),
    ],
)
def test_each_published_index_names_exactly_our_variables(folder: str, modality: str, classes: int) -> None:
    index = PUBLISHED / folder / "model.ckpt.index"
    if not index.is_file():
        pytest.skip("the published index files are not here")
    model = I3D(
        weights=None, modality=modality, input_shape=(1, 32, 32, 2 if modality == "flow" else 3), classes=classes
    )
    with stored_tensorflow.open_weights(str(index)) as file:
        published = {name: variable.shape for name, variable in file.variables.items()}
        assert file.layout is names.DEEPMIND
    assert published == {names.DEEPMIND.spell(weight): weight.shape for weight in names.weights_of(model)}
    assert len(published) == 230


@pytest.mark.parametrize(
    ("builder", "options"),
    [
        ("i3d.I3D", {"input_shape": (9, 32, 32, 3)}),
        ("i3d.I3D", {"input_shape": (None, None, None, 3), "include_top": False}),
        ("inception_v1.InceptionV1", {"input_shape": (32, 32, 3)}),
        ("two_stream_i3d.TwoStreamI3D", {}),
        ("convnet_lstm.ConvNetLSTM", {}),
        ("c3d.C3D", {}),
        ("two_stream.TwoStream", {}),
        ("fused_two_stream.FusedTwoStream", {}),
    ],
)
def test_every_weight_of_every_network_has_a_place_of_its_own(builder: str, options: dict) -> None:
    module, name = builder.split(".")
    model = getattr(importlib.import_module(f"keras_i3d.models.{module}"), name)(weights=None, **options)
    weights = names.weights_of(model)
    assert sorted(id(weight.variable) for weight in weights) == sorted(id(variable) for variable in model.weights)
    spelt = [names.KERAS.spell(weight) for weight in weights]
    assert len(set(spelt)) == len(spelt)
    classifier = [names.KERAS.is_classifier(name) for name in spelt]
    assert any(classifier) == options.get("include_top", True) and not all(classifier)


def test_a_variable_of_a_stream_is_named_with_its_stream() -> None:
    import keras

    inner = I3D(**SMALL, include_top=False, name="rgb_stream")
    clip = keras.Input(SMALL["input_shape"])
    weight = names.weights_of(keras.Model(clip, inner(clip)))[0]
    assert weight.layers == ("rgb_stream", "Conv3d_1a_7x7__conv_3d")
    assert weight.path == "rgb_stream/Conv3d_1a_7x7__conv_3d/kernel"
    assert names.KERAS.spell(weight) == "rgb_stream/Conv3d_1a_7x7__conv_3d/0"


STEM = "Conv3d_1a_7x7"
UNIT = "Mixed_3b__Branch_1__Conv3d_0b_3x3"
QUIRK = "Mixed_5b__Branch_2__Conv3d_0a_3x3"
BEHIND_POOL = "Mixed_4f__Branch_3__Conv3d_0b_1x1"


@pytest.mark.parametrize(
    ("layout", "spelt"),
    [
        (
            names.DEEPMIND,
            {
                f"{STEM}__conv_3d/kernel": "Conv3d_1a_7x7/conv_3d/w",
                f"{UNIT}__batch_norm/beta": "Mixed_3b/Branch_1/Conv3d_0b_3x3/batch_norm/beta",
                f"{QUIRK}__conv_3d/kernel": "Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w",
                "Logits__Conv3d_0c_1x1__conv_3d/bias": "Logits/Conv3d_0c_1x1/conv_3d/b",
            },
        ),
        (
            names.PIERGIAJ,
            {
                f"{STEM}__conv_3d/kernel": "Conv3d_1a_7x7.conv3d.weight",
                f"{UNIT}__batch_norm/beta": "Mixed_3b.b1b.bn.bias",
                f"{UNIT}__batch_norm/moving_variance": "Mixed_3b.b1b.bn.running_var",
                f"{QUIRK}__conv_3d/kernel": "Mixed_5b.b2b.conv3d.weight",
                f"{BEHIND_POOL}__conv_3d/kernel": "Mixed_4f.b3b.conv3d.weight",
                "Mixed_5c__Branch_2__Conv3d_0a_1x1__conv_3d/kernel": "Mixed_5c.b2a.conv3d.weight",
                "Mixed_5c__Branch_0__Conv3d_0a_1x1__conv_3d/kernel": "Mixed_5c.b0.conv3d.weight",
                "Logits__Conv3d_0c_1x1__conv_3d/bias": "logits.conv3d.bias",
            },
        ),
        (
            names.HASSONY,
            {
                f"{STEM}__batch_norm/moving_mean": "conv3d_1a_7x7.batch3d.running_mean",
                f"{UNIT}__conv_3d/kernel": "mixed_3b.branch_1.1.conv3d.weight",
                f"{QUIRK}__conv_3d/kernel": "mixed_5b.branch_2.1.conv3d.weight",
                f"{BEHIND_POOL}__conv_3d/kernel": "mixed_4f.branch_3.1.conv3d.weight",
                "Mixed_5c__Branch_2__Conv3d_0a_1x1__conv_3d/kernel": "mixed_5c.branch_2.0.conv3d.weight",
                "Mixed_5c__Branch_0__Conv3d_0a_1x1__conv_3d/kernel": "mixed_5c.branch_0.conv3d.weight",
                "Logits__Conv3d_0c_1x1__conv_3d/kernel": "conv3d_0c_1x1.conv3d.weight",
            },
        ),
    ],
    ids=["deepmind", "piergiaj", "hassony"],
)
def test_variables_are_spelt_as_in_the_files_of_others(weights, layout: names.Layout, spelt: dict[str, str]) -> None:
    ours = {weight.path: layout.spell(weight) for weight in weights}
    assert {path: ours[path] for path in spelt} == spelt
    assert len(set(ours.values())) == 230
    assert sum(layout.is_classifier(name) for name in ours.values()) == 2


def test_the_2d_networks_variables_are_spelt_as_slim_does() -> None:
    from keras_i3d.models.inception_v1 import InceptionV1

    weights = names.weights_of(InceptionV1(weights=None, input_shape=(32, 32, 3)))
    ours = {weight.path: names.slim_name(weight) for weight in weights}
    assert len(set(ours.values())) == 230
    assert ours["Conv2d_1a_7x7__conv_2d/kernel"] == "Conv2d_1a_7x7/weights"
    assert ours["Mixed_5b__Branch_2__Conv2d_0a_3x3__batch_norm/moving_mean"] == (
        "Mixed_5b/Branch_2/Conv2d_0a_3x3/BatchNorm/moving_mean"
    )
    assert ours["Logits__Conv2d_0c_1x1__conv_2d/bias"] == "Logits/Conv2d_0c_1x1/biases"
    assert [name for name in ours.values() if names.SLIM.is_classifier(name)] == [
        "Logits/Conv2d_0c_1x1/weights",
        "Logits/Conv2d_0c_1x1/biases",
    ]
