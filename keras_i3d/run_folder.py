"""Output folders: a command claims an empty one, and finds its own again, never another's.

The claim is ``run.json``: the command and the settings that decide its output. The same command with the same
settings goes on where it stopped; anything else in the folder is an error, and stays as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_i3d.errors import OutputFolderError
from keras_i3d.whole_file import WRITING, write_json

CLAIM = "run.json"


@contextmanager
def claim(folder: str | os.PathLike, command: str, settings: dict[str, Any]) -> Iterator[Path]:
    """Make a folder this command's own while the block runs, creating it where it is absent.

    A block that fails before it has left anything takes the claim, and a folder made for it, away again.

    Args:
        folder: The output folder.
        command: Name of the command.
        settings: What decides the output, as JSON values.

    Raises:
        OutputFolderError: The folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    is_new = not os.path.exists(folder)  # noqa: PTH110  (pathlib's fails in a folder that may not be entered)
    wanted = {"command": command, "settings": json.loads(json.dumps(settings))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            write_json(folder / CLAIM, wanted)
    except OSError as error:
        raise OutputFolderError(f"{folder}: cannot be used as output folder ({error.strerror})") from error
    found = _read(folder / CLAIM)
    if found is None:
        raise OutputFolderError(
            f"{folder}: holds files that are no run of this command; the output folder must be new, empty, "
            f"or a run of `{command}` with the same settings"
        )
    if found != wanted:
        raise OutputFolderError(f"{folder}: {_difference(found, wanted)}; choose another one or delete it")
    for stale in folder.glob(f"{WRITING}*"):  # of a process that was killed
        stale.unlink()
    try:
        yield folder
    except BaseException:
        if folder.is_dir() and [path.name for path in folder.iterdir()] == [CLAIM]:
            (folder / CLAIM).unlink()
            if is_new:
                folder.rmdir()
        raise


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    is_claim = isinstance(found, dict) and "command" in found and isinstance(found.get("settings"), dict)
    return found if is_claim else None


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    if found["command"] != wanted["command"]:
        return f"holds a run of `{found['command']}`, not of `{wanted['command']}`"
    there, asked = _flat(found["settings"]), _flat(wanted["settings"])
    absent = object()
    different = [key for key in sorted(set(there) | set(asked)) if there.get(key, absent) != asked.get(key, absent)]
    shown = ", ".join(f"{key} {there.get(key)!r} there, {asked.get(key)!r} asked" for key in different[:3])
    return f"holds a run of `{found['command']}` with other settings ({shown})"


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn {"recipe": {"size": 64}} into {"recipe.size": 64}."""
    flat = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
