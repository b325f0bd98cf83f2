import json

import keras
import numpy as np
import pytest
from finished_models import CLASSES, finish, paper_model
from keras import layers

import keras_i3d
from keras_i3d.errors import PredictionError
from keras_i3d.explanation.explain import Explainer, class_of
from keras_i3d.explanation.seen import Part, see
from keras_i3d.video.encode import write_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Return a video of 20 frames of 24x18: black, but for a light square at the upper left in frames 8 to 11."""
    frames = np.zeros((20, 18, 24, 3), np.uint8)
    frames[8:12, 3:8, 5:10] = 255
    path = tmp_path_factory.mktemp("clips") / "square.mp4"
    write_video(path, frames, fps=25)
    return path


def bright_model(frames: int | None = None):
    """Return a model of 16x16 clips whose first class is how bright they are, on average; the map is the clip."""
    inputs = keras.Input((frames, 16, 16, 3), name="rgb")
    x = layers.Conv3D(1, 1, activation="relu", name="map")(inputs)
    x = layers.Conv3D(len(CLASSES), 1, use_bias=False)(x)
    network = keras.Model(inputs, layers.GlobalAveragePooling3D(name="Logits")(x), name="i3d")
    weights = np.zeros((1, 1, 1, 1, len(CLASSES)), np.float32)
    weights[..., 0], weights[..., 1] = 1, -1
    network.set_weights([np.full((1, 1, 1, 3, 1), 1 / 6, np.float32), np.full(1, 0.5, np.float32), weights])
    return finish(network, "rgb", 16, "i3d")


def test_the_heat_lies_where_and_when_the_stimulus_is(clip) -> None:
    found = Explainer(bright_model(), "map").explain(clip)
    assert (found.class_name, found.class_index, found.layer) == (CLASSES[0], 0, "map")
    assert found.frames.shape == (20, 18, 24, 3) and (found.box.top, found.box.left) == (1, 4)
    stream = found.streams["rgb"]
    assert stream.map.shape == (20, 16, 16) and stream.map.max() == 1 and stream.heat.shape == (20, 16, 16)
    light = found.frames[:, 1:17, 4:20].mean(axis=-1) / 255
    np.testing.assert_allclose(stream.heat * stream.heat.max(), light / light.max(), atol=0.05)  # of the coding
    assert set(np.flatnonzero(stream.over_time > stream.over_time.max() / 2)) == {8, 9, 10, 11}
    np.testing.assert_allclose(stream.seconds, np.arange(20) / 25)


def test_a_class_that_nothing_speaks_for_has_a_map_of_zeros(clip) -> None:
    found = Explainer(bright_model(), "map").explain(clip, CLASSES[1])
    assert not found.has_evidence and found.streams["rgb"].peak == 0
    assert (found.streams["rgb"].heat == 0).all() and (found.streams["rgb"].over_time == 0).all()
    assert found.probability < 1 / len(CLASSES) < found.top[0][1]


def test_windows_are_put_end_to_end(clip) -> None:
    found = Explainer(bright_model(frames=4), "map").explain(clip)
    whole = Explainer(bright_model(), "map").explain(clip)
    assert found.streams["rgb"].map.shape == (20, 16, 16)
    # each window is weighed by its own gradient, which here is the same
    np.testing.assert_allclose(found.streams["rgb"].heat, whole.streams["rgb"].heat, atol=1e-6)


def test_a_video_shorter_than_a_window_starts_over_and_is_shown_once(clip) -> None:
    seen = see(clip, bright_model(frames=16), Part(frames=6))
    assert seen.order.tolist() == [index % 6 for index in range(16)]
    found = Explainer(bright_model(frames=16), "map").explain(clip, part=Part(frames=6))
    assert len(found.frames) == len(found.streams["rgb"].heat) == 6
    assert found.start_s == 7 / 25  # the middle six of twenty


def test_the_stretch_and_its_middle_are_taken(clip) -> None:
    explainer = Explainer(bright_model(), "map")
    found = explainer.explain(clip, part=Part(start_s=0.2, end_s=0.6))
    assert (found.start_s, len(found.frames), found.end_s) == (pytest.approx(0.2), 10, pytest.approx(0.6))
    found = explainer.explain(clip, part=Part(frames=4, start_s=0.2, end_s=0.6))
    assert (found.start_s, len(found.frames)) == (pytest.approx(0.2 + 3 / 25), 4)
    assert len(explainer.explain(clip, part=Part(frames=1)).frames) == 1


@pytest.mark.parametrize("name", [pytest.param("two_stream", marks=pytest.mark.slow), "c3d"])
def test_networks_of_the_paper_are_explained_at_their_last_map(name: str, clip) -> None:
    found = Explainer(paper_model(name)).explain(clip)
    assert found.layer == {"c3d": "conv5b"}.get(name, "Mixed_5c")
    streams = {"c3d": {"rgb"}}.get(name, {"rgb", "flow"})
    assert set(found.streams) == streams
    for stream in found.streams.values():
        assert stream.heat.shape[0] == len(found.frames)
        assert np.isfinite(stream.heat).all() and 0 <= stream.heat.min() <= stream.heat.max() <= 1
    values = json.loads(json.dumps(found.to_json()))
    assert values["class"] == found.class_name and set(values["streams"]) == streams


def test_the_public_function_explains_a_saved_model(tmp_path, clip) -> None:
    finished = bright_model()
    finished.network.save(tmp_path / "best.keras")
    (tmp_path / "labels.txt").write_text("\n".join(CLASSES) + "\n")
    finished.preparation.write(tmp_path)
    found = keras_i3d.explain(clip, model=tmp_path / "best.keras", layer="map")
    np.testing.assert_array_equal(
        found.streams["rgb"].heat, Explainer(finished, "map").explain(clip).streams["rgb"].heat
    )


def test_a_class_is_found_by_name_or_index() -> None:
    names = ("run", "7", "jump")
    assert [class_of(wanted, names) for wanted in ("jump", "7", "2", 0)] == [2, 1, 2, 0]
    with pytest.raises(ValueError, match="unknown class 'jumps'; the model has 3, by name or 0 to 2: near are jump"):
        class_of("jumps", names)
    with pytest.raises(ValueError, match=r"unknown class 3; .*: such as run, 7, jump"):
        class_of(3, names)


def test_weights_that_are_no_numbers_are_told(clip) -> None:
    broken = bright_model()
    broken.network.set_weights([np.full(weight.shape, np.nan) for weight in broken.network.get_weights()])
    with pytest.raises(PredictionError, match=r"square\.mp4: the network answers with what are no"):
        Explainer(broken, "map").explain(clip)


@pytest.mark.parametrize("frames", [0, 1001])
def test_a_number_of_frames_out_of_range_is_refused(frames: int) -> None:
    with pytest.raises(ValueError, match=f"frames must be 1 to 1000, got {frames}"):
        Part(frames=frames)
