"""What tests give to worker processes, which import it by name."""

import os
import time
from pathlib import Path

from keras_i3d.workers import Watchdog


def double(number: int) -> int:
    return 2 * number


def slow_double(number: int) -> int:
    time.sleep(0.3 if number == 0 else 0)
    return 2 * number


def process(_: object) -> int:
    return os.getpid()


def fail_at_three(number: int) -> int:
    if number == 3:
        raise OSError(28, "No space left on device")
    return number


def die_at_three(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number


def die_the_first_time(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        os._exit(1)
    return marker.name


def be_silent(seconds: float) -> float:
    with Watchdog(0.3) as watchdog:
        watchdog.hear()
        time.sleep(seconds)
    return seconds


def speak_and_sleep(times: int) -> int:
    with Watchdog(1.0) as watchdog:
        for _ in range(times):
            time.sleep(0.1)
            watchdog.hear()
    return times


def note_the_start() -> None:
    os.environ["KERAS_I3D_STARTED"] = "yes"


def was_started(_: object) -> str | None:
    return os.environ.get("KERAS_I3D_STARTED")


def die() -> None:
    os._exit(1)
