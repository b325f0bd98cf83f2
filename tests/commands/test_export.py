from keras_i3d import cli


def test_the_folder_of_the_new_version_is_printed(run_folder, tmp_path, capsys) -> None:
    for version in ("1", "2"):
        arguments = ["export", "--model", str(run_folder / "best.keras"), "--output", str(tmp_path / "served")]
        assert cli.main(arguments) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'served' / version}\n"
        assert (tmp_path / "served" / version / "saved_model.pb").is_file()


def test_a_model_that_is_none_is_one_line_and_leaves_nothing(tmp_path, capsys) -> None:
    (tmp_path / "x.keras").write_bytes(b"")
    assert cli.main(["export", "--model", str(tmp_path / "x.keras"), "--output", str(tmp_path / "served")]) == 1
    error = capsys.readouterr().err
    assert "x.keras: cannot be read as a Keras model" in error and error.count("\n") == 1
    assert not (tmp_path / "served").exists()
