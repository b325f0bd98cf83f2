import keras
import numpy as np
import pytest
from finished_models import paper_model, small_model
from keras import layers

from keras_i3d.explanation.cut import cut, end_points


@pytest.fixture(scope="module")
def i3d() -> keras.Model:
    return paper_model("i3d").logits_network()


def nested(*, joined: bool) -> keras.Model:
    """Return two nested streams whose logits are added, or whose maps are joined in front of one classifier."""
    keras.utils.set_random_seed(0)
    inputs, parts = {}, []
    for name, channels in (("rgb", 3), ("flow", 2)):
        inputs[name] = keras.Input((4, 8, 8, channels), name=name)
        own = keras.Input((4, 8, 8, channels), name="frames")
        x = layers.Conv3D(6, 3, padding="same", activation="relu", name="Mixed_5c")(own)
        if not joined:
            x = layers.Dense(3)(layers.GlobalAveragePooling3D()(x))
        parts.append(keras.Model(own, x, name=f"{name}_stream")(inputs[name]))
    if not joined:
        return keras.Model(inputs, layers.Add(name="Logits")(parts))
    x = layers.GlobalAveragePooling3D()(layers.Concatenate(name="Joined")(parts))
    return keras.Model(inputs, layers.Dense(3, name="Logits")(x))


@pytest.mark.parametrize("layer", ["Mixed_4f", "Conv3d_1a_7x7"])
def test_the_halves_together_are_the_network(i3d, layer: str, noise) -> None:
    body, head, streams = cut(i3d, layer)
    clip = noise(1, 9, 32, 32, 3)
    maps = keras.tree.flatten(body(clip))
    np.testing.assert_array_equal(maps[0], keras.Model(i3d.input, i3d.get_layer(layer).output)(clip))
    np.testing.assert_allclose(head(maps), i3d(clip), atol=1e-5)  # of another order of sums
    assert streams == ("rgb",)


@pytest.mark.parametrize(
    ("joined", "layer", "streams"),
    [(False, "Mixed_5c", ("rgb", "flow")), (True, "Mixed_5c", ("rgb", "flow")), (True, "Joined", ("both",))],
)
def test_streams_that_are_nested_are_cut_each(joined: bool, layer: str, streams: tuple[str, ...], noise) -> None:
    network = nested(joined=joined)
    clips = {"rgb": noise(1, 4, 8, 8, 3), "flow": noise(1, 4, 8, 8, 2)}
    body, head, found = cut(network, layer)
    assert set(found) == set(streams)
    maps = keras.tree.flatten(body(clips))
    for stream, one in zip(found, maps, strict=True):
        if stream != "both":
            own = network.get_layer(f"{stream}_stream")
            expected = keras.Model(own.input, own.get_layer("Mixed_5c").output)(clips[stream])
            np.testing.assert_array_equal(one, expected)
    np.testing.assert_allclose(head(maps), network(clips), atol=1e-6)


@pytest.mark.parametrize("layer", ["Mixed_9z", "Logits", "Mixed_5c__Branch_0__Conv3d_0a_1x1"])
def test_a_layer_that_does_not_fit_is_told_with_those_that_do(i3d, layer: str) -> None:
    told = f"has no layer '{layer}' with a map over time.*Conv3d_1a_7x7.*Mixed_5c"
    with pytest.raises(ValueError, match=told):
        cut(i3d, layer)


def test_a_network_of_the_users_own_tells_its_layers() -> None:
    network = small_model().network
    with pytest.raises(ValueError, match=f"no layer 'Mixed_5c' .* it has {end_points(network)[0]}"):
        cut(network, "Mixed_5c")
