import re
from pathlib import Path

import pytest

from keras_i3d.checkpoints import cache, catalogue
from keras_i3d.streams import CHANNELS

PUBLISHED = Path(__file__).parents[3] / "shared" / "published"  # beside a developer's checkout


def test_the_names_are_those_of_the_documentation() -> None:
    assert catalogue.names() == ("kinetics", "kinetics_scratch", "kinetics600", "imagenet")
    assert [(row.name, row.modality, row.network, row.classes) for row in catalogue.rows()] == [
        ("kinetics", "rgb", "I3D", 400),
        ("kinetics", "flow", "I3D", 400),
        ("kinetics_scratch", "rgb", "I3D", 400),
        ("kinetics_scratch", "flow", "I3D", 400),
        ("kinetics600", "rgb", "I3D", 600),
        ("imagenet", "rgb", "InceptionV1", 1001),
    ]


@pytest.mark.parametrize("row", catalogue.rows(), ids=lambda row: f"{row.name}-{row.modality}")
def test_every_row_says_what_identifies_and_describes_it(row: catalogue.Row) -> None:
    assert row.modality in CHANNELS
    assert row.source.startswith("https://") and row.source.endswith("/")
    assert row.licence == "Apache-2.0" and row.description and row.when
    assert (row.top1 is None) == (row.top5 is None) == (row.accuracy_on is None)
    if row.network == "I3D":
        assert re.search("/[0-9a-f]{40}/$", row.source)
        assert [file.path.rsplit(".", 1)[1] for file in row.files] == ["index", "data-00000-of-00001"]
        assert row.size == sum(file.size for file in row.files) > 50e6
        assert all(re.fullmatch("[0-9a-f]{40}", file.blob) for file in (*row.files, row.label_map))


def test_no_two_rows_share_a_file() -> None:
    blobs = [file.blob for row in catalogue.rows() for file in row.files]
    assert len(set(blobs)) == len(blobs) == 11


def test_the_published_accuracies_are_told() -> None:
    assert [(row.top1, row.top5) for row in catalogue.rows()] == [
        *((71.1, 89.3), (63.4, 84.9), (68.4, 88.0), (61.5, 83.4), (None, None), (69.8, 89.6)),
    ]


def test_the_archive_of_imagenet_has_no_digest_and_no_class_names() -> None:
    row = catalogue.row("imagenet", "rgb")
    (file,) = row.files
    assert (file.path, file.member) == ("inception_v1_2016_08_28.tar.gz", "inception_v1.ckpt")
    assert (file.blob, row.size, row.label_map, row.sample) == (None, None, None, None)


def test_the_reference_outputs_fit_each_other() -> None:
    for name in ("kinetics", "kinetics_scratch"):
        streams, joint = [dict(row.sample.logits) for row in catalogue.named(name)], catalogue.joint_sample(name)
        assert sum(stream["playing cricket"] for stream in streams) == pytest.approx(
            dict(joint.logits)["playing cricket"], abs=2e-4
        )
        norms = [row.sample.norm for row in catalogue.named(name)]
        assert max(norms) < joint.norm < sum(norms)
        for reference in (*(row.sample for row in catalogue.named(name)), joint):
            values = [logit for _, logit in reference.logits]
            assert values == sorted(values, reverse=True) and reference.logits[0][0] == "playing cricket"
    assert catalogue.joint_sample("kinetics600") is None


def test_the_sample_clips_come_from_the_same_commit() -> None:
    for modality in CHANNELS:
        file, source = catalogue.sample_clip(modality)
        assert file.path == f"data/v_CricketShot_g04_c01_{modality}.npy" and len(file.blob) == 40
        assert source == catalogue.row("kinetics", modality).source


def test_digests_and_sizes_are_those_of_the_published_files() -> None:
    if not PUBLISHED.is_dir():
        pytest.skip("the published files are not here")
    files = {file for row in catalogue.rows() for file in (*row.files, row.label_map) if file}
    found = 0
    for file in files:
        path = PUBLISHED / file.path.removeprefix("data/").removeprefix("checkpoints/")
        if path.is_file():
            assert (cache.git_blob_id(path), path.stat().st_size) == (file.blob, file.size)
            found += 1
    assert found == 7
    for row in catalogue.rows():
        if row.label_map:
            lines = (PUBLISHED / Path(row.label_map.path).name).read_text("utf-8").splitlines()
            assert len(lines) == row.classes
            assert {name for name, _ in (row.sample.logits if row.sample else ())} <= set(lines)


def test_an_unknown_name_lists_what_there_is() -> None:
    message = r"no published weights 'kinetix'; there are: kinetics, kinetics_scratch, kinetics600, imagenet$"
    with pytest.raises(ValueError, match=message):
        catalogue.row("kinetix", "rgb")
    with pytest.raises(ValueError, match=message):
        catalogue.named("kinetix")


@pytest.mark.parametrize(
    ("name", "modality", "message"),
    [
        ("kinetics", "depth", r"weights 'kinetics' exist for rgb and flow, got modality 'depth'"),
        ("kinetics600", "flow", r"weights 'kinetics600' exist for rgb only, got modality 'flow'"),
    ],
)
def test_a_stream_that_is_not_there_is_told(name: str, modality: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        catalogue.row(name, modality)
