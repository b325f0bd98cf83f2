import io
import tarfile
from pathlib import Path

import pytest

from keras_i3d.checkpoints import archive

CONTENT = bytes(range(256)) * 1000


def write(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            entry = tarfile.TarInfo(name.replace("__", "/").replace("_ckpt", ".ckpt"))
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return path


def test_the_member_comes_out_as_it_went_in(tmp_path) -> None:
    path = write(tmp_path / "a.tar.gz", readme=b"hello", net_ckpt=CONTENT)
    assert archive.complaint(path, "net.ckpt") is None
    archive.unpack(path, "net.ckpt", tmp_path / "net.ckpt")
    assert (tmp_path / "net.ckpt").read_bytes() == CONTENT
    assert {file.name for file in tmp_path.iterdir()} == {"a.tar.gz", "net.ckpt"}


def test_a_dot_before_the_name_is_no_matter(tmp_path) -> None:
    path = write(tmp_path / "a.tar.gz", **{".__net_ckpt": CONTENT})
    assert archive.complaint(path, "net.ckpt") is None
    archive.unpack(path, "net.ckpt", tmp_path / "net.ckpt")
    assert (tmp_path / "net.ckpt").read_bytes() == CONTENT


def test_what_is_there_stays_and_what_differs_is_written_again(tmp_path) -> None:
    path, target = write(tmp_path / "a.tar.gz", net_ckpt=CONTENT), tmp_path / "net.ckpt"
    archive.unpack(path, "net.ckpt", target)
    before = target.stat().st_ino
    archive.unpack(path, "net.ckpt", target)
    assert target.stat().st_ino == before
    for damaged in (CONTENT[:-1], CONTENT + b"x", b"x" + CONTENT[1:]):
        target.write_bytes(damaged)
        archive.unpack(path, "net.ckpt", target)
        assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("member", ["other.ckpt", "../net.ckpt", "folder"])
def test_an_archive_without_the_member_is_told(tmp_path, member) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as file:
        entry = tarfile.TarInfo("folder")
        entry.type = tarfile.DIRTYPE
        file.addfile(entry)
    assert archive.complaint(tmp_path / "a.tar.gz", member) == f"it is an archive without {member}"


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "one bit", "end cut"])
def test_a_damaged_archive_is_told(tmp_path, damage) -> None:
    path = write(tmp_path / "a.tar.gz", net_ckpt=CONTENT)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1 if damage == "one bit" else 0
    changed = {"empty": b"", "text": b"<html>", "truncated": content[: len(content) // 2], "end cut": content[:-4]}
    path.write_bytes(changed.get(damage, content))
    assert archive.complaint(path, "net.ckpt").startswith("it is no readable .tar.gz archive (")
