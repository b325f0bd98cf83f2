import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_i3d import storage
from keras_i3d.errors import MissingDependency, StorageError


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("clips", False),
        ("/clips/a.avi", False),
        ("C:\\clips", False),
        ("a:b", False),
        ("a::b/c", False),
        (Path("/clips"), False),
        ("s3://bucket", True),
        ("https://host/a", True),
        ("S3://bucket/a", True),
        ("file:///clips", True),
        ("filecache::s3://bucket/a", True),
    ],
)
def test_urls_are_told_from_paths(path: str | Path, remote: bool) -> None:
    assert storage.is_remote(path) is remote


def test_a_url_that_pathlib_has_spoilt_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a URL must be given as text, .*; got PosixPath\('s3:/bucket/a'\)"):
        storage.exists(Path("s3://bucket/a"))
    assert not storage.exists(Path("absent/s3:/bucket")) and not storage.exists(Path("c:/a"))


def test_names_are_put_behind_folders() -> None:
    assert storage.join("a", "b/c", "d") == "a/b/c/d"
    assert storage.join(Path("/a"), "b") == "/a/b"
    assert storage.join("s3://bucket/a/", "b c#.avi") == "s3://bucket/a/b c#.avi"
    assert storage.join("s3://bucket", "b/", "/c") == "s3://bucket/b/c"
    assert storage.join("http://host/a", "b c#.avi") == "http://host/a/b%20c%23.avi"
    assert storage.join("file:///a", "b c") == "file:///a/b c"


@pytest.fixture(params=["path", "str", "url"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Return one folder in three spellings."""
    return {"path": tmp_path, "str": str(tmp_path), "url": f"file://{tmp_path}"}[request.param]


def test_local_files_need_no_package(folder: str | Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    storage.make_folder(storage.join(folder, "a/b"))
    storage.make_folder(storage.join(folder, "a/b"))
    storage.write_text(storage.join(folder, "a/b/c.txt"), "läuft")
    storage.write_json(storage.join(folder, "a.json"), {"x": 1})
    assert (tmp_path / "a.json").read_text() == '{\n  "x": 1\n}\n'
    assert list(storage.walk(folder)) == ["a.json", "a/b/c.txt"]
    assert storage.listing(folder) == ["a", "a.json"]
    assert storage.is_folder(folder) and not storage.is_folder(storage.join(folder, "a.json"))
    assert storage.exists(storage.join(folder, "a")) and not storage.exists(storage.join(folder, "b"))
    assert storage.size(storage.join(folder, "a/b/c.txt")) == 6
    assert storage.read_text(storage.join(folder, "a/b/c.txt")) == "läuft"
    with storage.open_reading(storage.join(folder, "a/b/c.txt")) as file:
        assert (file.seek(1), file.read(2)) == (1, "ä".encode())
    with storage.local_copy(storage.join(folder, "a.json")) as copy:
        assert copy == tmp_path / "a.json"
    for _ in range(2):
        storage.remove(storage.join(folder, "a.json"))
    assert list(storage.walk(folder)) == ["a/b/c.txt"]


def test_a_local_file_appears_when_its_block_has_ended_well(folder: str | Path, tmp_path: Path) -> None:
    path = storage.join(folder, "shard")
    with pytest.raises(KeyError), storage.replacing(path) as aside:
        assert aside.parent == tmp_path
        aside.write_text("half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with storage.replacing(path) as aside:
        aside.write_text("whole")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("shard", "whole")]


def test_links_to_folders_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    (tmp_path / "data/class").mkdir(parents=True)
    (tmp_path / "data/class/a.avi").touch()
    (tmp_path / "data/again").symlink_to(tmp_path / "data/class")
    (tmp_path / "data/class/up").symlink_to(tmp_path / "data")
    assert list(storage.walk(tmp_path / "data")) == ["again/a.avi", "class/a.avi"]


def test_what_goes_wrong_with_local_files_is_one_line(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    for ask in (storage.size, storage.read_bytes, storage.listing, lambda path: list(storage.walk(path))):
        with pytest.raises(StorageError, match=rf"^{absent}: No such file or directory$"):
            ask(absent)
    for manager in (storage.open_reading, storage.local_copy):
        with pytest.raises(StorageError, match=rf"^{absent}: No such file or directory$"), manager(absent):
            pytest.fail("there is none")
    with pytest.raises(StorageError, match=rf"^{absent}/a: No such file or directory$"):
        storage.write_text(absent / "a", "x")
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(StorageError, match=r"file: is not text in UTF-8 \(.*byte 0xff"):
        storage.read_text(tmp_path / "file")
    with pytest.raises(StorageError, match=r"file/a: Not a directory$"):
        storage.make_folder(tmp_path / "file/a")


def test_a_local_folder_that_may_not_be_entered_is_told(open_folder: Path, as_nobody) -> None:
    (open_folder / "closed").mkdir(mode=0o000)
    path = open_folder / "closed/a"
    with as_nobody():
        for ask in (storage.exists, storage.remove, lambda path: list(storage.walk(path.parent))):
            with pytest.raises(StorageError, match=r"closed.*: Permission denied$"):
                ask(path)


@pytest.mark.parametrize(
    ("url", "missing", "message"),
    [
        ("s3://b/a", "fsspec", r"remote storage needs the package fsspec, .*pip install 'keras-i3d\[remote\]'"),
        ("s3://b/a", "s3fs", r"^storage at s3:// needs the package s3fs, .*pip install 'keras-i3d\[remote\]'"),
        ("gs://b/a", "gcsfs", r"^storage at gs:// needs the package gcsfs, .*pip install 'keras-i3d\[remote\]'"),
        ("https://h/a", "aiohttp", r"^reading from http:// and https:// needs the package aiohttp, .*\[remote\]'"),
    ],
)
def test_a_missing_package_is_named_with_its_pip_line(url: str, missing: str, message: str, monkeypatch) -> None:
    if missing != "fsspec":
        pytest.importorskip("fsspec")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDependency, match=message):
        storage.exists(url)


def test_a_kind_of_storage_that_the_extra_does_not_bring_names_its_package() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(MissingDependency, match=r"^abfs://b/a: .*adlfs"):
        storage.exists("abfs://b/a")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch) -> str:
    """Return the URL of a file in memory, with a cache of the test's own."""
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    fsspec.filesystem("memory").pipe_file("/storage/shard", b"content")
    return "memory://storage/shard"


def test_a_cache_that_cannot_be_written_is_told(memory: str, tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    message = (
        rf"^{memory}: no copy could be kept in {tmp_path}/home/keras_i3d/remote \(Not a directory\); make room or give "
        "the right to write there, or set KERAS_HOME to another folder$"
    )
    with pytest.raises(StorageError, match=message):
        storage.cached_copy(memory)


def test_a_full_disk_leaves_no_copy(memory: str, tmp_path: Path) -> None:
    script = (
        "import fsspec, resource, signal\nfrom keras_i3d import storage\n"
        "fsspec.filesystem('memory').pipe_file('/a', b'x' * 1000)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "storage.cached_copy('memory://a')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ)
    assert "StorageError: memory://a: " in done.stderr.splitlines()[-1]
    assert list((tmp_path / "home/keras_i3d/remote").iterdir()) == []


def test_json_goes_there_and_back(memory: str) -> None:
    storage.write_json("memory://storage/a.json", {"clips": [1]})
    assert json.loads(storage.read_text("memory://storage/a.json")) == {"clips": [1]}


def test_a_local_path_is_made_absolute_and_a_url_stays(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("a/b.mp4") == f"{tmp_path}/a/b.mp4"
    assert storage.absolute(Path("a")) == tmp_path / "a"
    assert storage.absolute("s3://bucket/a") == "s3://bucket/a"
