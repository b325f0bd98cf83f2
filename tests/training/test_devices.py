import json

import pytest
import tensorflow as tf

from keras_i3d.errors import ClusterError
from keras_i3d.training import devices


def test_alone_there_is_one_process_and_it_writes(monkeypatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    here = devices.here()
    assert (here.worker, here.workers, here.replicas) == (0, 1, 1)
    assert here.is_first and not here.are_several
    assert here.agree(3) and here.agree(float("nan"))


def test_a_cluster_of_one_is_none(monkeypatch) -> None:
    cluster = {"cluster": {"worker": ["127.0.0.1:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert devices.here() == devices.Devices(tf.distribute.get_strategy())


def test_only_the_first_worker_writes() -> None:
    strategy = tf.distribute.get_strategy()
    assert [devices.Devices(strategy, worker, 2).is_first for worker in range(2)] == [True, False]


WORKERS = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    "told",
    [
        "{",
        "[]",
        "{}",
        {"cluster": WORKERS},
        {"cluster": WORKERS, "task": {"type": "worker"}},
        {"cluster": WORKERS, "task": {"type": "worker", "index": 2}},
        {"cluster": WORKERS, "task": {"type": "worker", "index": -1}},
        {"cluster": WORKERS, "task": {"type": "worker", "index": "first"}},
        {"cluster": WORKERS, "task": {"type": "chief", "index": 0}},
        {"cluster": WORKERS | {"ps": ["c:1"]}, "task": {"type": "worker", "index": 0}},
        {"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}},
        {"cluster": {"worker": 3}, "task": {"type": "worker", "index": 0}},
    ],
)
def test_a_wrong_configuration_is_named_with_its_form(monkeypatch, told) -> None:
    monkeypatch.setenv("TF_CONFIG", told if isinstance(told, str) else json.dumps(told))
    with pytest.raises(ClusterError, match=r'TF_CONFIG must be of the form \{"cluster": \{"worker": .*; got '):
        devices.here()
