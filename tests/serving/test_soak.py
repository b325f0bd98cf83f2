"""Many requests at once, good and malformed ones: every good one is answered, and the server's memory stays flat."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from keras_i3d.errors import ServerError
from keras_i3d.serving import names, pictures
from keras_i3d.serving.client import connect

CLIENTS, AT_ONCE = 8, 50
GOOD = np.random.default_rng(0).integers(0, 256, (1, 16, 64, 80, 3), np.uint8)
MALFORMED = (
    (names.DEFAULT, {"rgb": GOOD[0]}),
    (names.DEFAULT, {"rgb": GOOD.astype(np.float32) + 0.5}),
    (names.DEFAULT, {"rgb": GOOD[:, :0]}),
    (names.DEFAULT, {"rgb": np.zeros((1, 10_000, 8, 8, 3), np.uint8)}),
    (names.DEFAULT, {"other": GOOD}),
    (names.FRAMES, {names.RGB_BYTES: np.array([[b"\xff\xd8 no"]], object)}),
    (names.FRAMES, {names.RGB_BYTES: np.array([[pictures.to_png(GOOD[0, 0, :8]).item()[:60]]], object)}),
    ("dance", {"rgb": GOOD}),
)
REFUSED = ("INVALID_ARGUMENT", "FAILED_PRECONDITION")
SETTLED = 4  # the first quarter of the time fills TensorFlow's and Python's pools of memory


def resident_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096


def requests_for(seconds: float, double) -> tuple[dict[str, int], list[int]]:
    """Send requests, every third malformed; returns the count of each outcome, and the memory twenty times a run."""
    counts = {"answered": 0, "refused": 0}
    counting, numbers, memory = threading.Lock(), itertools.count(), []
    end = time.monotonic() + seconds
    with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as pool:
        addresses = (double.grpc, double.grpc, double.grpc, double.rest)
        clients = [stack.enter_context(connect(addresses[one % 4], timeout_s=120)) for one in range(CLIENTS)]
        expected = clients[0].predict({"rgb": GOOD})["logits"]

        def keep_asking() -> None:
            while time.monotonic() < end:
                number = next(numbers)
                client = clients[number % CLIENTS]
                if number % 3:
                    np.testing.assert_allclose(client.predict({"rgb": GOOD})["logits"], expected, rtol=1e-5)
                    outcome = "answered"
                else:
                    signature, inputs = MALFORMED[number // 3 % len(MALFORMED)]
                    with pytest.raises(ServerError) as caught:
                        client.predict(inputs, signature)
                    assert caught.value.code in REFUSED, caught.value
                    outcome = "refused"
                with counting:
                    counts[outcome] += 1

        asking = [pool.submit(keep_asking) for _ in range(AT_ONCE)]
        while time.monotonic() < end:
            memory.append(resident_bytes(double.process))
            time.sleep(seconds / 20)
        for one in asking:
            one.result()
    return counts, memory


def test_good_requests_are_answered_among_malformed_ones(double) -> None:
    counts, _ = requests_for(4, double)
    assert counts["answered"] >= AT_ONCE
    assert counts["refused"] >= len(MALFORMED)


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read from /proc")
def test_two_minutes_leave_the_servers_memory_flat(double) -> None:
    counts, memory = requests_for(120, double)
    assert counts["answered"] > 20 * AT_ONCE
    settled = memory[len(memory) // SETTLED :]
    growth = np.mean(settled[len(settled) // 2 :]) / np.mean(settled[: len(settled) // 2])
    assert growth < 1.05, (counts, [f"{one / 1e6:.0f} MB" for one in memory])
