"""The same functions on S3, Google's storage, and fsspec's memory and local systems."""

import json
import uuid
from pathlib import Path

import pytest

from keras_i3d import storage
from keras_i3d.errors import OutputFolderError, StorageError
from keras_i3d.run_folder import CLAIM, claim

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # gcsfs does

CONTENT = bytes(range(251)) * 40_000  # ten megabytes, no two chunks alike
STRANGE = "sub folder/a#b (1)!;[x].avi"  # as in HMDB-51


@pytest.fixture(params=["s3", "gs", "memory", "local"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a folder that is not there yet."""
    if request.param in ("s3", "gs"):
        return request.getfixturevalue(request.param)
    return {"memory": f"memory://{uuid.uuid4().hex}", "local": f"local://{tmp_path}/new"}[request.param]


def test_a_folder_is_written_and_read_back(folder: str) -> None:
    strange = STRANGE.replace(";", "") if folder.startswith("gs") else STRANGE  # the emulator cuts names there
    storage.make_folder(folder)
    storage.make_folder(storage.join(folder, "sub folder"))
    storage.write_json(storage.join(folder, "manifest.json"), {"clips": 3})
    storage.write_text(storage.join(folder, strange), "läuft")
    assert list(storage.walk(folder)) == ["manifest.json", strange]
    assert storage.listing(folder) == ["manifest.json", "sub folder"]
    assert storage.listing(f"{folder}/") == ["manifest.json", "sub folder"]
    assert json.loads(storage.read_text(storage.join(folder, "manifest.json"))) == {"clips": 3}
    assert storage.read_bytes(storage.join(folder, strange)) == "läuft".encode()
    assert storage.size(storage.join(folder, strange)) == 6
    assert storage.exists(folder) and storage.exists(storage.join(folder, strange))
    assert storage.is_folder(folder) and not storage.is_folder(storage.join(folder, strange))


def test_what_was_replaced_or_removed_is_seen_at_once(folder: str) -> None:
    path = storage.join(folder, "file")
    storage.make_folder(folder)
    assert not storage.exists(path)
    for text in ("first", "the second, longer"):
        storage.write_text(path, text)
        assert (storage.read_text(path), storage.size(path)) == (text, len(text))
        assert storage.listing(folder) == ["file"]
    for _ in range(2):
        storage.remove(path)
        assert not storage.exists(path)


def test_a_file_appears_when_its_block_has_ended_well(folder: str) -> None:
    path = storage.join(folder, "a.tfrecord")
    storage.make_folder(folder)
    with pytest.raises(KeyError), storage.replacing(path) as aside:
        aside.write_bytes(b"half")
        raise KeyError
    assert not aside.parent.exists() and not storage.exists(path)
    with storage.replacing(path) as aside:
        assert isinstance(aside, Path) and aside.suffix == ".tfrecord"
        aside.write_bytes(CONTENT)
        assert not storage.exists(path)
    assert not aside.parent.exists()
    assert storage.read_bytes(path) == CONTENT
    assert storage.listing(folder) == ["a.tfrecord"]


def test_a_file_is_read_piece_by_piece_or_copied(folder: str) -> None:
    path = storage.join(folder, "a.avi")
    storage.make_folder(folder)
    with storage.replacing(path) as aside:
        aside.write_bytes(CONTENT)
    with storage.open_reading(path) as file:
        assert file.seekable()
        assert file.read(4) == CONTENT[:4]
        assert file.seek(-3, 2) == len(CONTENT) - 3
        assert file.read() == CONTENT[-3:]
        assert (file.seek(7_000_000), file.tell()) == (7_000_000, 7_000_000)
        assert file.read(10) == CONTENT[7_000_000:7_000_010]
        file.seek(0)
        assert file.read() == CONTENT
    with storage.local_copy(path) as copy:
        assert (copy.name, copy.read_bytes()) == ("a.avi", CONTENT)
    assert not copy.parent.exists()


def test_absent_files_are_told(folder: str) -> None:
    storage.make_folder(folder)
    path = storage.join(folder, "absent")
    for ask in (storage.size, storage.read_bytes, storage.read_text, storage.cached_copy):
        with pytest.raises(StorageError, match=rf"^{path}: no such file or folder$"):
            ask(path)
    for manager in (storage.open_reading, storage.local_copy):
        with pytest.raises(StorageError, match=rf"^{path}: no such file or folder$"), manager(path):
            pytest.fail("there is none")


def test_absent_folders_are_told_but_in_buckets_where_none_are_made(folder: str) -> None:
    storage.make_folder(folder)
    assert storage.listing(folder) == list(storage.walk(folder)) == []
    path = storage.join(folder, "absent")
    if folder.startswith(("s3", "gs")):
        assert storage.listing(path) == list(storage.walk(path)) == []
        return
    for ask in (storage.listing, lambda path: list(storage.walk(path))):
        with pytest.raises(StorageError, match=rf"^{path}: no such file or folder$"):
            ask(path)


def test_a_folder_is_no_file(folder: str) -> None:
    storage.make_folder(storage.join(folder, "sub"))
    storage.write_text(storage.join(folder, "sub/a"), "x")
    with pytest.raises(StorageError, match=rf"^{folder}/sub: is a folder$"):
        storage.size(storage.join(folder, "sub"))


def test_a_copy_is_kept_until_the_file_changes(folder: str) -> None:
    path = storage.join(folder, "x-00000-of-00001.tfrecord")
    storage.make_folder(folder)
    storage.write_text(path, "first")
    copy = storage.cached_copy(path)
    assert (copy.read_text(), copy.suffix) == ("first", ".tfrecord")
    copy.write_text("kept")  # shows that it is not fetched again
    assert storage.cached_copy(path) == copy and copy.read_text() == "kept"
    storage.write_text(path, "second")
    newer = storage.cached_copy(path)
    assert newer.read_text() == "second"
    assert list(newer.parent.iterdir()) == [newer]


def test_an_output_folder_is_claimed_and_found_again(folder: str) -> None:
    for _ in range(2):
        with claim(folder, "make-tfrecords", {"fps": 25}, may_be_remote=True) as claimed:
            assert claimed == folder
            storage.write_text(storage.join(claimed, "shard"), "x")
    assert storage.listing(folder) == [CLAIM, "shard"]
    message = rf"^{folder}: holds a run of `make-tfrecords` with other settings \(fps 25 there, 30 asked\); "
    with (
        pytest.raises(OutputFolderError, match=message),
        claim(folder, "make-tfrecords", {"fps": 30}, may_be_remote=True),
    ):
        pytest.fail("the block must not run")


def test_a_block_that_fails_with_nothing_done_leaves_no_claim(folder: str) -> None:
    with pytest.raises(KeyError), claim(folder, "train", {}, may_be_remote=True):
        raise KeyError
    assert not storage.exists(storage.join(folder, CLAIM))


@pytest.mark.parametrize("content", ["photo.jpg", CLAIM])
def test_a_folder_of_other_files_is_not_claimed(folder: str, content: str) -> None:
    storage.make_folder(folder)
    storage.write_text(storage.join(folder, content), "something else")
    with (
        pytest.raises(OutputFolderError, match=rf"^{folder}: holds files that are no run of this command"),
        claim(folder, "train", {}, may_be_remote=True),
    ):
        pytest.fail("the block must not run")
    assert storage.listing(folder) == [content]
