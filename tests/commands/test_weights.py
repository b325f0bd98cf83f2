import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_i3d import cli
from keras_i3d.checkpoints import cache as cache_module
from keras_i3d.checkpoints import catalogue, download
from keras_i3d.commands import weights

LABELS = [f"class {number}" for number in range(400)]
SCOPES = {"rgb": "RGB", "flow": "Flow"}
CLIPS = {"rgb": (1, 9, 224, 224, 3), "flow": (1, 9, 224, 224, 2)}


def run(*arguments: str) -> int:
    return cli.main(["weights", *arguments])


def described(path: Path, folder: Path) -> dict:
    return {"blob": cache_module.git_blob_id(path), "bytes": path.stat().st_size, "path": str(path.relative_to(folder))}


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Path:
    """Return a folder that stands for the source of all weights; the cache is empty."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_I3D_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror/data").mkdir(parents=True)
    return tmp_path / "mirror"


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "home/keras_i3d"


@pytest.fixture
def document(mirror, monkeypatch) -> dict:
    """Put a catalogue of small files of our own in the place of the shipped one."""
    document = json.loads(json.dumps(catalogue._document()))
    document["weights"] = [row for row in document["weights"] if row["name"] in ("kinetics", "kinetics600")]
    (mirror / "data/label_map.txt").write_text("".join(f"{name}\n" for name in LABELS))
    document["label_maps"]["kinetics400"] = described(mirror / "data/label_map.txt", mirror)
    for row in document["weights"]:
        for path in row["files"]:
            (mirror / path).parent.mkdir(parents=True, exist_ok=True)
            (mirror / path).write_text(f"content of {path}")
            row["files"][path] = described(mirror / path, mirror)
    monkeypatch.setattr(catalogue, "_document", lambda: document)
    return document


def test_the_list_shows_every_row_and_when_to_choose_it(mirror, capsys) -> None:
    assert run("list") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "name" and len(lines) == len(catalogue.rows())
    first = r"kinetics +rgb +I3D +400 +71\.1 +89\.3 +51 MB +no +the first choice; fine-tuning, features"
    assert re.fullmatch(first, lines[0])
    assert re.match(r"kinetics600 +rgb +I3D +600 +- +- +103 MB +no ", lines[4])
    assert re.match(r"imagenet +rgb +InceptionV1 +1001 +69\.8 +89\.6 +- +no ", lines[5])
    assert max(map(len, lines)) <= 120


def test_the_list_may_be_read_by_a_program(document, cache, capsys) -> None:
    assert run("download", "kinetics", "--modality", "flow") == 0
    capsys.readouterr()
    assert run("list", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert [(fact["name"], fact["modality"], fact["in_cache"]) for fact in facts] == [
        *(("kinetics", "rgb", "no"), ("kinetics", "flow", "yes"), ("kinetics600", "rgb", "no")),
    ]
    assert (facts[0]["top1"], facts[0]["licence"], facts[2]["top1"]) == (71.1, "Apache-2.0", None)
    assert facts[1]["files"][0]["path"] == str(cache / "data/checkpoints/flow_imagenet/model.ckpt.index")
    assert [file["in_cache"] for file in facts[0]["files"]] == [False, False, True]  # they share the class names
    Path(facts[1]["files"][0]["path"]).unlink()
    assert run("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[1]["in_cache"] == "in part"


def test_what_path_names_is_where_files_are_looked_for(document, mirror, cache, capsys, monkeypatch) -> None:
    assert run("path", "kinetics", "--modality", "rgb") == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [str(path.relative_to(cache)) for path in paths] == [
        "data/checkpoints/rgb_imagenet/model.ckpt.index",
        "data/checkpoints/rgb_imagenet/model.ckpt.data-00000-of-00001",
        "data/label_map.txt",
    ]
    assert not cache.exists()
    for path in paths:  # put there by hand
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((mirror / path.relative_to(cache)).read_bytes())
    monkeypatch.setenv("KERAS_I3D_MIRROR", "http://127.0.0.1:9/")
    assert download.checkpoint(catalogue.row("kinetics", "rgb")) == paths[0]
    assert download.class_names(catalogue.row("kinetics", "rgb")) == LABELS


def test_download_brings_both_streams_or_one_and_prints_the_files(document, cache, capsys) -> None:
    assert run("download", "kinetics600") == 1  # its label map is not the published one
    assert "label_map_600.txt could not be fetched" in capsys.readouterr().err
    assert run("download", "kinetics") == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len(set(paths)) == len(paths) == 5 and all(path.is_file() for path in paths)
    assert {path.parent.name for path in paths} == {"rgb_imagenet", "flow_imagenet", "data"}


@pytest.mark.parametrize("action", ["download", "path", "verify"])
def test_an_unknown_name_lists_the_valid_ones(mirror, capsys, action) -> None:
    assert run(action, "kinetix") == 2
    error = capsys.readouterr().err
    assert "no published weights 'kinetix'; there are: kinetics, kinetics_scratch, kinetics600, imagenet\n" in error


@pytest.mark.parametrize("action", ["download", "path"])
def test_kinetics600_has_no_flow(mirror, capsys, action) -> None:
    assert run(action, "kinetics600", "--modality", "flow") == 2
    assert "weights 'kinetics600' exist for rgb only, got modality 'flow'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["fetch"], ["download"], ["path", "kinetics", "--modality", "depth"]])
def test_wrong_usage_exits_with_2(arguments) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2


def test_verify_tells_ok_absent_and_damaged(document, cache, capsys) -> None:
    assert run("verify") == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"absent"}
    assert run("download", "kinetics", "--modality", "rgb") == 0
    capsys.readouterr()
    damaged = cache / "data/checkpoints/rgb_imagenet/model.ckpt.data-00000-of-00001"
    damaged.write_text("something else")
    assert run("verify") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "DAMAGED", "ok", *["absent"] * 5]
    assert lines[1].startswith(f"DAMAGED {damaged} (its git blob id is ")
    assert damaged.read_text() == "something else"
    assert run("verify", "kinetics600") == 1


def test_verify_looks_at_converted_weights_too(document, cache, capsys) -> None:
    row = catalogue.row("kinetics", "rgb")
    path = download.weights_file(row, lambda origin, target: target.write_bytes(b"converted"))
    assert run("verify", "kinetics") == 0
    assert f"ok      {path}\n" in capsys.readouterr().out
    path.write_bytes(b"something else")
    assert run("verify", "kinetics") == 1
    assert f"DAMAGED {path} (its SHA-256 is" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["list"], ["path", "kinetics"], ["verify"], ["download", "kinetics"]])
def test_no_framework_is_imported(mirror, arguments) -> None:
    script = (
        f"import sys\nfrom keras_i3d import cli\ncode = cli.main(['weights', *{arguments!r}])\n"
        "heavy = {'tensorflow', 'keras'} & set(sys.modules)\nassert not heavy, heavy\nsys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == (arguments[0] == "download"), done.stderr  # the mirror is empty
    assert "AssertionError" not in done.stderr


def test_without_weights_there_is_nothing_to_run(document, capsys) -> None:
    assert run("verify", "kinetics", "--sample") == 1
    message = "no I3D weights named kinetics are in the cache to be run on the sample clip; `keras-i3d weights download"
    assert message in capsys.readouterr().err


def network_with(golden, modality: str):
    """Return a network without softmax whose values the test sets by itself, by name."""
    from keras_i3d.checkpoints.names import deepmind_name
    from keras_i3d.models.i3d import I3D

    network = I3D(weights=None, input_shape=CLIPS[modality][1:], modality=modality, classifier_activation=None)
    for variable in network.weights:
        if not variable.path.endswith("seed_generator_state"):
            variable.assign(golden.weight(deepmind_name(variable), tuple(variable.shape), modality))
    return network


def reference(logits: np.ndarray) -> dict:
    best = np.argsort(-logits)[:4]
    return {"norm": float(np.linalg.norm(logits)), "logits": {LABELS[i]: float(logits[i]) for i in best}}


@pytest.fixture
def sample(document, mirror, golden, write_checkpoint) -> dict:
    """Let the catalogue's kinetics rows be checkpoints and clips that give known logits, and download them."""
    total = np.zeros(400, "float32")
    for row, modality in zip(document["weights"], ("rgb", "flow"), strict=False):
        network, clip = network_with(golden, modality), golden.clip(CLIPS[modality], modality)
        paths = [mirror / path for path in row["files"]]
        write_checkpoint(paths[0].with_suffix(""), network, modality, scope=f"{SCOPES[modality]}/inception_i3d/")
        row["files"] = {facts.pop("path"): facts for facts in (described(path, mirror) for path in paths)}
        logits = network.predict(clip, verbose=0)[0]
        row["sample"], total = reference(logits), total + logits
        np.save(mirror / f"data/{modality}.npy", clip)
        document["sample_clips"][modality] = described(mirror / f"data/{modality}.npy", mirror)
    document["joint"]["kinetics"]["sample"] = reference(total)
    assert run("download", "kinetics") == 0
    return document


def test_verify_sample_compares_the_logits_with_the_references(sample, cache, capsys) -> None:
    capsys.readouterr()
    assert run("verify", "kinetics", "--sample") == 0
    lines = capsys.readouterr().out.splitlines()[5:]
    checks = [line for line in lines if "off by at most" in line]
    assert [line.split(":")[0] for line in checks] == [
        "ok      kinetics rgb",
        "ok      kinetics flow",
        "ok      kinetics rgb + flow",
    ]
    assert (cache / "data/rgb.npy").is_file()

    rgb, joint = sample["weights"][0]["sample"], sample["joint"]["kinetics"]["sample"]
    first = next(iter(rgb["logits"]))
    rgb["logits"][first] += 2 * weights.TOLERANCE
    joint["norm"] += 2 * weights.TOLERANCE * 20
    assert run("verify", "kinetics", "--sample") == 1
    states = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "off by at most" in line]
    assert states == ["WRONG", "ok", "WRONG"]


def test_another_best_class_is_wrong_even_within_the_tolerance() -> None:
    check = weights.SampleCheck("kinetics", "rgb", 0.0, 0.0, "class 1", False)
    assert check.line().startswith("WRONG   kinetics rgb: class 1; off by at most 0.0e+00 in a logit (allowed: 1e-03)")


def test_weights_without_a_reference_say_so() -> None:
    check = weights.SampleCheck("kinetics600", "rgb", None, 0.0, "bowling", True)
    assert check.line() == "unknown kinetics600 rgb: bowling; no reference is published"
