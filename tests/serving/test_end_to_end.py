"""From a trained run to answers over real sockets: exported networks of the paper behind the double."""

import numpy as np
import pytest
import serving_double
from finished_models import paper_model

import keras_i3d
from keras_i3d import finished_model
from keras_i3d.clips import transforms
from keras_i3d.serving.client import connect
from keras_i3d.serving.export import export
from keras_i3d.serving.options import ServingOptions
from keras_i3d.video import decode


@pytest.fixture(scope="module")
def folder(run_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    export(run_folder / "best.keras", folder / "i3d")
    export(paper_model("two_stream_i3d"), folder / "two_streams")
    export(paper_model("two_stream_i3d"), folder / "video_alone", ServingOptions(flow_inside=True))
    return folder


@pytest.fixture(scope="module")
def running(folder):
    with serving_double.serve({name: folder / name for name in ("i3d", "two_streams", "video_alone")}) as double:
        yield double


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_a_served_network_answers_as_the_trained_one(running, run_folder, video, transport) -> None:
    here = keras_i3d.predict(video, model=run_folder / "best.keras", top=8)
    there = keras_i3d.predict(video, server=getattr(running, transport), top=8)
    assert (there.frames, [label for label, _ in there.top]) == (12, [label for label, _ in here.top])
    np.testing.assert_allclose([value for _, value in there.top], [value for _, value in here.top], atol=1e-5)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_two_streams_travel_together(running, folder, video, transport) -> None:
    here = keras_i3d.predict(video, model=folder / "two_streams", top=7)
    there = keras_i3d.predict(video, server=getattr(running, transport), name="two_streams", top=7)
    assert (there.frames, [label for label, _ in there.top]) == (12, [label for label, _ in here.top])
    np.testing.assert_allclose([value for _, value in there.top], [value for _, value in here.top], atol=1e-5)


def test_a_network_that_computes_its_flow_is_sent_nothing_but_video(running, folder, video) -> None:
    given_flow = keras_i3d.predict(video, model=folder / "two_streams", top=7)
    alone = keras_i3d.predict(video, server=running.grpc, name="video_alone", top=7)
    assert (alone.frames, alone.top[0][0]) == (12, given_flow.top[0][0])
    by_name = [dict(prediction.top) for prediction in (alone, given_flow)]
    np.testing.assert_allclose([by_name[0][name] for name in by_name[1]], list(by_name[1].values()), atol=5e-3)
    with connect(running.grpc, name="video_alone") as client:
        assert client.preparation.given == ("rgb",)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_real_clips_are_answered_as_the_trained_network_does(running, run_folder, shared_videos, transport) -> None:
    network = finished_model.load(run_folder / "best.keras").logits_network()
    with connect(getattr(running, transport)) as client:
        for path in (shared_videos / "test.mp4", shared_videos / "test.avi"):
            frames = decode.read_frames(path, short_side=37, end_s=2)
            clip = np.asarray(transforms.testing_view(frames, 32, "rgb"))
            logits = network(clip[np.newaxis]).numpy()[0]
            np.testing.assert_allclose(client.logits({"rgb": frames}), logits, atol=1e-5 * max(1, logits.std()))
            assert client.predict_video(path).frames >= len(frames)
