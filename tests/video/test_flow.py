import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_i3d.errors import MissingDependency
from keras_i3d.streams import FLOW_BOUND
from keras_i3d.video.flow import KINDS, from_stored, opencv_version, to_stored, tvl1, with_flow

COMPUTED = tuple(kind for kind in KINDS if kind != "none")


def texture(height: int, width: int) -> np.ndarray:
    """Return soft random grey blobs, float32 in [0, 255]."""
    noise = np.random.default_rng(0).uniform(0, 1, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 20, 235, cv2.NORM_MINMAX)


def moving(dx: float, dy: float, frames: int = 2, side: int = 96) -> np.ndarray:
    """Return frames of a texture that moves by (dx, dy) pixels from each to the next; y runs downwards."""
    field = texture(side + 60, side + 60)
    result = []
    for index in range(frames):
        matrix = np.array([[1, 0, index * dx - 30], [0, 1, index * dy - 30]], np.float32)
        grey = cv2.warpAffine(field, matrix, (side, side), flags=cv2.INTER_CUBIC)
        result.append(np.repeat(grey[..., None], 3, axis=2).round().astype(np.uint8))
    return np.stack(result)


@pytest.mark.parametrize(("dx", "dy"), [(2, 0), (-2, 0), (0, 1.5), (0, -1.5), (1.25, -0.75), (5, 3)])
def test_a_known_motion_is_found(dx: float, dy: float) -> None:
    fields = tvl1(moving(dx, dy))
    assert fields.shape == (2, 96, 96, 2)
    assert fields.dtype == np.float32
    middle = fields[0, 24:-24, 24:-24]
    # TV-L1 at its defaults is good to about a tenth of a pixel away from borders
    np.testing.assert_allclose(np.median(middle, axis=(0, 1)), [dx, dy], atol=0.1)
    assert np.abs(middle - [dx, dy]).mean() < 0.1


def test_there_are_as_many_fields_as_frames_and_the_last_is_repeated() -> None:
    frames = np.concatenate([moving(1, 0, 3), moving(1, 2, 3)[1:]])[:, :48, :64]
    fields = tvl1(frames)
    assert fields.shape == (5, 48, 64, 2)
    np.testing.assert_array_equal(fields[-1], fields[-2])
    assert not np.array_equal(fields[-2], fields[-3])


def test_each_field_leads_from_its_frame_to_the_next() -> None:
    still, moved = moving(3, 0)
    fields = tvl1(np.stack([still, still, moved, moved]))[:, 24:-24, 24:-24, 0]
    # still pairs give no motion but for rounding; see above for the tenth of a pixel
    np.testing.assert_allclose(fields.mean((1, 2)), [0, 3, 0, 0], atol=0.1)


def test_fields_do_not_depend_on_the_pairs_before() -> None:
    frames = moving(2, 1, 4)[:, :48, :48]
    np.testing.assert_array_equal(tvl1(frames)[2], tvl1(frames[2:])[0])


def test_one_frame_has_no_motion() -> None:
    fields = tvl1(moving(0, 0, 1)[:, :20, :30])
    assert fields.shape == (1, 20, 30, 2)
    assert not fields.any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (7, 40)])
def test_tiny_pictures_have_flow(height: int, width: int) -> None:
    fields = tvl1(np.random.default_rng(0).integers(0, 256, (3, height, width, 3), np.uint8))
    assert fields.shape == (3, height, width, 2)
    assert np.isfinite(fields).all()


def test_colours_count_as_in_rgb_not_as_in_bgr() -> None:
    red = moving(2, 1) * np.array([1, 0, 0], np.uint8)
    greys = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in red])
    np.testing.assert_array_equal(tvl1(red), tvl1(greys))
    assert not np.array_equal(tvl1(red), tvl1(red[..., ::-1]))


def test_grey_frames_come_with_and_without_a_channel() -> None:
    frames = moving(2, 1, 3)[:, :48, :64]
    fields = tvl1(frames)  # all three channels are alike, so grey is each of them
    np.testing.assert_array_equal(tvl1(frames[..., :1]), fields)
    np.testing.assert_array_equal(tvl1(frames[..., 0]), fields)


def test_frames_need_not_be_contiguous() -> None:
    frames = moving(2, 1, 3)
    np.testing.assert_array_equal(tvl1(frames[:, ::2, ::2]), tvl1(frames[:, ::2, ::2].copy()))


def test_fields_do_not_depend_on_the_threads_of_their_own() -> None:
    frames = np.concatenate([moving(2, 1, 4), moving(-1, 3, 4)])[:, :64, :64]
    alone = tvl1(frames, threads=1)
    for threads in (2, 3, 20):
        np.testing.assert_array_equal(tvl1(frames, threads=threads), alone)
        pairs = list(with_flow(frames, "tvl1", threads=threads))
        np.testing.assert_array_equal([frame for frame, _ in pairs], frames)
        np.testing.assert_array_equal([field for _, field in pairs], alone)


def test_an_error_of_the_frames_comes_through_the_threads() -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from moving(2, 1, 3)[:, :32, :32]
        raise OSError("the video ends here")

    with pytest.raises(OSError, match="ends here"):
        list(with_flow(frames(), "tvl1", threads=2))


def test_who_wants_no_more_fields_waits_for_none() -> None:
    pairs = with_flow(itertools.cycle(moving(2, 1, 3)[:, :32, :32]), "tvl1", threads=2)
    next(pairs)
    pairs.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("flow")]


@pytest.mark.parametrize("call", [tvl1, lambda frames, threads: with_flow(frames, "tvl1", threads=threads)])
def test_threads_are_at_least_one(call: Callable) -> None:
    with pytest.raises(ValueError, match=r"^threads must be .*at least 1[,;] got 0$"):
        call(moving(1, 0), threads=0)


def test_opencv_is_the_reference() -> None:
    frames = moving(3, -1)
    ours, theirs = (next(with_flow(frames, kind))[1] for kind in ("tvl1", "opencv"))
    # OpenCV's builds are up to .017 pixels apart, as the study of its versions says
    assert np.linalg.norm(ours - theirs, axis=-1).mean() < 0.02


def test_rounded_positions_are_another_flow_close_by() -> None:
    frames = moving(1.3, -0.7)[:, :64, :64]
    assert 0 < np.abs(tvl1(frames) - tvl1(frames, rounded=True)).mean() < 0.05


def test_every_field_is_reported() -> None:
    done = []
    tvl1(np.zeros((5, 16, 16, 3), np.uint8), on_field=lambda: done.append(1))
    assert len(done) == 4


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 16, 16, 3), np.float32),
        np.full((2, 16, 16, 3), np.nan),
        np.zeros((16, 16), np.uint8),
        np.zeros((2, 16, 16, 2), np.uint8),
        np.zeros((0, 16, 16, 3), np.uint8),
        np.zeros((2, 0, 16, 3), np.uint8),
        np.zeros((2, 16, 16, 3, 1), np.uint8),
    ],
    ids=lambda frames: f"{frames.dtype} {frames.shape}",
)
def test_wrong_frames_are_refused(frames: np.ndarray) -> None:
    wanted = (
        r"^frames must be uint8 \(time, height, width, 3\), or of grey \(time, height, width\) or "
        r"\(time, height, width, 1\), got \w+ \(.*\)$"
    )
    with pytest.raises(ValueError, match=wanted):
        tvl1(frames)


def test_one_rgb_picture_is_not_taken_for_a_video() -> None:
    with pytest.raises(ValueError, match=r"^\(40, 30, 3\) is one RGB picture"):
        tvl1(np.zeros((40, 30, 3), np.uint8))


@pytest.mark.parametrize("options", [{"threads": 1.5}, {"threads": "2"}, {"rounded": "no"}])
def test_options_of_another_type_are_refused(options: dict) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"^{name} .* got {value!r}$"):
        tvl1(np.zeros((2, 16, 16), np.uint8), **options)


def test_a_damaged_cache_is_told_with_what_helps(tmp_path: Path) -> None:
    code = "import numpy as np; from keras_i3d.video.flow import tvl1; tvl1(np.zeros((2, 16, 16), np.uint8))"
    command, environment = [sys.executable, "-c", code], os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run(command, check=True, env=environment)
    for index in tmp_path.rglob("*.nbi"):
        index.write_bytes(index.read_bytes()[:50])
    failed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    told = failed.stderr.splitlines()[-1]
    assert re.search(rf"KerasI3DError: what numba .* in {tmp_path}\S* is damaged .*delete the files \*.nbi", told)


def test_a_list_of_frames_of_different_sizes_is_told_apart() -> None:
    frames = [np.zeros((16, 16, 3), np.uint8), np.zeros((16, 18, 3), np.uint8)]
    with pytest.raises(ValueError, match=r"got uint8 \(16, 18, 3\)$"):
        list(with_flow(frames, "tvl1"))
    with pytest.raises(ValueError, match=r"^frames must be one array, uint8 \(time"):
        tvl1(frames)


def test_opencv_without_its_contributed_modules_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "optflow")
    with pytest.raises(MissingDependency, match=r"^this OpenCV has no TV-L1 flow: .* Mend it with: pip uninstall -y "):
        next(with_flow(moving(1, 0), "opencv"))


def test_without_numba_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(MissingDependency, match=r"^TV-L1 flow needs the package numba, .*keras-i3d\[video\]"):
        tvl1(np.zeros((2, 16, 16, 3), np.uint8))


def test_without_opencv_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependency, match=r"needs the package opencv-contrib-python-headless"):
        tvl1(np.zeros((2, 16, 16, 3), np.uint8))


@pytest.mark.parametrize(
    ("pixels", "stored"), [(0, 127), (-20, 0), (20, 255), (-100, 0), (100, 255), (1, 133), (-1, 121), (0.1, 128)]
)
def test_flow_is_stored_as_deepmind_did(pixels: float, stored: int) -> None:
    result = to_stored(np.full((2, 3), pixels, np.float32))
    assert result.dtype == np.uint8
    assert (result == stored).all()
    assert np.trunc((np.clip(pixels, -20, 20) + 20) * 255 / 40) == stored


def test_no_motion_reads_as_a_little_less_than_none() -> None:
    assert from_stored(np.float32(127)) == pytest.approx(-0.078, abs=5e-4)  # three digits are quoted
    assert from_stored(np.float32(0)) == -20
    assert from_stored(np.float32(255)) == pytest.approx(20, abs=1e-5)  # float32


def test_storing_loses_less_than_a_level() -> None:
    pixels = np.linspace(-20, 20, 10_001, dtype=np.float32)
    lost = pixels - from_stored(to_stored(pixels).astype(np.float32))
    # truncation to 1 of 256 levels of 40/255 pixels; 1e-5 for float32
    assert lost.min() >= -1e-5
    assert lost.max() <= 40 / 255 + 1e-5


@pytest.mark.parametrize("kind", COMPUTED)
@pytest.mark.parametrize(("dx", "dy"), [(2, 0), (0, -1.5), (1.25, -0.75)])
def test_every_kind_finds_a_known_motion_as_x_and_y(kind: str, dx: float, dy: float) -> None:
    (_, field), (_, last) = with_flow(moving(dx, dy), kind)
    assert field.shape == (96, 96, 2)
    assert field.dtype == last.dtype == np.float32
    # all are good to about a fifth of a pixel on smooth texture
    np.testing.assert_allclose(np.median(field[24:-24, 24:-24], axis=(0, 1)), [dx, dy], atol=0.2)
    np.testing.assert_array_equal(last, field)
    assert last is not field


def test_frames_are_paired_with_the_fields_of_the_array_form() -> None:
    frames = moving(2, 1, 5)[:, :48, :64]
    pairs = list(with_flow(iter(frames), "tvl1"))
    np.testing.assert_array_equal([frame for frame, _ in pairs], frames)
    np.testing.assert_array_equal([field for _, field in pairs], tvl1(frames))


@pytest.mark.parametrize("kind", COMPUTED)
def test_a_field_depends_on_its_two_frames_alone(kind: str) -> None:
    frames = np.concatenate([moving(2, 1, 3), moving(-1, 3, 3)])
    later = [field for _, field in with_flow(frames, kind)][4]
    np.testing.assert_array_equal(later, next(with_flow(frames[4:], kind))[1])


@pytest.mark.parametrize("kind", COMPUTED)
def test_fields_do_not_depend_on_the_number_of_threads(kind: str) -> None:
    frames, threads, seen = moving(2, 1, 3), cv2.getNumThreads(), []
    try:
        for number in (1, 2, 3):
            cv2.setNumThreads(number)
            seen.append(np.stack([field for _, field in with_flow(frames, kind)]))
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(seen[1], seen[0])
    np.testing.assert_array_equal(seen[2], seen[0])


@pytest.mark.parametrize("kind", ["tvl1", "farneback", "dis"])
def test_streamed_fields_are_bounded(kind: str) -> None:
    enlarged = moving(8, -8).repeat(4, axis=1).repeat(4, axis=2)  # by 32 pixels
    fields = np.stack([field for _, field in with_flow(enlarged, kind)])
    assert fields.max() <= FLOW_BOUND
    assert fields.min() >= -FLOW_BOUND
    assert FLOW_BOUND in fields or -FLOW_BOUND in fields


@pytest.mark.parametrize("kind", KINDS)
def test_two_frames_are_held_at_a_time(kind: str) -> None:
    given = []

    def frames() -> Iterator[np.ndarray]:
        for frame in moving(1, 1, 6)[:, :32, :32]:
            given.append(frame)
            yield frame

    for index, (frame, _) in enumerate(with_flow(frames(), kind)):
        assert frame is given[index]
        assert len(given) <= index + 2


def test_no_flow_pairs_frames_with_none() -> None:
    frames = moving(1, 0, 3)
    pairs = list(with_flow(frames, "none"))
    assert [field for _, field in pairs] == [None] * 3
    np.testing.assert_array_equal([frame for frame, _ in pairs], frames)


def test_no_flow_needs_no_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert len(list(with_flow(moving(1, 0, 2), "none"))) == 2
    with pytest.raises(MissingDependency, match="opencv-contrib-python-headless"):
        next(with_flow(moving(1, 0, 2), "dis"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_frame_and_none_at_all(kind: str) -> None:
    assert list(with_flow([], kind)) == []
    ((_, field),) = with_flow(moving(0, 0, 1), kind)
    assert field is None if kind == "none" else not field.any()


@pytest.mark.parametrize("kind", ["tvl1", "farneback", "dis"])
def test_only_opencvs_tvl1_needs_the_contributed_modules(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.delattr(cv2, "optflow")
    assert len(list(with_flow(moving(1, 0, 2), kind))) == 2
    with pytest.raises(
        MissingDependency,
        match=r"^this OpenCV has no TV-L1 flow: .*tvl1, farneback and dis need no contributed modules",
    ):
        next(with_flow(moving(1, 0, 2), "opencv"))


@pytest.mark.parametrize("kind", ["lucas", "TVL1", ""])
def test_an_unknown_kind_names_the_known_ones(kind: str) -> None:
    with pytest.raises(ValueError, match=rf"^unknown flow '{kind}'; known: none, tvl1, opencv, farneback, dis$"):
        with_flow([], kind)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([np.zeros((16, 16), np.uint8)], r"got uint8 \(16, 16\)$"),
        ([np.zeros((16, 16, 3), np.float32)], r"got float32 \(16, 16, 3\)$"),
        ([np.zeros((16, 16, 3), np.uint8), np.zeros((16, 18, 3), np.uint8)], r"of one shape, got uint8 \(16, 18, 3\)$"),
    ],
)
def test_frames_that_are_none_have_no_flow(frames: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(with_flow(frames, "farneback"))


def test_dis_says_what_it_cannot_see() -> None:
    with pytest.raises(ValueError, match=r"^flow by dis needs a side of at least 12 pixels, got 8x11$"):
        list(with_flow(np.zeros((2, 8, 11, 3), np.uint8), "dis"))
    assert len(list(with_flow(np.zeros((2, 8, 12, 3), np.uint8), "dis"))) == 2


def test_the_version_of_opencv_is_known() -> None:
    assert opencv_version() == cv2.__version__


def test_the_settings_are_those_that_are_stated() -> None:
    farneback = cv2.FarnebackOpticalFlow_create()
    stated = {"NumLevels": 5, "PyrScale": 0.5, "WinSize": 13, "NumIters": 10, "PolyN": 5, "PolySigma": 1.1, "Flags": 0}
    assert {name: getattr(farneback, f"get{name}")() for name in stated} == stated
