"""Damage videos in every way that disks, networks and enemies do, by a seed; and try to read them.

As a program, ``python damaged_videos.py FOLDER...`` reads every file of the folders and writes one JSON line for each
(so that a crash shows the file it happened in), and one with the most memory that was needed.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

ENDINGS = (".mp4", ".avi", ".mkv", ".webm", ".ts", ".gif", ".mov", ".flv", ".h264", ".m3u8", ".txt", "")
HEADER = 4096
TEXTS = (
    b"",
    b"\0",
    b"\n",
    b"a letter, not a film\n" * 20,
    b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n",
    b"ffconcat version 1.0\nfile /etc/passwd\n",
    b"RIFF\xff\xff\xff\xffAVI LIST",
    b"\0\0\0\x18ftypmp42" + b"\xff" * 200,
    b"\x1a\x45\xdf\xa3" + b"\xff" * 200,
    b"GIF89a" + b"\xff" * 200,
    b"<html><body>404 Not Found</body></html>",
    bytes(range(256)) * 40,
)

Damage = Callable[[bytearray, np.random.Generator, list[bytes]], bytes]


def _cut(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    return bytes(content[: random.integers(0, len(content))])


def _beheaded(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    return bytes(content[random.integers(1, len(content)) :])


def _flipped(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    for place in random.integers(0, len(content), 1 << random.integers(0, 9)):
        content[place] ^= 1 << random.integers(0, 8)
    return bytes(content)


def _header(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    """Change bytes of the first or last kilobytes, where containers have their tables."""
    size = min(HEADER, len(content))
    first = 0 if random.random() < 0.7 else len(content) - size
    for place in first + random.integers(0, size, random.integers(1, 20)):
        content[place] = random.choice([0, 1, 127, 128, 255, random.integers(0, 256)])
    return bytes(content)


def _numbers(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    """Write extreme numbers of four bytes into the tables."""
    size = max(1, min(HEADER, len(content)) - 4)
    for place in random.integers(0, size, random.integers(1, 6)):
        number = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00010000][random.integers(0, 6)]
        content[place : place + 4] = number.to_bytes(4, "big" if random.random() < 0.5 else "little")
    return bytes(content)


def _zeroed(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    for _ in range(random.integers(1, 5)):
        place, size = random.integers(0, len(content)), random.integers(1, max(2, len(content) // 8))
        content[place : place + size] = bytes(len(content[place : place + size]))
    return bytes(content)


def _repeated(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    place, size = random.integers(0, len(content)), random.integers(1, max(2, len(content) // 4))
    return bytes(content[: place + size] + content[place : place + size] * random.integers(1, 4) + content[place:])


def _removed(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    place, size = random.integers(0, len(content)), random.integers(1, max(2, len(content) // 4))
    return bytes(content[:place] + content[place + size :])


def _spliced(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    other = others[random.integers(0, len(others))]
    return bytes(content[: random.integers(0, len(content))]) + other[random.integers(0, len(other)) :]


def _joined(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    return bytes(content) + others[random.integers(0, len(others))]


def _padded(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    return bytes(content) + random.bytes(random.integers(1, 5000))


def _renamed(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    return bytes(content)


def _text(content: bytearray, random: np.random.Generator, others: list[bytes]) -> bytes:
    return TEXTS[random.integers(0, len(TEXTS))]


DAMAGES: dict[str, Damage] = {
    "cut": _cut,
    "beheaded": _beheaded,
    "flipped": _flipped,
    "header": _header,
    "numbers": _numbers,
    "zeroed": _zeroed,
    "repeated": _repeated,
    "removed": _removed,
    "spliced": _spliced,
    "joined": _joined,
    "padded": _padded,
    "renamed": _renamed,
    "text": _text,
}


def damaged(videos: Mapping[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of damaged copies of videos, each kind of damage in its turn; equal for an equal seed.

    Args:
        videos: Content by file name, whose ending is kept by all kinds of damage but "renamed".
        count: Number of copies.
        seed: Seed of every draw.
    """
    random, names = np.random.default_rng(seed), sorted(videos)
    contents, kinds = [videos[name] for name in names], list(DAMAGES)
    for index in range(count):
        name, kind = names[random.integers(0, len(names))], kinds[index % len(kinds)]
        stem, dot, ending = name.rpartition(".")
        ending = ENDINGS[random.integers(0, len(ENDINGS))] if kind == "renamed" else dot + ending
        content = DAMAGES[kind](bytearray(videos[name]), random, contents)
        yield f"{index:05d}-{kind}-{stem or name}{ending}", content


def write_damaged(videos: Path, output: Path, count: int, seed: int) -> int:
    """Write damaged copies of the files of one folder into another, which is made; return how many."""
    contents = {path.name: path.read_bytes() for path in sorted(videos.iterdir()) if path.is_file()}
    output.mkdir(parents=True, exist_ok=True)
    for name, content in damaged({name: data for name, data in contents.items() if data}, count, seed):
        (output / name).write_bytes(content)
    return count


def read(path: Path) -> dict:
    """Read a file as make-tfrecords does, and return what came of it."""
    from keras_i3d.errors import VideoError
    from keras_i3d.video.decode import Limits, iterate_frames

    start, frames = time.perf_counter(), 0
    try:
        for _ in iterate_frames(path, short_side=64, threads=1, limits=Limits(frames=20_000, seconds=60)):
            frames += 1
        outcome = "frames"
    except VideoError as error:
        outcome = f"{type(error).__name__}: {str(error).removeprefix(str(path))}"
    except Exception as error:  # what must not be; told apart by its text
        outcome = f"LEAKED {type(error).__name__}: {error}"
    return {"file": path.name, "frames": frames, "outcome": outcome, "seconds": time.perf_counter() - start}


def peak_mb() -> int:
    """Return the most memory that this program held at once; the kernel's ru_maxrss would count its parent's too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def tell(line: dict) -> None:
    """Write a line at once, for the next one may never come."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).iterdir()):
            tell({"begun": path.name})
            tell(read(path))
    tell({"peak_mb": peak_mb()})
