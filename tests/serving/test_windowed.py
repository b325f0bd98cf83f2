import numpy as np
import pytest
from finished_models import small_model
from moving_textures import moving_texture
from reckonable import Brightness

from keras_i3d.errors import ModelFileError, PredictionError, ServerError
from keras_i3d.serving import windowed
from keras_i3d.serving.client import Client, connect
from keras_i3d.video import flow
from keras_i3d.video.windows import Sliding


def test_a_window_is_what_the_model_takes_or_64_frames() -> None:
    assert windowed.sliding_for(Brightness()) == Sliding(64, 8, "loop")
    assert windowed.sliding_for(Brightness(frames=16), stride=4, fill="pad") == Sliding(16, 4, "pad")
    assert windowed.sliding_for(Brightness(frames=16), window=16).window == 16
    assert windowed.sliding_for(Brightness(max_frames=50)).window == 50
    assert windowed.sliding_for(Brightness(max_frames=250)).window == 64


def test_a_window_that_the_model_does_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="exported for windows of 16 frames alone; got window=64"):
        windowed.sliding_for(Brightness(frames=16), window=64)
    with pytest.raises(ValueError, match="takes windows of at most 50 frames; got window=64"):
        windowed.sliding_for(Brightness(max_frames=50), window=64)
    with pytest.raises(ValueError, match="stride is a number of frames, at least 1; got 0"):
        windowed.sliding_for(Brightness(), stride=0)


def test_flow_is_computed_once_for_each_pair_and_is_that_of_the_whole_video(monkeypatch) -> None:
    frames = moving_texture(9, 24, 32)
    fields = flow.from_stored(flow.to_stored(flow.tvl1(frames)).astype(np.float32))
    pairs = []
    estimator = flow._tvl1

    def counting(*arguments):
        estimate = estimator(*arguments)
        return lambda one, other: pairs.append(1) or estimate(one, other)

    monkeypatch.setitem(flow._ESTIMATORS, "tvl1", counting)
    seen = []

    class Keeping(Brightness):
        def logits(self, window):
            seen.append(window)
            return np.zeros(3, np.float32)

    answering = Keeping()
    answering.preparation = small_model("both").preparation
    found = list(windowed.answers(answering, iter(frames), Sliding(4, 1)))
    assert len(pairs) == 8
    assert [window.first for window, _ in found] == list(range(6))
    for first, window in enumerate(seen):
        np.testing.assert_array_equal(window["rgb"], frames[first : first + 4])
        np.testing.assert_array_equal(window["flow"], fields[first : first + 4])


def test_logits_that_are_no_numbers_are_an_error() -> None:
    answering = Brightness(scale=float("nan"))
    with pytest.raises(PredictionError, match=r"logits from 0\.00 to 0\.16 s are no finite numbers"):
        list(windowed.answers(answering, np.zeros((4, 16, 16, 3), np.uint8), Sliding(4, 4)))


def test_what_answers_is_a_path_or_open_already(tmp_path) -> None:
    answering = Brightness()
    for given in ({"model": answering, "server": None}, {"model": None, "server": answering}):
        with windowed.opened(**given) as (found, name):
            assert found is answering
            assert name == "Brightness"
    with windowed.opened(None, "localhost:1") as (client, name):
        assert isinstance(client, Client)
        assert name == "i3d at localhost:1"
    with pytest.raises(ModelFileError, match=r"absent\.keras"), windowed.opened(tmp_path / "absent.keras", None):
        pass
    for given in ((None, None), ("a", "b")):
        with pytest.raises(ValueError, match="exactly one of model and server"), windowed.opened(*given):
            pass


def test_a_server_that_is_gone_is_told() -> None:
    client = connect("127.0.0.1:9", attempts=1, timeout_s=2)
    with windowed.opened(None, client) as (found, _), pytest.raises(ServerError, match=r"127\.0\.0\.1:9"):
        windowed.sliding_for(found)
