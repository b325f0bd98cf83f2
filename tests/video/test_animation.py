import io

import av
import numpy as np
import pytest

from keras_i3d.video.animation import encode_animation


def test_every_frame_is_read_back_as_it_was() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (7, 21, 33, 3), dtype=np.uint8)
    content = encode_animation(frames, fps=3)
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place = content.index(b"acTL") + 4
    assert np.frombuffer(content[place : place + 8], ">u4").tolist() == [7, 0]  # frames, and plays: for ever
    with av.open(io.BytesIO(content), format="apng") as container:
        read = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    np.testing.assert_array_equal(np.stack(read), frames)


def test_what_is_no_animation_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"frames must be uint8 \(time, height, width, 3\), got float64 \(1, 4, 4, 3\)"
    ):
        encode_animation(np.zeros((1, 4, 4, 3)), fps=3)
    with pytest.raises(ValueError, match=r"fps must be 0\.1 to 100, got 0"):
        encode_animation(np.zeros((1, 4, 4, 3), np.uint8), fps=0)
