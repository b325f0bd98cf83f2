"""Shards that tests of the pipeline read."""

import itertools

import numpy as np
import pytest
from coded_records import places, record, write_shard


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return five shards of 4, 3, 4, 1 and 3 clips of six frames, labelled 0 to 14."""
    folder = tmp_path_factory.mktemp("numbered")
    numbers = iter(range(15))
    return [
        write_shard(
            folder / str(shard), [record(n, np.full((6, 16, 20, 3), 16 * n)) for n in itertools.islice(numbers, count)]
        )
        for shard, count in enumerate((4, 3, 4, 1, 3))
    ]


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return one shard of sixteen still clips whose rgb and flow tell row and column."""
    frame, field = places()
    still = record(0, np.repeat(frame[np.newaxis], 5, axis=0), np.repeat(field[np.newaxis], 5, axis=0))
    return [write_shard(tmp_path_factory.mktemp("placed") / "shard", [still] * 16)]
