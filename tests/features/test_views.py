import numpy as np
import pytest
from moving_textures import moving_texture

from keras_i3d.clips import transforms
from keras_i3d.errors import VideoError
from keras_i3d.features.views import Views, need_only_a_cut
from keras_i3d.video import flow


@pytest.mark.parametrize(("height", "width"), [(37, 37), (37, 48), (61, 37), (37, 50)])
def test_the_cut_is_the_tests(height: int, width: int) -> None:
    frames = moving_texture(3, height, width)
    found = np.stack([view["rgb"] for view in Views(("rgb",), 32).over(frames)])
    assert found.dtype == np.uint8
    expected = transforms.testing_view(frames, 32, "rgb")
    np.testing.assert_array_equal(transforms.scale(found.astype(np.float32), "rgb"), expected)


def test_flow_is_that_of_records() -> None:
    frames = moving_texture(3, 37, 48)
    found = np.stack([view["flow"] for view in Views(("rgb", "flow"), 32).over(frames)])
    stored = flow.from_stored(flow.to_stored(flow.tvl1(frames)).astype(np.float32))
    decoded = flow.from_stored(found.astype(np.float32))
    np.testing.assert_array_equal(transforms.scale(decoded, "flow"), transforms.testing_view(stored, 32, "flow"))


def test_frames_of_another_size_are_resized() -> None:
    frames = moving_texture(3, 60, 80)
    views = list(Views(("rgb", "flow"), 32, as_bytes=False).over(frames))
    stored = flow.from_stored(flow.to_stored(flow.tvl1(frames)).astype(np.float32))
    for stream, whole in (("rgb", frames), ("flow", stored)):
        found = np.stack([view[stream] for view in views])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, transforms.testing_view(whole, 32, stream), atol=1e-6)
    assert not need_only_a_cut(60, 32)
    assert need_only_a_cut(256, 224)


def test_a_view_keeps_no_more_than_its_square() -> None:
    (view,) = Views(("rgb",), 32).over(moving_texture(1, 37, 48))
    assert view["rgb"].base is None


def test_frames_that_flow_cannot_be_computed_of_are_an_error_of_the_video() -> None:
    frames = [np.zeros((37, 48, 3), np.uint8), np.zeros((37, 50, 3), np.uint8)]
    with pytest.raises(VideoError, match=r"flow of its frames cannot be computed \(frames must be uint8"):
        list(Views(("flow",), 32).over(frames))
