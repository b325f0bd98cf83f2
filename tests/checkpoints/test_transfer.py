import socket
import subprocess
import sys
from pathlib import Path

import pytest

from keras_i3d.checkpoints import transfer
from keras_i3d.checkpoints.transfer import TransferError
from keras_i3d.errors import WeightsUnavailable

CONTENT = bytes(range(251)) * 4000  # about a megabyte, no two chunks alike


@pytest.fixture(autouse=True)
def hurry(cache, monkeypatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES_S", (0.0, 0.0, 0.0))


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / ".file.part"


@pytest.fixture
def served(file_server):
    (file_server.folder / "file").write_bytes(CONTENT)
    return file_server


def test_a_whole_file_comes(served, part, capsys) -> None:
    assert transfer.bring(served.address + "file", part) is False
    assert part.read_bytes() == CONTENT
    assert served.asked == [("/file", None)]
    captured = capsys.readouterr()
    assert captured.out == "" and "fetching file" in captured.err


def test_only_what_is_missing_is_asked_for(served, part, capsys) -> None:
    part.write_bytes(CONTENT[:600_000])
    assert transfer.bring(served.address + "file", part) is True
    assert part.read_bytes() == CONTENT
    assert (served.asked, served.sent) == ([("/file", "bytes=600000-")], [len(CONTENT) - 600_000])
    assert "fetching file (from 0.6 MB on)" in capsys.readouterr().err


def test_a_server_without_ranges_is_read_from_the_start(served, part) -> None:
    served.has_ranges = False
    part.write_bytes(b"x" * 1000)
    assert transfer.bring(served.address + "file", part) is False
    assert part.read_bytes() == CONTENT


def test_a_partial_file_that_is_too_long_is_dropped(served, part) -> None:
    part.write_bytes(CONTENT + b"x")
    assert transfer.bring(served.address + "file", part) is False
    assert part.read_bytes() == CONTENT
    assert served.asked == [("/file", f"bytes={len(CONTENT) + 1}-"), ("/file", None)]


def test_a_dropped_connection_is_gone_on_from(served, part) -> None:
    served.drops = [300_000, 300_000]
    assert transfer.bring(served.address + "file", part) is True
    assert part.read_bytes() == CONTENT
    assert [wanted for _, wanted in served.asked] == [None, "bytes=300000-", "bytes=600000-"]


def test_a_connection_that_always_drops_is_given_up(served, part) -> None:
    served.drops = [10, 10, 10, 10, 10]
    message = r"the connection broke off \(10 of 1003970 bytes came\), 4 times"
    with pytest.raises(TransferError, match=message):
        transfer.bring(served.address + "file", part)
    assert part.read_bytes() == CONTENT[:40]


def test_a_busy_server_is_asked_again_and_a_refusal_is_not(served, part) -> None:
    served.answers = [503, 429]
    transfer.bring(served.address + "file", part)
    assert (part.read_bytes(), len(served.asked)) == (CONTENT, 3)
    served.answers = [503] * 9
    with pytest.raises(TransferError, match=r"the server answered 503 Service Unavailable, 4 times"):
        transfer.bring(served.address + "file", part)
    with pytest.raises(TransferError, match=r"the server answered 403 Forbidden$"):
        served.answers = [403]
        transfer.bring(served.address + "file", part)
    with pytest.raises(TransferError, match=r"the server answered 404 Not Found$"):
        served.answers = []
        transfer.bring(served.address + "absent", part)


def test_a_closed_port_is_told_at_once(part) -> None:
    with pytest.raises(TransferError, match="Connection refused"):
        transfer.bring("http://127.0.0.1:9/file", part)
    assert not part.exists()


def test_a_name_that_no_server_has_is_told(part) -> None:
    with pytest.raises(TransferError, match=r"(?i)name"):
        transfer.bring("https://weights.invalid/file", part)


def test_a_host_that_does_not_answer_is_not_waited_for(part, monkeypatch) -> None:
    monkeypatch.setattr(transfer, "CONNECT_TIMEOUT_S", 0.2)
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for caller in (first, second):  # fill its queue, so that the next call is left unanswered
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        with pytest.raises(TransferError, match=r"no connection to 127\.0\.0\.1 within 0\.2 s"):
            transfer.bring(f"http://127.0.0.1:{deaf.getsockname()[1]}/file", part)


def test_https_connects_in_the_same_way(part, monkeypatch) -> None:
    tried = []

    def connect(address: tuple[str, int], *arguments: object) -> socket.socket:
        tried.append(address)
        raise OSError("not today")

    monkeypatch.setattr(transfer, "_connect", connect)
    with pytest.raises(TransferError, match="not today"):
        transfer.bring("https://localhost:4443/file", part)
    assert tried == [("localhost", 4443)]


def test_a_local_file_is_copied(served, part) -> None:
    part.write_bytes(b"x" * 2_000_000)
    assert transfer.bring(served.folder / "file", part) is False
    assert part.read_bytes() == CONTENT
    with pytest.raises(TransferError, match="No such file or directory"):
        transfer.bring(served.folder / "absent", part)


def test_a_partial_file_that_cannot_be_written_is_told(served, tmp_path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"\.part could not be written \(No such file or directory\)"):
        transfer.bring(served.address + "file", tmp_path / "absent" / ".part")


def test_a_full_disk_is_told_and_what_was_written_is_gone_on_from(served, part) -> None:
    script = (
        "import pathlib, resource, sys\nfrom keras_i3d.checkpoints import transfer\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "transfer.bring(sys.argv[1], pathlib.Path(sys.argv[2]))\n"
    )
    call = [sys.executable, "-c", script, served.address + "file", str(part)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert "WeightsUnavailable" in error and ".part could not be written (File too large); make room" in error
    kept = part.stat().st_size
    assert 0 < kept <= 300_000
    transfer.bring(served.address + "file", part)
    assert part.read_bytes() == CONTENT
    assert served.asked[-1] == ("/file", f"bytes={kept}-")


@pytest.mark.parametrize(
    ("mirror", "where"),
    [
        (None, "https://host/base/data/label%20map.txt"),
        ("", "https://host/base/data/label%20map.txt"),
        ("http://mirror:81/i3d", "http://mirror:81/i3d/data/label%20map.txt"),
        ("https://mirror/i3d/", "https://mirror/i3d/data/label%20map.txt"),
        ("file:///mnt/my%20mirror", Path("/mnt/my mirror/data/label map.txt")),
        ("/mnt/my mirror", Path("/mnt/my mirror/data/label map.txt")),
        ("~/mirror", Path.home() / "mirror/data/label map.txt"),
    ],
)
def test_a_mirror_replaces_the_source(monkeypatch, mirror, where) -> None:
    if mirror is not None:
        monkeypatch.setenv("KERAS_I3D_MIRROR", mirror)
    assert transfer.location("data/label map.txt", "https://host/base/") == where


def test_a_mirror_of_another_kind_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("KERAS_I3D_MIRROR", "ftp://mirror/")
    message = r"KERAS_I3D_MIRROR must be a folder or start with file://, http:// or https://, got 'ftp://mirror/'"
    with pytest.raises(ValueError, match=message):
        transfer.location("a", "https://host/")
