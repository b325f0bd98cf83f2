import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dask_clusters import dask_cluster, wait_for
from written_records import contents, with_bad

from keras_i3d.datasets.dataset import VideoDataset
from keras_i3d.errors import ClusterError, OutputFolderError, RecordError, StorageError
from keras_i3d.records import making
from keras_i3d.records.clip_file import ClipReport, ClipTask
from keras_i3d.records.making import make_tfrecords
from keras_i3d.records.settings import RecordSettings
from keras_i3d.run_folder import claim
from keras_i3d.video.encode import write_video


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_number_of_workers_leaves_no_trace(
    dataset: VideoDataset, settings: RecordSettings, whole: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    make_tfrecords(dataset, tmp_path / "records", settings, workers=workers)
    written = contents(tmp_path / "records")
    written.pop("run.json")
    assert written == whole


def test_flow_and_bad_clips_leave_no_trace_of_the_workers_either(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    bad = with_bad(dataset, 1, path=tmp_path / "absent.mp4")
    settings = replace(settings, flow="tvl1", store="video")
    made = [make_tfrecords(bad, tmp_path / str(n), settings, workers=n) for n in (0, 2)]
    assert made[0] == made[1]
    assert contents(tmp_path / "0") == contents(tmp_path / "2")


def test_when_no_clip_can_be_read_nothing_is_left(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    bad = with_bad(dataset, *range(7), path=tmp_path / "absent.mp4")
    with pytest.raises(RecordError, match=r"^not one of 7 clips could be written"):
        make_tfrecords(bad, tmp_path / "records", settings, workers=0)
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_kills_its_reader_is_skipped(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    task = ClipTask(dataset.clips[0], 0, "folder", settings, str(tmp_path))
    report = making.lost(task)
    assert report.clip == dataset.clips[0].id
    assert report.skipped.startswith(f"{dataset.clips[0].path}: every process that read it died")


def test_workers_below_none_are_refused(dataset: VideoDataset, settings: RecordSettings, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^workers must be at least 0, got -1$"):
        make_tfrecords(dataset, tmp_path / "records", settings, workers=-1)
    with pytest.raises(ValueError, match=r"^workers are processes of this machine, and a scheduler has .* name one$"):
        make_tfrecords(dataset, tmp_path / "records", settings, workers=1, scheduler="tcp://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_on_one_folder_refuses(dataset: VideoDataset, settings: RecordSettings, tmp_path: Path) -> None:
    make_tfrecords(dataset, tmp_path / "records", settings, workers=0)
    claimed = json.loads((tmp_path / "records/run.json").read_text())["settings"]
    assert not set(making.TOLERANCES) & set(claimed)
    with (
        claim(tmp_path / "records", "make-tfrecords", claimed),
        pytest.raises(OutputFolderError, match=r"another run is writing here"),
    ):
        make_tfrecords(dataset, tmp_path / "records", settings, workers=0)


def test_flow_of_another_opencv_is_not_mixed_in(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    settings = replace(settings, flow="dis", short_side=32)
    make_tfrecords(dataset, tmp_path / "records", settings, workers=0)
    claim_file = tmp_path / "records/run.json"
    claim_file.write_text(claim_file.read_text().replace('"opencv": "', '"opencv": "1.'))
    with pytest.raises(OutputFolderError, match=r"with other settings \(opencv '1\."):
        make_tfrecords(dataset, tmp_path / "records", settings, workers=0)


def test_a_full_disk_is_told_and_loses_nothing(
    dataset: VideoDataset, settings: RecordSettings, whole: dict[str, bytes], tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        with pytest.raises((OutputFolderError, StorageError), match=r"small/.*No space left on device"):
            make_tfrecords(dataset, small / "records", settings, workers=1)
        kept = {name: content for name, content in files(small / "records").items() if name.endswith("tfrecord")}
        assert all(whole[name] == content for name, content in kept.items())
        subprocess.run(["mount", "-o", "remount,size=4m", str(small)], check=True)
        make_tfrecords(dataset, small / "records", settings, workers=1)
        written = contents(small / "records")
        written.pop("run.json")
        assert written == whole
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """Return the address of a Dask scheduler on loopback, and its three workers."""
    with dask_cluster(tmp_path, 3) as started:
        yield started


def test_a_dask_cluster_that_loses_a_worker_writes_the_same(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path, cluster: tuple[str, list[subprocess.Popen]]
) -> None:
    address, workers = cluster
    many = [replace(clip, name=f"{number}/{clip.name}") for number in range(20) for clip in dataset.clips]
    many = replace(dataset, clips=tuple(many))
    make_tfrecords(many, tmp_path / "alone", settings, workers=2)
    done = []

    def kill_one_on_the_way(report: ClipReport) -> None:
        done.append(report)
        if len(done) == 20:
            workers[0].kill()

    (tmp_path / "cluster").mkdir()
    make_tfrecords(many, tmp_path / "cluster", settings, scheduler=address, on_clip=kill_one_on_the_way)
    assert len(done) == 140
    assert workers[0].wait(10) != 0
    assert all(worker.poll() is None for worker in workers[1:])
    assert contents(tmp_path / "cluster") == contents(tmp_path / "alone")


def test_without_a_scheduler_nothing_is_left(dataset: VideoDataset, settings: RecordSettings, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    with pytest.raises(ClusterError, match="no Dask scheduler answers at"):
        make_tfrecords(dataset, tmp_path / "records", settings, scheduler="tcp://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_does_not_see_the_videos_is_told(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    tally = making.Tally(SilentBar(), dataset, settings)
    gone = ClipReport(dataset.clips[0].id, skipped="a.mp4: cannot be read as video (No such file or directory)")
    with pytest.raises(ClusterError, match=rf"^a worker does not find {dataset.clips[0].path}, which is there"):
        tally.add(gone)
    absent = making.Tally(SilentBar(), with_bad(dataset, 0, path=tmp_path / "absent.mp4"), RecordSettings())
    absent.add(gone)


def test_workers_of_other_versions_are_told(dataset: VideoDataset) -> None:
    message = r"^a worker has av 1, opencv 2 where this machine has av .*; records must be made with the same"
    with pytest.raises(ClusterError, match=message):
        making.Tally(SilentBar(), dataset, RecordSettings()).add(
            ClipReport(dataset.clips[0].id, made_with="av 1, opencv 2")
        )


class SilentBar:
    def note(self, text: str) -> None:
        assert "frames/s" in text

    def advance(self) -> None:
        pass


def test_a_script_without_a_main_guard_is_told_so(dataset: VideoDataset, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, keras_i3d\n"
        "clips = keras_i3d.datasets.read_folder(sys.argv[1])\n"
        "keras_i3d.make_tfrecords(clips, sys.argv[2], keras_i3d.RecordSettings(short_side=16), workers=1)\n"
    )
    videos = Path(dataset.clips[0].path).parents[1]
    command = [sys.executable, str(script), str(videos), str(tmp_path / "records")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ClusterError: worker processes die as they start" in done.stderr
    assert not (tmp_path / "records").exists()


def test_interrupted_workers_do_not_finish_what_they_are_at(dataset: VideoDataset, tmp_path: Path) -> None:
    """Ctrl-C in the middle of flow that takes minutes: the run ends at once, and no process stays."""
    videos = tmp_path / "videos/a"
    videos.mkdir(parents=True)
    for number in range(2):
        frames = np.random.default_rng(number).integers(0, 256, (250, 256, 256, 3), np.uint8)
        write_video(videos / f"{number}.mp4", frames, fps=25, crf=40)
    # where the tests run in the background of a shell, all that they start ignores SIGINT
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from keras_i3d import cli; sys.exit(cli.main())"
    command = [sys.executable, "-c", program, "make-tfrecords", "--folder", videos.parent, "--flow", "opencv"]
    run = subprocess.Popen(
        [*command, "--output", tmp_path / "records", "--workers", "2"], stderr=subprocess.PIPE, start_new_session=True
    )
    wait_for(lambda: list((tmp_path / "records").glob(".unfinished/.writing-*")))
    run.send_signal(signal.SIGINT)
    _, error = run.communicate(timeout=30)
    assert run.returncode == 1
    assert error.decode().endswith("make-tfrecords: interrupted\n")
    listing = subprocess.run(["ps", "-eo", "sid=,stat="], check=True, capture_output=True, text=True).stdout
    alive = [line.split() for line in listing.splitlines()]
    assert not [row for row in alive if row[0] == str(run.pid) and not row[1].startswith("Z")]
