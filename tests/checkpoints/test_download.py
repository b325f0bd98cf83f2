import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from keras_i3d.checkpoints import cache as cache_module
from keras_i3d.checkpoints import download
from keras_i3d.checkpoints.catalogue import RemoteFile
from keras_i3d.errors import WeightsUnavailable

HELLO = RemoteFile("data/hello", "ce013625030ba8dba906f756967f9e9ca394464a", 6)
NOWHERE = "http://127.0.0.1:9/"
FETCH = (
    "import sys\nfrom keras_i3d.checkpoints import download\nfrom keras_i3d.checkpoints.catalogue import RemoteFile\n"
    "print(download.fetch(RemoteFile(sys.argv[1], sys.argv[2]), sys.argv[3]))\n"
)

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def big(served) -> RemoteFile:
    return RemoteFile("data/big", cache_module.git_blob_id(served.folder / "data/big"), len(served.content))


def fetch_elsewhere(file: RemoteFile, source: str, errors: Path) -> subprocess.Popen:
    """Fetch in another process, which writes its standard error to a file."""
    call = [sys.executable, "-c", FETCH, file.path, file.blob, source]
    with errors.open("wb") as file:
        return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=file, text=True)


def test_a_file_is_fetched_once_and_verified(served, cache) -> None:
    path = download.fetch(HELLO, served.address)
    assert (path, path.read_bytes()) == (cache / "data/hello", b"hello\n")
    assert download.fetch(HELLO, served.address) == path
    assert served.asked == [("/data/hello", None)]
    assert list(path.parent.iterdir()) == [path]


def test_another_content_is_refused_and_not_kept(served, cache) -> None:
    (served.folder / "data/hello").write_bytes(b"HELLO\n")
    message = (
        r"/hello was fetched but is not the published file: its git blob id is \w{40}, published is ce01.*discarded"
    )
    with pytest.raises(WeightsUnavailable, match=message):
        download.fetch(HELLO, served.address)
    assert list((cache / "data").iterdir()) == []


def test_a_file_put_there_by_hand_is_accepted_when_it_is_the_published_one(cache) -> None:
    (cache / "data").mkdir(parents=True)
    (cache / "data/hello").write_bytes(b"hello\n")
    assert download.fetch(HELLO, NOWHERE) == cache / "data/hello"
    (cache / "data/hello").write_bytes(b"hell")
    message = r"hello is not the published file \(its git blob id is \w{40}, published is ce01.*could not be fetched"
    with pytest.raises(WeightsUnavailable, match=message):
        download.fetch(HELLO, NOWHERE)


def test_a_damaged_file_of_the_cache_is_replaced(served, cache, caplog) -> None:
    path = download.fetch(HELLO, served.address)
    path.write_bytes(b"hell")
    assert download.fetch(HELLO, served.address).read_bytes() == b"hello\n"
    assert "is not the published file (its git blob id is" in caplog.text and "fetching it again" in caplog.text
    assert list(path.parent.iterdir()) == [path]


def test_a_cache_that_only_may_be_read_is_enough(open_folder, as_nobody, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(open_folder))
    path = open_folder / "keras_i3d/data/hello"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"hello\n")
    with as_nobody():
        assert download.fetch(HELLO, NOWHERE) == path
        with pytest.raises(WeightsUnavailable, match=r"other could not be written \(Permission denied\)"):
            download.fetch(replace(HELLO, path="data/other"), NOWHERE)


@pytest.mark.parametrize("source", [NOWHERE, "https://weights.invalid/"])
def test_without_a_network_the_error_says_what_to_do(cache, source) -> None:
    with pytest.raises(WeightsUnavailable) as caught:
        download.fetch(HELLO, source)
    message = str(caught.value)
    assert f"data/hello is wanted, but {cache}/data/hello is absent, and {source}data/hello could not be" in message
    for way in ("by hand", "KERAS_I3D_MIRROR", "keras-i3d weights download", "a checkpoint of your own"):
        assert way in message
    assert list((cache / "data").iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file", "http"])
def test_a_mirror_is_asked_in_place_of_the_source(served, cache, monkeypatch, kind) -> None:
    mirrors = {"folder": str(served.folder), "file": served.folder.as_uri(), "http": served.address}
    monkeypatch.setenv("KERAS_I3D_MIRROR", mirrors[kind])
    assert download.fetch(HELLO, NOWHERE).read_bytes() == b"hello\n"
    assert len(served.asked) == (kind == "http")
    message = r"data/absent is wanted, .*served/data/absent could not be fetched \(No such file"
    if kind != "http":
        with pytest.raises(WeightsUnavailable, match=message):
            download.fetch(replace(HELLO, path="data/absent"), NOWHERE)


def test_what_a_dropped_connection_left_is_kept_and_told(served, big, cache) -> None:
    served.drops = [100_000] * 4
    with pytest.raises(WeightsUnavailable, match=r"What came is kept in \S*\.big\.part and gone on from"):
        download.fetch(big, served.address)
    assert download.fetch(big, served.address).read_bytes() == served.content
    assert served.asked[-1] == ("/data/big", "bytes=400000-")


def test_a_killed_process_is_gone_on_from(served, big, cache, tmp_path, wait_until) -> None:
    served.stall = 600_000
    process = fetch_elsewhere(big, served.address, tmp_path / "errors")
    part = cache / "data/.big.part"
    wait_until(lambda: part.is_file() and part.stat().st_size >= 500_000)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (cache / "data/big").exists()
    served.go.set()

    kept = part.stat().st_size
    assert 500_000 <= kept <= 600_000
    served.stall = None
    assert download.fetch(big, served.address).read_bytes() == served.content
    assert [wanted for _, wanted in served.asked] == [None, f"bytes={kept}-"]
    assert served.sent[-1] == len(served.content) - kept
    assert {path.name for path in (cache / "data").iterdir()} == {"big"}


def test_a_process_killed_before_the_last_rename_leaves_nothing_to_fetch(served, big, cache) -> None:
    (cache / "data").mkdir(parents=True)
    (cache / "data/.big.part").write_bytes(served.content)
    assert download.fetch(big, NOWHERE).read_bytes() == served.content
    assert served.asked == []


@pytest.mark.parametrize("has_ranges", [True, False])
def test_pieces_of_two_files_are_not_put_together(served, big, cache, has_ranges) -> None:
    served.has_ranges = has_ranges
    (cache / "data").mkdir(parents=True)
    (cache / "data/.big.part").write_bytes(b"x" * 1000)
    assert download.fetch(big, served.address).read_bytes() == served.content
    assert [wanted for _, wanted in served.asked] == ["bytes=1000-", None][: 1 + has_ranges]


def test_four_processes_fetch_a_file_once(served, big, cache, tmp_path, wait_until) -> None:
    served.stall = 300_000
    errors = [tmp_path / f"errors {number}" for number in range(4)]
    processes = [fetch_elsewhere(big, served.address, path) for path in errors]
    wait_until(lambda: sum("waiting for it" in path.read_text() for path in errors) == 3)
    served.go.set()
    assert [process.communicate()[0] for process in processes] == [f"{cache / 'data/big'}\n"] * 4
    assert served.asked == [("/data/big", None)]
    assert {path.name for path in (cache / "data").iterdir()} == {"big"}


def test_an_archive_without_digest_is_recorded_at_the_first_use_and_compared_later(
    served, imagenet, cache, caplog, archive_of
) -> None:
    path = cache / imagenet.files[0].path
    assert download.checkpoint(imagenet) == cache / "inception_v1_2016_08_28/inception_v1.ckpt"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert download.record_path(path).read_text() == f"{digest}  {path.name}\n"
    assert f"its SHA-256 {digest} is recorded in" in caplog.text
    caplog.clear()
    assert download.checkpoint(imagenet).read_bytes() == served.content
    assert (len(served.asked), caplog.text) == (1, "")

    path.unlink()
    (served.folder / path.name).write_bytes(archive_of(served.content + b"x"))
    with pytest.raises(
        WeightsUnavailable, match=rf"its SHA-256 is \w{{64}}, at the first use it was {digest} \(.*sha256"
    ):
        download.checkpoint(imagenet)
    download.record_path(path).unlink()
    assert download.checkpoint(imagenet).read_bytes() == served.content + b"x"


def test_a_page_in_place_of_an_archive_is_refused(served, imagenet, cache) -> None:
    (served.folder / imagenet.files[0].path).write_text("<html>log in first</html>")
    with pytest.raises(WeightsUnavailable, match=r"gz was fetched but is not the published file: it is no readable"):
        download.checkpoint(imagenet)
    assert list(cache.iterdir()) == []


def test_weights_without_class_names_say_so(imagenet) -> None:
    message = "the weights 'imagenet' come without class names: none are published with their 1001 classes"
    with pytest.raises(WeightsUnavailable, match=message):
        download.class_names(imagenet)


def test_class_names_are_verified_and_counted(small_row) -> None:
    assert download.class_names(small_row) == ["hello"]
    with pytest.raises(WeightsUnavailable, match=r"hello: has 1 class names, the weights 'kinetics' 400"):
        download.class_names(replace(small_row, classes=400))
