"""Every kind of file that people have: each is made here, and read rightly."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numbered_videos import brightness, indices, numbered, write_at

from keras_i3d.errors import VideoError
from keras_i3d.video.decode import iterate_frames, read_frames
from keras_i3d.video.encode import write_video

TEN = range(0, 400, 40)


def own_frames(source: Path | bytes, **options) -> np.ndarray:
    return read_frames(source, **{"fps": None, "short_side": None} | options)


# libx265 of PyAV's wheels damages the memory of its process, so HEVC is not written here
KINDS = {
    "odd sides, 4:4:4": ("a.mp4", "libx264", {"width": 341, "height": 255, "pix_fmt": "yuv444p"}),
    "odd sides, 4:2:0": ("a.mkv", "ffv1", {"width": 341, "height": 255}),
    "one pixel": ("a.mp4", "libx264", {"width": 1, "height": 1, "pix_fmt": "yuv444p"}),
    "one row": ("a.mkv", "ffv1", {"width": 300, "height": 1, "pix_fmt": "yuv444p"}),
    "ten bits": ("a.mkv", "ffv1", {"pix_fmt": "yuv420p10le"}),
    "alpha in packed pixels": ("a.mov", "qtrle", {"pix_fmt": "argb"}),
    "alpha in a plane": ("a.mkv", "ffv1", {"pix_fmt": "yuva420p"}),
    "alpha beside vp9": ("a.webm", "libvpx-vp9", {"pix_fmt": "yuva420p"}),
    "grey": ("a.mkv", "ffv1", {"pix_fmt": "gray"}),
    "grey of sixteen bits": ("a.mkv", "ffv1", {"pix_fmt": "gray16le"}),
    "animated gif of fixed colours": ("a.gif", "gif", {"pix_fmt": "rgb8"}),
    "animated gif of greys": ("a.gif", "gif", {"pix_fmt": "gray"}),
    "animated png": ("a.apng", "apng", {"pix_fmt": "rgb24"}),
    "bare h264, without times": ("a.h264", "libx264", {}),
    "transport stream": ("a.ts", "libx264", {}),
    "program stream": ("a.mpg", "mpeg2video", {}),
    "vp8": ("a.webm", "libvpx", {}),
    "vp9": ("a.webm", "libvpx-vp9", {}),
    "av1": ("a.mp4", "libsvtav1", {}),
    "motion jpeg": ("a.avi", "mjpeg", {"pix_fmt": "yuvj420p"}),
    "huffyuv": ("a.avi", "huffyuv", {"pix_fmt": "rgb24"}),
    "raw frames": ("a.avi", "rawvideo", {"pix_fmt": "bgr24"}),
    "yuv4mpeg": ("a.y4m", "rawvideo", {}),
    "dv": ("a.dv", "dvvideo", {"width": 720, "height": 576}),
    "windows media": ("a.wmv", "wmv2", {}),
    "mxf": ("a.mxf", "mpeg2video", {}),
    "nut": ("a.nut", "ffv1", {}),
}


@pytest.mark.parametrize(("name", "codec", "settings"), KINDS.values(), ids=list(KINDS))
def test_every_kind_of_video_gives_its_frames(tmp_path: Path, name: str, codec: str, settings: dict) -> None:
    if not {codec} & av.codecs_available:
        pytest.skip(f"this FFmpeg writes no {codec}")
    path = write_at(tmp_path / name, codec, TEN, **settings)
    frames = own_frames(path)
    assert frames.shape == (10, settings.get("height", 32), settings.get("width", 48), 3)
    difference = np.abs(frames.mean(axis=(1, 2, 3)) - brightness(np.arange(10)))
    assert difference.max() < 2.5  # codecs that lose move a grey by a level; a neighbour would be two away and more
    assert (np.diff(frames.mean(axis=(1, 2, 3))) > 0.5).all()


@pytest.mark.parametrize(("name", "codec", "settings"), KINDS.values(), ids=list(KINDS))
def test_every_kind_of_video_has_its_times(tmp_path: Path, name: str, codec: str, settings: dict) -> None:
    path = write_at(tmp_path / name, codec, TEN, **settings)
    assert len(read_frames(path, fps=25, short_side=None)) == 10
    assert len(read_frames(path, fps=50, short_side=None)) in (19, 20)  # the last tick lies on half a period
    assert len(read_frames(path, fps=25, short_side=None, start_s=0.12, end_s=0.28)) == 4


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.avi", "a.ts", "a.h264"])
def test_one_frame_is_a_video(tmp_path: Path, name: str) -> None:
    codec = {"a.webm": "libvpx", "a.gif": "gif", "a.avi": "mpeg4"}.get(name, "libx264")
    path = write_at(tmp_path / name, codec, [0], **({"pix_fmt": "rgb8"} if codec == "gif" else {}))
    assert read_frames(path, short_side=16).shape == (1, 16, 24, 3)


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("matroska", "libx264", {}),
        ("webm", "libvpx", {}),
        ("avi", "mpeg4", {}),
        ("flv", "libx264", {}),
        ("mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
    ],
)
def test_a_header_written_before_the_length_is_known_promises_nothing(
    container: str, codec: str, options: dict
) -> None:
    class Pipe:
        content = b""

        def write(self, data: bytes) -> int:
            self.content += data
            return len(data)

    pipe = Pipe()
    write_at(pipe, codec, TEN, container=container, options=options)
    assert indices(own_frames(pipe.content)) == list(range(10))


def test_bytes_and_files_are_read_as_paths_are(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mp4", "libx264", TEN)
    expected = read_frames(path)
    np.testing.assert_array_equal(read_frames(path.read_bytes()), expected)
    with path.open("rb") as file:
        file.seek(100)
        np.testing.assert_array_equal(read_frames(file), expected)
        assert not file.closed
        np.testing.assert_array_equal(read_frames(file), expected)


def test_the_result_does_not_depend_on_threads(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mp4", "libx264", range(0, 2000, 40), width=120, height=80)
    expected = read_frames(path)
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(read_frames(path, threads=threads), expected)


def with_cover(path: Path, codec: str) -> Path:
    """Write video or sound, with a cover that lies before it in the file."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25 if codec == "libx264" else 44100)
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        if codec == "libx264":
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            frames = [av.VideoFrame.from_ndarray(array, format="rgb24") for array in numbered(10)]
        else:
            frames = [av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.float32), format="fltp", layout="mono")]
            frames[0].sample_rate = 44100
        container.mux(cover.encode(av.VideoFrame(16, 16, "yuvj420p")))
        container.mux(cover.encode())
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    content = path.read_bytes()
    track, meta = content.index(b"trak") - 4, content.index(b"udta") - 4
    end = meta + int.from_bytes(content[meta : meta + 4], "big")
    path.write_bytes(content[:track] + content[meta:end] + content[track:meta] + content[end:])
    return path


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    path = with_cover(tmp_path / "a.mp4", "libx264")
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams.video] == ["mjpeg", "h264"]
    assert own_frames(path).shape == (10, 32, 48, 3)


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = with_cover(tmp_path / "song.mp4", "aac")
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams.video] == ["mjpeg"]
    with pytest.raises(VideoError, match=r"song\.mp4: holds no video stream$"):
        own_frames(path)


def test_of_several_streams_the_first_is_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams = [container.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream, width in zip(streams, (48, 64), strict=True):
            stream.width, stream.height, stream.pix_fmt = width, 32, "yuv420p"
        for index in range(10):
            for stream in streams:
                array = numbered(10, 32, stream.width)[index if stream is streams[0] else 9 - index]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    frames = own_frames(tmp_path / "a.mkv")
    assert frames.shape == (10, 32, 48, 3)
    assert indices(frames) == list(range(10))


@pytest.mark.parametrize("name", ["a.mkv", "a.nut", "a.ts"])
def test_times_below_zero_count_from_the_first_frame(tmp_path: Path, name: str) -> None:
    path = write_at(tmp_path / name, "mpeg2video" if name == "a.ts" else "ffv1", range(-2000, -1000, 40))
    assert indices(own_frames(path, start_s=0.19, end_s=0.39)) == [5, 6, 7, 8, 9]
    assert indices(read_frames(path, fps=25, short_side=None)) == list(range(25))


def remuxed(path: Path, times: list[int | None], target: Path) -> Path:
    """Write the packets of a video of key frames alone with other times, in milliseconds."""
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet, time in zip(source.demux(source.streams.video[0]), times, strict=False):
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = time
            packet.stream = stream
            container.mux(packet)
    return target


def test_of_frames_at_one_time_the_later_is_shown(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mkv", "ffv1", TEN)
    path = remuxed(path, [0, 40, 40, 40, 80, 120, 160, 160, 200, 240], tmp_path / "b.mkv")
    assert indices(own_frames(path)) == list(range(10))
    assert indices(read_frames(path, fps=25, short_side=None)) == [0, 3, 4, 5, 7, 8, 9]


def test_frames_without_times_follow_the_rate_of_the_stream(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.h264", "libx264", TEN)
    with av.open(str(path)) as container:
        assert all(frame.pts is None for frame in container.decode(video=0))
        assert container.streams.video[0].average_rate == 25
    assert indices(read_frames(path, fps=12.5, short_side=None)) == [0, 2, 4, 6, 8, 9]


def test_joined_recordings_go_on_where_the_times_jump_back(tmp_path: Path) -> None:
    content = write_at(tmp_path / "a.ts", "libx264", range(0, 2000, 40)).read_bytes()
    frames = read_frames(content + content, fps=25, short_side=None)
    assert indices(frames) == [*range(50), *range(50)]


def test_sound_that_begins_in_mid_file_does_no_harm(tmp_path: Path) -> None:
    silent = write_at(tmp_path / "a.ts", "libx264", range(0, 2000, 40)).read_bytes()
    with_sound = write_at(tmp_path / "b.ts", "libx264", range(2000, 4000, 40), audio_s=2).read_bytes()
    for _ in range(20):  # PyAV looks at memory that is not its own here, so it does not always stumble
        assert len(own_frames(silent + with_sound, threads=1)) == 100


def test_a_size_that_changes_is_scaled_to_the_first(tmp_path: Path) -> None:
    small = write_at(tmp_path / "a.ts", "libx264", range(0, 2000, 40)).read_bytes()
    large = write_at(tmp_path / "b.ts", "libx264", range(2000, 3000, 40), width=64, height=96).read_bytes()
    frames = own_frames(small + large)
    assert frames.shape == (75, 32, 48, 3)
    assert np.abs(frames[50:].mean(axis=(1, 2, 3)) - brightness(np.arange(25))).max() < 2.5


@pytest.mark.parametrize("lost", [30, 33, 37, 40, 60])
def test_a_broadcast_recorded_from_its_middle_begins_at_a_key_frame(tmp_path: Path, lost: int) -> None:
    content = write_at(tmp_path / "a.ts", "libx264", range(0, 4000, 40), gop_size=12).read_bytes()
    frames = own_frames(content[lost * 188 :])
    found = indices(frames)
    assert 50 < len(found) < 100
    assert found == list(range(found[0], 100))


def test_frames_that_come_again_may_be_written_to(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", numbered(3), fps=5, crf=0)
    seen = []
    for frame in iterate_frames(tmp_path / "a.mp4", fps=25, short_side=None):
        seen.append(frame.copy())
        frame[:] = 0
    assert indices(seen) == indices(read_frames(tmp_path / "a.mp4", fps=25, short_side=None))


def test_a_file_in_memory_has_a_name_in_messages() -> None:
    with pytest.raises(VideoError, match=r"^<7 bytes>: cannot be read as video "):
        read_frames(b"no film")
    with pytest.raises(VideoError, match=r"^<BytesIO>: cannot be read as video "):
        read_frames(io.BytesIO(b"no film"))
