import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_i3d.errors import RecordError
from keras_i3d.evaluation.answers import Answers
from keras_i3d.evaluation.fusion import digests, fuse
from keras_i3d.evaluation.predictions import Stream, combined

NAMES = ("walk", "run", "jump")


def write(path: Path, name: str = "rgb", *, split: str = "test", seed: int = 0, order=range(6), classes=NAMES) -> Path:
    logits = np.random.default_rng(seed).normal(size=(6, 3)).astype(np.float32)[list(order)]
    answers = Answers(tuple("abcdef"[n] for n in order), logits, np.array([n % 3 for n in order]))
    path.parent.mkdir(parents=True, exist_ok=True)
    combined(split, classes, [Stream(name, f"{name}/best.keras", 1.0, answers)]).write(path)
    return path


def test_two_streams_are_summed_and_each_stands_beside_the_sum(tmp_path: Path) -> None:
    rgb = write(tmp_path / "rgb/predictions.npz")
    flow = write(tmp_path / "flow/predictions.npz", "flow", seed=1, order=[5, 3, 1, 0, 2, 4])
    evaluation = fuse([rgb, flow.parent], [1, 0.5])
    first, second = (np.random.default_rng(seed).normal(size=(6, 3)).astype(np.float32) for seed in (0, 1))
    np.testing.assert_array_equal(evaluation.answers.logits, first + np.float32(0.5) * second)
    assert [(row.name, row.weight) for row in evaluation.rows] == [("rgb", 1.0), ("flow", 0.5), ("sum", None)]
    np.testing.assert_array_equal(evaluation.splits[0].streams[1].answers.logits, second)
    assert evaluation.rows[1].metrics.top1 == np.mean(second.argmax(1) == [0, 1, 2, 0, 1, 2])


def test_the_sum_of_a_sum_is_called_by_what_is_in_it(tmp_path: Path) -> None:
    paths = [write(tmp_path / name / "predictions.npz", name, seed=seed) for seed, name in enumerate(("rgb", "flow"))]
    fuse(paths).splits[0].write(tmp_path / "predictions.npz")
    third = write(tmp_path / "depth/predictions.npz", "depth", seed=2)
    assert [row.name for row in fuse([tmp_path, third]).rows] == ["rgb+flow", "depth", "sum"]


def test_streams_of_one_name_are_called_by_their_folders(tmp_path: Path) -> None:
    paths = [write(tmp_path / name / "predictions.npz", seed=seed) for seed, name in enumerate(("one", "two"))]
    assert [row.name for row in fuse(paths).rows] == [str(tmp_path / "one"), str(tmp_path / "two"), "sum"]
    assert [row.name for row in fuse([paths[0]] * 2).rows] == ["rgb 1", "rgb 2", "sum"]


def test_several_splits_are_averaged(tmp_path: Path) -> None:
    for split, seed in (("test1", 1), ("test2", 2)):
        write(tmp_path / f"rgb/predictions-{split}.npz", split=split, seed=seed)
        write(tmp_path / f"flow/predictions-{split}.npz", "flow", split=split, seed=seed + 10)
    evaluation = fuse([tmp_path / "rgb", tmp_path / "flow"])
    assert [split.split for split in evaluation.splits] == ["test1", "test2"]
    assert evaluation.metrics.top1 == np.mean([split.metrics.top1 for split in evaluation.splits])
    assert evaluation.metrics.videos == 12
    (tmp_path / "flow/predictions-test2.npz").unlink()
    with pytest.raises(ValueError, match="every split needs as many models as the others; test1 has 2, test2 1"):
        fuse([tmp_path / "rgb", tmp_path / "flow"])


def test_one_file_alone_is_shown_as_it_is(tmp_path: Path) -> None:
    assert [row.name for row in fuse([write(tmp_path / "predictions.npz")]).rows] == ["rgb"]


def test_predictions_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    rgb = write(tmp_path / "rgb.npz")
    with pytest.raises(ValueError, match=r"rgb\.npz and .*other\.npz have not the same classes, or have them in an"):
        fuse([rgb, write(tmp_path / "other.npz", classes=("run", "walk", "jump"))])
    with pytest.raises(ValueError, match=r"rgb\.npz and .*less\.npz are about other videos \(6 and 5\); 'f' is in "):
        fuse([rgb, write(tmp_path / "less.npz", order=range(5))])
    with pytest.raises(RecordError, match="absent"):
        fuse([rgb, tmp_path / "absent.npz"])


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [0, 0], [1, float("nan")], []])
def test_weights_are_one_for_each(tmp_path: Path, weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights must be 2 finite numbers, not all 0, one for each of the predictio"):
        fuse([write(tmp_path / "a.npz"), write(tmp_path / "b.npz")], weights)


def test_digests_tell_contents_apart(tmp_path: Path) -> None:
    one, same, other = (write(tmp_path / f"{n}.npz", seed=n // 2) for n in range(3))
    assert digests([one]) == digests([same]) != digests([other])


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, seed=seed) for seed, name in enumerate(("a.npz", "b.npz"))]
    script = (
        "import sys\nfrom keras_i3d import cli\n"
        f"assert cli.main(['evaluate', '--predictions', {str(paths[0])!r}, '--predictions', {str(paths[1])!r}, "
        f"'--output', {str(tmp_path / 'sum')!r}]) == 0\n"
        "heavy = {'tensorflow', 'keras', 'av'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "top-1" in done.stdout and not done.stderr
    assert (tmp_path / "sum/report.html").is_file()
