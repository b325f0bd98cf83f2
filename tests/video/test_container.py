"""What a hostile file may not do: reach other files and addresses, or ask for more than the limits."""

import dataclasses
import io
import os
import socket
import threading
from pathlib import Path

import av
import pytest
from numbered_videos import indices, write_at

from keras_i3d.errors import VideoError
from keras_i3d.video import container
from keras_i3d.video.container import LimitExceeded, Limits, Stopwatch, StorageFailed
from keras_i3d.video.decode import iterate_frames, read_frames

TEN = range(0, 400, 40)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_at(tmp_path / "secret.ts", "libx264", TEN)


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile {name}\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" minBufferTime="PT1S" profiles="urn:mpeg:dash:profile:isoff-main:2011">'
    '<Period><AdaptationSet mimeType="video/mp2t"><Representation id="1" bandwidth="1"><BaseURL>{name}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat"])
def test_ffmpeg_by_itself_follows_a_playlist(video: Path, name: str) -> None:
    playlist = video.with_name(name)
    playlist.write_text(PLAYLISTS[name].format(name=video.name))
    with av.open(str(playlist)) as opened:  # or the test below would test nothing
        assert sum(1 for _ in opened.decode(video=0)) == 10


@pytest.mark.parametrize("ending", [".mp4", ""])
@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists_that_name_other_files_are_refused(video: Path, name: str, ending: str) -> None:
    playlist = video.with_name(name + ending)
    playlist.write_text(PLAYLISTS[name].format(name=video.name))
    message = r"cannot be read as video \((of no format of video that holds its own frames|Invalid data)"
    with pytest.raises(VideoError, match=message):
        read_frames(playlist)
    with pytest.raises(VideoError, match=message):
        read_frames(playlist.read_bytes())


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat", "list.mpd"])
@pytest.mark.parametrize("in_memory", [False, True])
def test_no_address_is_called(tmp_path: Path, name: str, in_memory: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        playlist = tmp_path / name
        playlist.write_text(PLAYLISTS[name].format(name=address))
        called = []

        def listen() -> None:
            connection, _ = server.accept()
            called.append(connection.recv(3))
            connection.close()

        listener = threading.Thread(target=listen)
        listener.start()
        with pytest.raises(VideoError, match="cannot be read as video"):
            read_frames(playlist.read_bytes() if in_memory else playlist)
        with socket.create_connection(server.getsockname()) as own:  # the first to call, after FFmpeg had its chance
            own.sendall(b"own")
            listener.join()
    assert called == [b"own"]


@pytest.mark.parametrize("name", ["concat:secret.ts|secret.ts", "file:secret.ts", "pipe:0", "http://127.0.0.1:9/a.mp4"])
def test_a_path_is_a_path_and_no_protocol(video: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(video.parent)
    with pytest.raises(VideoError, match=r"cannot be read as video \(No such file or directory\)$"):
        read_frames(name)


def test_pictures_are_no_videos(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a%d.png"), "w", format="image2") as opened:
        stream = opened.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        opened.mux(stream.encode(av.VideoFrame(16, 16, "rgb24")))
        opened.mux(stream.encode())
    with pytest.raises(VideoError, match=r"a1\.png: cannot be read as video \(of no format of video"):
        read_frames(tmp_path / "a1.png")
    with pytest.raises(VideoError, match="No such file or directory"):
        read_frames(tmp_path / "a%d.png")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=r"a\.mp4: is no file but a pipe or a device; they may never end$"):
        read_frames(tmp_path / "a.mp4")


def test_a_device_is_not_read() -> None:
    with pytest.raises(VideoError, match="/dev/zero: is no file but a pipe or a device"):
        read_frames("/dev/zero")


def test_a_ten_hour_video_and_a_frame_of_8k_are_within_the_limits() -> None:
    limits = Limits()
    assert limits.frames >= 10 * 3600 * 60
    assert limits.pixels >= 7680 * 4320
    assert limits.seconds >= 3600


@pytest.mark.parametrize("kind", ["frames", "pixels", "seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_above_nothing(kind: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^the limit of {kind} must be above 0, got {value}$"):
        Limits(**{kind: value})


def test_limits_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().frames = 1


@pytest.mark.parametrize("on_damage", [None, lambda reason: pytest.fail(reason)])
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"frames": 9},
            r"10 frames were decoded, the limit is 9 frames \(raise it by Limits\.frames, or --max-frames\)",
        ),
        (
            {"pixels": 1535},
            r"frames of 48x32, the limit is 1,535 pixels \(raise it by Limits\.pixels, or --max-pixels\)",
        ),
        ({"seconds": 1e-6}, r"(opening it was given up|0\.\d s for \d frames|reading was .*), the limit is 1e-06 "),
    ],
)
def test_a_file_above_a_limit_is_refused_and_never_kept(video: Path, limits: dict, message: str, on_damage) -> None:
    with pytest.raises(LimitExceeded, match=rf"secret\.ts: {message}"):
        read_frames(video, limits=Limits(**limits), on_damage=on_damage)


def test_a_file_at_its_limits_passes(video: Path) -> None:
    limits = Limits(frames=10, pixels=48 * 32, seconds=3600)
    assert len(read_frames(video, short_side=None, limits=limits)) == 10


def test_frames_that_are_repeated_to_a_rate_count(tmp_path: Path) -> None:
    slides = write_at(tmp_path / "slides.mp4", "libx264", [0, 30_000, 60_000])
    with pytest.raises(LimitExceeded, match=r"101 frames at 25 per second, the limit is 100 frames"):
        read_frames(slides, fps=25, short_side=16, limits=Limits(frames=100))


def test_a_frame_that_grows_in_mid_stream_meets_the_limit(tmp_path: Path) -> None:
    small = write_at(tmp_path / "a.h264", "libx264", TEN).read_bytes()
    large = write_at(tmp_path / "b.h264", "libx264", TEN, width=640, height=480).read_bytes()
    assert len(read_frames(small + large, fps=None, short_side=None)) == 20
    with pytest.raises(LimitExceeded, match=r"a frame of 640x480 after \d+ frames, the limit is 10,000 pixels"):
        read_frames(small + large, fps=None, short_side=16, limits=Limits(pixels=10_000), threads=1)


@pytest.mark.parametrize("short_side", [10_000, 2**40])
def test_frames_are_not_made_larger_than_the_limit(video: Path, short_side: int) -> None:
    with pytest.raises(LimitExceeded, match=rf"48x32 would be made \d+x{short_side}, the limit is 67,108,864 pixels"):
        read_frames(video, short_side=short_side)


def test_a_long_thin_frame_is_not_blown_up(tmp_path: Path) -> None:
    thread = write_at(tmp_path / "a.mkv", "ffv1", TEN, width=4000, height=1, pix_fmt="yuv444p")
    with pytest.raises(LimitExceeded, match=r"4000x1 would be made 1024000x256, the limit is "):
        read_frames(thread)


def test_the_time_of_the_reader_does_not_count(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(container.time, "monotonic", lambda: now[0])
    count = 0
    for _ in iterate_frames(video, limits=Limits(seconds=50)):
        now[0] += 100
        count += 1
    assert count == 10


def test_the_watch_counts_what_it_is_not_paused_in(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5.0]
    monkeypatch.setattr(container.time, "monotonic", lambda: now[0])
    watch = Stopwatch()
    now[0] = 7
    watch.pause()
    now[0] = 100
    watch.resume()
    now[0] = 101
    assert watch.seconds() == 3


class Failing(io.BytesIO):
    """A file on storage that is lost after some bytes."""

    name = "s3://bucket/a.ts"

    def read(self, size: int = -1) -> bytes:
        if self.tell() > 0:
            raise ConnectionResetError("the line is dead")
        return super().read(min(size, 4000))


@pytest.mark.parametrize("on_damage", [None, lambda reason: pytest.fail(reason)])
def test_storage_that_fails_is_no_damage_of_the_file(video: Path, on_damage) -> None:
    with pytest.raises(StorageFailed, match=r"^s3://bucket/a\.ts: cannot be read \(the line is dead\)$"):
        read_frames(Failing(video.read_bytes()), on_damage=on_damage)


class Lavish(io.BytesIO):
    def read(self, size: int = -1) -> bytes:
        return super().read(size + 1)


def test_a_file_that_gives_more_than_was_asked_for_is_refused(video: Path) -> None:
    with pytest.raises(StorageFailed, match=r"<Lavish>: reading \d+ bytes gave bytes of \d+$"):
        read_frames(Lavish(video.read_bytes()))


@pytest.mark.parametrize("source", [None, 5, io.StringIO("text"), object()])
def test_what_is_no_source_is_refused(source) -> None:
    with pytest.raises((ValueError, StorageFailed), match=r"a video is a path, bytes, or a binary|gave str"):
        read_frames(source)


def test_no_bytes_are_no_video() -> None:
    with pytest.raises(VideoError, match=r"^<0 bytes>: there are no bytes; a video is wanted$"):
        read_frames(b"")


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_at_least_one(video: Path, threads: int) -> None:
    with pytest.raises(ValueError, match=f"^threads must be at least 1, or None for FFmpeg's choice; got {threads}$"):
        read_frames(video, threads=threads)


def test_a_video_without_a_decoder_says_so(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.avi", "mpeg4", TEN)
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZZZ"))
    with pytest.raises(VideoError, match=r"a\.avi: holds no video that FFmpeg has a decoder for$"):
        read_frames(path)


def test_text_that_is_no_unicode_in_the_header_does_no_harm(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mkv", "mpeg4", TEN)
    content = path.read_bytes()
    assert content.count(b"Lavf") >= 2
    path.write_bytes(content.replace(b"Lavf", b"\xff\xfe\xfd\xfc"))
    assert indices(read_frames(path, short_side=None)) == list(range(10))
