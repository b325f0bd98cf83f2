import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from keras_i3d import lock
from keras_i3d.errors import OutputFolderError
from keras_i3d.run_folder import CLAIM, claim


class Failure(Exception):
    """Stands for whatever goes wrong in a run."""


@pytest.mark.parametrize("name", [".", "new", "far/away/new"])
def test_a_new_or_empty_folder_is_claimed(tmp_path: Path, name: str) -> None:
    with claim(tmp_path / name, "train", {"epochs": 3}) as folder:
        assert folder == tmp_path / name
        assert [path.name for path in folder.iterdir()] == [CLAIM] == ["run.json"]
        assert json.loads((folder / CLAIM).read_text()) == {"command": "train", "settings": {"epochs": 3}}
    assert (folder / CLAIM).is_file()


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    with claim(str(tmp_path / "run"), "train", {}) as folder:
        assert folder == tmp_path / "run"


def test_the_same_run_goes_on(tmp_path: Path) -> None:
    settings = {"epochs": 3, "seed": None, "sizes": (1, 2), "name": "läuft"}
    for number in range(3):
        with claim(tmp_path / "run", "train", settings) as folder:
            (folder / f"{number}.txt").touch()
    assert {path.name for path in folder.iterdir()} == {CLAIM, "0.txt", "1.txt", "2.txt"}


def test_the_order_of_settings_does_not_matter(tmp_path: Path) -> None:
    with claim(tmp_path, "train", {"a": 1, "b": 2}):
        pass
    with claim(tmp_path, "train", {"b": 2, "a": 1}):
        pass


def claimed(folder: Path, content: str | None = None) -> None:
    """Let a run of `train` have been there."""
    folder.mkdir(exist_ok=True)
    (folder / CLAIM).write_text(content or json.dumps({"command": "train", "settings": {"epochs": 3, "seed": 0}}))
    (folder / "last.keras").touch()


@pytest.mark.parametrize(
    ("command", "settings", "message"),
    [
        ("evaluate", {"epochs": 3, "seed": 0}, r"holds a run of `train`, not of `evaluate`"),
        (
            "train",
            {"epochs": 4, "seed": 0},
            r"holds a run of `train` with other settings \(epochs 3 there, 4 asked\)",
        ),
        (
            "train",
            {"epochs": 4, "seed": "x"},
            r"holds a run of `train` with other settings \(epochs 3 there, 4 asked, seed 0 there, 'x' asked\)",
        ),
        ("train", {"epochs": 3}, r"holds a run of `train` with other settings \(seed 0 there, None asked\)"),
        (
            "train",
            {"epochs": 3, "seed": 0, "size": 64},
            r"holds a run of `train` with other settings \(size None there, 64 asked\)",
        ),
        (
            "train",
            {"a": 1, "b": 1, "c": 1, "d": 1, "epochs": 3, "seed": 0},
            r"holds a run of `train` with other settings "
            r"\(a None there, 1 asked, b None there, 1 asked, c None there, 1 asked\)",
        ),
    ],
)
def test_another_run_is_refused_and_left_as_it_is(tmp_path: Path, command: str, settings: dict, message: str) -> None:
    claimed(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with (
        pytest.raises(OutputFolderError, match=rf"^{tmp_path}: {message}; choose another one or delete it$"),
        claim(tmp_path, command, settings),
    ):
        pytest.fail("the block must not run")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_settings_within_settings_are_named_by_their_path(tmp_path: Path) -> None:
    with claim(tmp_path, "train", {"recipe": {"size": 64, "seed": 0}, "dataset": "x"}):
        pass
    message = r"with other settings \(dataset 'x' there, 'y' asked, recipe\.size 64 there, 32 asked\)"
    with (
        pytest.raises(OutputFolderError, match=message),
        claim(tmp_path, "train", {"recipe": {"size": 32, "seed": 0}, "dataset": "y"}),
    ):
        pytest.fail("the block must not run")


def test_a_setting_that_is_new_and_none_is_named(tmp_path: Path) -> None:
    claimed(tmp_path)
    with (
        pytest.raises(OutputFolderError, match=r"with other settings \(size "),
        claim(tmp_path, "train", {"epochs": 3, "seed": 0, "size": None}),
    ):
        pytest.fail("the block must not run")


FOREIGN = (
    r": holds files that are no run of this command; the output folder must be new, empty, or a run of `train` with "
    r"the same settings$"
)


@pytest.mark.parametrize("name", ["photo.jpg", ".hidden", "folder/photo.jpg"])
def test_a_folder_of_other_files_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(OutputFolderError, match=FOREIGN), claim(tmp_path, "train", {}):
        pytest.fail("the block must not run")
    assert not (tmp_path / CLAIM).exists()


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"command": "train"}', '{"settings": {}}', "\0"])
def test_a_claim_that_cannot_be_read_is_no_run(tmp_path: Path, content: str) -> None:
    claimed(tmp_path, content)
    with pytest.raises(OutputFolderError, match=FOREIGN), claim(tmp_path, "train", {}):
        pytest.fail("the block must not run")
    assert (tmp_path / CLAIM).read_text() == content


@pytest.mark.parametrize("settings", ["3", "[]", "null", '"text"'])
def test_a_claim_with_damaged_settings_is_no_run(tmp_path: Path, settings: str) -> None:
    claimed(tmp_path, f'{{"command": "train", "settings": {settings}}}')
    with pytest.raises(OutputFolderError, match=FOREIGN), claim(tmp_path, "train", {"epochs": 3}):
        pytest.fail("the block must not run")


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    message = r"run: cannot be used as output folder \(File exists\)$"
    with pytest.raises(OutputFolderError, match=message), claim(tmp_path / "run", "train", {}):
        pytest.fail("the block must not run")


def test_a_file_above_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"file/run: cannot be used as output folder \(Not a directory\)$"
    with pytest.raises(OutputFolderError, match=message), claim(tmp_path / "file/run", "train", {}):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("name", [".", "new"])
def test_a_folder_that_may_not_be_written_is_told(open_folder: Path, name: str, as_nobody) -> None:
    open_folder.chmod(0o555)
    message = r": cannot be used as output folder \(Permission denied\)$"
    with as_nobody(), pytest.raises(OutputFolderError, match=message), claim(open_folder / name, "train", {}):
        pytest.fail("the block must not run")
    open_folder.chmod(0o755)


def test_a_folder_in_one_that_may_not_be_entered_is_told(open_folder: Path, as_nobody) -> None:
    (open_folder / "closed").mkdir(mode=0o000)
    message = r"closed/run: cannot be used as output folder \(Permission denied\)$"
    with as_nobody(), pytest.raises(OutputFolderError, match=message), claim(open_folder / "closed/run", "train", {}):
        pytest.fail("the block must not run")
    (open_folder / "closed").chmod(0o755)


@pytest.mark.parametrize("error", [Failure, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_with_nothing_done_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), claim(tmp_path / "new", "train", {}):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(Failure), claim(tmp_path / "old", "train", {}):
        raise Failure
    assert list((tmp_path / "old").iterdir()) == []


def test_what_a_failing_block_has_done_stays_claimed(tmp_path: Path) -> None:
    with pytest.raises(Failure), claim(tmp_path / "run", "train", {"epochs": 3}) as folder:
        (folder / "half.txt").touch()
        raise Failure
    assert {path.name for path in folder.iterdir()} == {CLAIM, "half.txt"}
    with claim(tmp_path / "run", "train", {"epochs": 3}):
        pass


def test_the_error_of_a_block_is_the_one_that_comes_out(tmp_path: Path) -> None:
    with pytest.raises(Failure), claim(tmp_path / "run", "train", {}) as folder:
        (folder / CLAIM).unlink()
        folder.rmdir()
        raise Failure


HOLD = """
import sys
from keras_i3d.run_folder import claim
with claim(sys.argv[1], "train", {}):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def running(tmp_path: Path):
    """Return a process in which a run of `train` is at work in the folder `run`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize(("command", "settings"), [("train", {}), ("train", {"epochs": 3}), ("export", {})])
def test_a_second_run_refuses_and_leaves_the_first_alone(tmp_path: Path, running, command: str, settings) -> None:
    (tmp_path / "run/.writing-abc-shard").touch()
    who = f"process {running.pid} on {socket.gethostname()}" if Path("/proc/locks").exists() else "on another .*"
    message = (
        rf"^{tmp_path}/run: another run is writing here \({who} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\); "
        "wait for it, or choose another folder$"
    )
    with pytest.raises(OutputFolderError, match=message), claim(tmp_path / "run", command, settings):
        pytest.fail("the block must not run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".writing-abc-shard", CLAIM]


def test_a_run_that_was_killed_does_not_hold_its_folder(tmp_path: Path, running) -> None:
    running.kill()
    running.wait()
    (tmp_path / "run/.writing-abc-shard").touch()
    with claim(tmp_path / "run", "train", {}) as folder:
        assert [path.name for path in folder.iterdir()] == [CLAIM]


def test_a_run_within_a_run_of_the_same_folder_refuses(tmp_path: Path) -> None:
    with (
        claim(tmp_path, "train", {}),
        claim(tmp_path / "inner", "train", {}),
        pytest.raises(OutputFolderError, match="another run is writing here"),
        claim(tmp_path, "train", {}),
    ):
        pytest.fail("the block must not run")


def test_a_holder_that_cannot_be_seen_is_on_another_machine(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(lock, "holder", lambda path: None)
    with (
        claim(tmp_path, "train", {}),
        pytest.raises(
            OutputFolderError, match=r"another run is writing here \(on another machine or in another container since "
        ),
        claim(tmp_path, "train", {}),
    ):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("left", [[CLAIM], [CLAIM, ".writing-abc-shard"]])
def test_a_claim_that_a_killed_process_had_not_written_yet_is_written(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).touch()
    with claim(tmp_path, "train", {}) as folder:
        assert json.loads((folder / CLAIM).read_text()) == {"command": "train", "settings": {}}
        assert [path.name for path in folder.iterdir()] == [CLAIM]


def test_an_empty_claim_among_other_files_is_no_run(tmp_path: Path) -> None:
    (tmp_path / CLAIM).touch()
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(OutputFolderError, match=FOREIGN), claim(tmp_path, "train", {}):
        pytest.fail("the block must not run")


def test_other_settings_leave_a_claim_with_nothing_beside_it(tmp_path: Path) -> None:
    with claim(tmp_path, "train", {"epochs": 3}):
        pass
    with pytest.raises(OutputFolderError, match="epochs 3 there, 4 asked"), claim(tmp_path, "train", {"epochs": 4}):
        pytest.fail("the block must not run")
    assert json.loads((tmp_path / CLAIM).read_text())["settings"] == {"epochs": 3}


def test_a_disk_that_is_full_from_the_start_leaves_no_half_claim(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys\nfrom keras_i3d.run_folder import claim\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n"
        "with claim(sys.argv[1], 'train', {}): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "run")], capture_output=True, text=True)
    assert "OutputFolderError" in done.stderr and "run: cannot be used as output folder (No space left" in done.stderr
    assert list((tmp_path / "run").iterdir()) == []


def test_a_finished_run_may_lie_where_nothing_can_be_written(open_folder: Path, as_nobody) -> None:
    with claim(open_folder, "train", {}):
        pass
    open_folder.chmod(0o555)
    with as_nobody(), claim(open_folder, "train", {}) as folder:
        assert folder == open_folder
    open_folder.chmod(0o755)


def test_a_local_folder_may_be_given_as_url(tmp_path: Path) -> None:
    with claim(f"file://{tmp_path}/run", "train", {}) as folder:
        assert folder == tmp_path / "run"


@pytest.mark.parametrize("url", ["s3://bucket/run", "gs://bucket/run", "http://host/run"])
def test_a_command_that_writes_to_this_machine_alone_refuses_a_url(url: str) -> None:
    message = rf"^{url}: `train` writes to a folder of this machine, not to a URL$"
    with pytest.raises(OutputFolderError, match=message), claim(url, "train", {}):
        raise AssertionError
