import pytest

from keras_i3d.checkpoints import catalogue


def test_the_kinetics_networks_are_listed_with_what_identifies_them() -> None:
    row = catalogue.row("kinetics", "rgb")
    assert row.source.startswith("https://") and "0667e889a5904b4dc122e0ded4c332f49f8df42c" in row.source
    assert [file.path.rsplit("/", 1)[1] for file in row.files] == [
        "model.ckpt.index",
        "model.ckpt.data-00000-of-00001",
    ]
    assert all(len(file.blob) == 40 for file in (*row.files, row.label_map))
    assert (row.classes, row.top1, row.top5) == (400, 71.1, 89.3)


def test_an_unknown_row_lists_what_there_is() -> None:
    message = r"no published weights 'kinetics' for modality 'depth'; there are: kinetics \(rgb\), kinetics \(flow\)"
    with pytest.raises(ValueError, match=message):
        catalogue.row("kinetics", "depth")


def test_names_are_listed_once() -> None:
    assert catalogue.names() == ("kinetics",)
