"""Windows of videos and what is made of their logits, with answers that can be reckoned by hand."""

import threading

import numpy as np
import pytest

import keras_i3d
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import PredictionError, ServerError, VideoError
from keras_i3d.serving import prediction
from keras_i3d.serving.prediction import Failure, Prediction
from keras_i3d.video import decode, flow


class Counting:
    """Answers with its window's mean brightness as the logit of the first of two classes; the other's is 0."""

    class_names = ("bright", "dark")
    activation = "softmax"

    max_frames: int | None = None

    def __init__(self, *, modality: str = "rgb", frames: int | None = None, activation: str = "softmax") -> None:
        self.preparation = Preparation(modality, 25.0, 37, 32)
        self.frames, self.activation = frames, activation
        self.windows, self.threads = [], set()

    def logits(self, window: dict[str, np.ndarray]) -> np.ndarray:
        self.windows.append(window)
        self.threads.add(threading.current_thread())
        return np.array([next(iter(window.values())).mean() / 255, 0], np.float32)


def test_windows_are_the_video_in_pieces(video) -> None:
    whole = decode.read_frames(video, short_side=37)
    pieces = list(prediction.windows(video, Preparation("rgb", 25.0, 37, 32), 5))
    assert [len(piece["rgb"]) for piece in pieces] == [5, 5, 2]
    assert [list(piece) for piece in pieces] == [["rgb"]] * 3
    np.testing.assert_array_equal(np.concatenate([piece["rgb"] for piece in pieces]), whole)
    assert prediction.WHOLE_VIDEO_FRAMES == 250


def test_two_streams_come_together_and_flow_crosses_the_windows(video) -> None:
    frames = decode.read_frames(video, short_side=37)
    fields = flow.from_stored(flow.to_stored(flow.tvl1(frames)).astype(np.float32))
    pieces = list(prediction.windows(video, Preparation("both", 25.0, 37, 32, "two_stream_i3d"), 5))
    np.testing.assert_array_equal(np.concatenate([piece["rgb"] for piece in pieces]), frames)
    np.testing.assert_array_equal(np.concatenate([piece["flow"] for piece in pieces]), fields)
    assert pieces[0]["flow"].dtype == np.float32
    (alone,) = prediction.windows(video, Preparation("flow", 25.0, 37, 32))
    np.testing.assert_array_equal(alone["flow"], fields)


def test_logits_of_windows_are_averaged_by_their_frames(video, monkeypatch) -> None:
    monkeypatch.setattr(prediction, "WHOLE_VIDEO_FRAMES", 5)
    answering, seen = Counting(), []
    answer = prediction.predict_with(answering, video, model="m", top=1, on_window=lambda: seen.append(1))
    brightness = decode.read_frames(video, short_side=37).mean() / 255
    assert (answer.video, answer.model, answer.frames, len(seen)) == (str(video), "m", 12, 3)
    ((name, probability),) = answer.top
    assert name == "bright"
    assert probability == pytest.approx(1 / (1 + np.exp(-brightness)), abs=1e-6)


def test_a_model_of_fixed_length_gets_windows_of_it_the_last_starting_over(video) -> None:
    answering = Counting(frames=5)
    assert prediction.predict_with(answering, video, model="m").frames == 12
    assert [len(window["rgb"]) for window in answering.windows] == [5, 5, 5]
    last = answering.windows[-1]["rgb"]
    np.testing.assert_array_equal(last[2:4], last[:2])
    np.testing.assert_array_equal(last[:2], decode.read_frames(video, short_side=37)[10:])


def test_probabilities_follow_the_activation() -> None:
    logits = np.array([0.0, 2.0, -1000.0])
    best = prediction.best_classes(logits, ("a", "b", "c"), "sigmoid", 2)
    assert best == (("b", pytest.approx(1 / (1 + np.exp(-2)))), ("a", 0.5))
    best = prediction.best_classes(logits, ("a", "b", "c"), "softmax", 9)
    assert [name for name, _ in best] == ["b", "a", "c"]
    assert sum(value for _, value in best) == pytest.approx(1)


@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_bad_video_does_not_stop_the_others_and_order_is_kept(motion_folder, tmp_path, in_flight: int) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"x" * 999)
    videos = [*sorted(motion_folder.rglob("*.mp4"))[:5], bad, *sorted(motion_folder.rglob("*.mp4"))[5:7]]
    answering = Counting()
    outcomes = list(prediction.predict_each(answering, videos, model="m", in_flight=in_flight))
    assert [outcome.video for outcome in outcomes] == [str(video) for video in videos]
    assert [isinstance(outcome, Prediction) for outcome in outcomes] == [video != bad for video in videos]
    assert isinstance(outcomes[5].error, VideoError)
    assert str(outcomes[5]).startswith(f"{bad}: cannot be read as video")
    assert len(answering.threads) <= in_flight


def test_a_refusing_server_fails_one_video_and_other_errors_are_raised(video) -> None:
    class Refusing(Counting):
        def logits(self, window: dict[str, np.ndarray]) -> np.ndarray:
            raise self.error

    answering = Refusing()
    answering.error = ServerError("host:1: too many frames", "INVALID_ARGUMENT")
    (failure,) = prediction.predict_each(answering, [video], model="m")
    assert str(failure) == f"{video}: host:1: too many frames"
    assert isinstance(failure, Failure)
    answering.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        list(prediction.predict_each(answering, [video], model="m", in_flight=2))


def test_a_failure_keeps_no_frames_in_memory(video) -> None:
    class Refusing(Counting):
        def logits(self, window: dict[str, np.ndarray]) -> np.ndarray:
            try:
                raise ZeroDivisionError
            except ZeroDivisionError as error:
                raise PredictionError("no") from error

    (failure,) = prediction.predict_each(Refusing(), [video], model="m")
    assert isinstance(failure.error, PredictionError)
    assert failure.error.__traceback__ is failure.error.__cause__ is failure.error.__context__ is None


def test_windows_are_no_longer_than_the_model_takes(video) -> None:
    answering = Counting()
    answering.max_frames = 5
    assert prediction.predict_with(answering, video, model="m").frames == 12
    assert [len(window["rgb"]) for window in answering.windows] == [5, 5, 2]


def test_a_server_that_is_gone_is_not_asked_for_every_video(video) -> None:
    class Gone(Counting):
        asked = 0

        def logits(self, window: dict[str, np.ndarray]) -> np.ndarray:
            self.asked += 1
            raise ServerError("host:1: no server answers there", "UNAVAILABLE")

    answering = Gone()
    failures = list(prediction.predict_each(answering, [video] * 10, model="m"))
    assert answering.asked == 3
    assert [str(failure.error) for failure in failures[2:4]] == [
        "host:1: no server answers there",
        "not asked, since the server was gone for 3 videos in a row",
    ]


def test_videos_not_waited_for_are_not_begun(video) -> None:
    answering = Counting()
    outcomes = prediction.predict_each(answering, [video] * 200, model="m", in_flight=2)
    next(outcomes)
    outcomes.close()
    assert len(answering.windows) < 200


def test_options_out_of_range_are_named(video) -> None:
    with pytest.raises(ValueError, match=r"exactly one of model and server is wanted, got model=None, server=None"):
        keras_i3d.predict(video)
    with pytest.raises(ValueError, match=r"exactly one of model and server is wanted, got model='a', server='b'"):
        keras_i3d.predict(video, model="a", server="b")
    with pytest.raises(ValueError, match="top must be at least 1, got 0"):
        keras_i3d.predict(video, model="kinetics", top=0)
    with pytest.raises(ValueError, match="in_flight must be at least 1, got 0"):
        list(prediction.predict_each(Counting(), [video], model="m", in_flight=0))
