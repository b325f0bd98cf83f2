"""What a frame looks like: its rows, its pixels, which way up it is, and its colours."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numbered_videos import write_at

from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import write_video

TEN = range(0, 400, 40)


def own_frames(source: Path) -> np.ndarray:
    return read_frames(source, fps=None, short_side=None)


def interlaced(height: int, width: int) -> np.ndarray:
    """Return a frame whose even rows, the first field, are dark and whose odd ones are bright."""
    frame = np.full((height, width, 3), 60, np.uint8)
    frame[1::2] = 190
    return frame


def test_interlaced_frames_come_woven(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mpg"), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 64, "yuv420p", 4_000_000
        stream.options = {"flags": "+ildct+ilme", "top": "1", "qmin": "1", "qmax": "1"}
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(interlaced(64, 64), format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(tmp_path / "a.mpg")) as container:
        assert next(container.decode(video=0)).interlaced_frame
    frames = own_frames(tmp_path / "a.mpg")
    assert frames.shape == (5, 64, 64, 3)
    np.testing.assert_allclose(frames, np.broadcast_to(interlaced(64, 64), frames.shape), atol=8)  # mpeg2 at its best


def test_pixels_that_are_not_square_are_taken_as_coded(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mp4", "libx264", TEN, sample_aspect_ratio=Fraction(16, 11))
    with av.open(str(path)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)
    assert read_frames(path, short_side=16).shape == (10, 16, 24, 3)


def corner(height: int = 32, width: int = 48) -> np.ndarray:
    """Return a black frame with a white upper left quarter and a grey upper right one."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[: height // 2, : width // 2] = 255
    frame[: height // 2, width // 2 :] = 128
    return frame


@pytest.mark.parametrize(
    ("degrees", "mirrored", "quarters"),
    [
        (0, False, 0),
        (90, False, 1),
        (180, False, 2),
        (-90, False, 3),
        (0, True, 0),
        (90, True, 1),
        (180, True, 2),
        (-90, True, 3),
        (5, False, 0),
        (45, False, 0),
        (46, False, 1),
        (134, False, 1),
    ],
)
def test_display_matrices_are_applied_to_the_nearest_quarter(
    tmp_path: Path, degrees: int, mirrored: bool, quarters: int
) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = 48, 32, "yuv420p", {"crf": "0"}
        matrix = np.array([np.cos(np.radians(degrees)), -np.sin(np.radians(degrees))])
        a, b = (matrix * 65536).round().astype(int)
        c, d = -b, a
        if mirrored:  # before it is turned
            a, b = -a, -b
        stream.set_display_matrix([int(a), int(b), 0, int(c), int(d), 0, 0, 0, 1 << 30])
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(corner(), format="rgb24")))
        container.mux(stream.encode())
    seen = corner()[:, ::-1] if mirrored else corner()
    expected = np.rot90(seen, quarters)
    frames = own_frames(tmp_path / "a.mp4")
    assert frames.shape == (3, *expected.shape)
    np.testing.assert_allclose(frames, np.broadcast_to(expected, frames.shape), atol=3)  # limited range


@pytest.mark.parametrize(("matrix", "number"), [("ITU601", 6), ("ITU709", 1)])
@pytest.mark.parametrize(("scale", "range_number"), [("MPEG", 1), ("JPEG", 2)])
def test_colours_follow_the_matrix_and_the_range_of_the_file(
    tmp_path: Path, matrix: str, number: int, scale: str, range_number: int
) -> None:
    colours = np.zeros((32, 48, 3), np.uint8)
    colours[:, :16], colours[:, 16:32], colours[:, 32:] = (200, 30, 40), (30, 180, 60), (128, 128, 128)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = 48, 32, "yuv444p", {"crf": "0"}
        stream.codec_context.colorspace, stream.codec_context.color_range = number, range_number
        frame = av.VideoFrame.from_ndarray(colours, format="rgb24")
        coded = frame.reformat(format="yuv444p", dst_colorspace=matrix, dst_color_range=scale)
        container.mux(stream.encode(coded))
        container.mux(stream.encode())
    # eight bits of YUV, and of limited range
    np.testing.assert_allclose(own_frames(tmp_path / "a.mp4")[0].astype(int), colours, atol=3)


@pytest.mark.parametrize("width", [40, 41, 48])
@pytest.mark.parametrize("short_side", [None, 20, 21, 24, 64])
def test_no_size_is_darker_than_another(tmp_path: Path, width: int, short_side: int | None) -> None:
    row, column = np.mgrid[:32, :width]
    soft = np.stack([40 + row * 4, 200 - column * 3, 60 + row * 2 + column], axis=-1).astype(np.uint8)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, 32, "yuv444p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(soft, format="rgb24")))
        container.mux(stream.encode())
    frames = read_frames(tmp_path / "a.mkv", short_side=short_side)
    # rounding to levels of 255/219; the resizer's quick ways are off by two and three
    np.testing.assert_allclose(frames.mean(axis=(0, 1, 2)), soft.mean(axis=(0, 1)), atol=0.8)


def test_half_the_chroma_darkens_nothing(tmp_path: Path) -> None:
    row, column = np.mgrid[:64, :64]
    soft = np.stack([40 + row * 2, 200 - column * 2, 60 + row + column], axis=-1).astype(np.uint8)
    write_video(tmp_path / "a.mp4", soft[None], fps=25, crf=0)
    for short_side in (None, 40):
        frames = read_frames(tmp_path / "a.mp4", short_side=short_side)
        # the writer rounds down by up to a level
        np.testing.assert_allclose(frames.mean(axis=(0, 1, 2)), soft.mean(axis=(0, 1)), atol=1.2)
