from keras_i3d import cli, exit_codes


def test_the_help_names_every_exit_code() -> None:
    codes = (exit_codes.DONE, exit_codes.FAILED, exit_codes.WRONG_USAGE, exit_codes.SKIPPED)
    words = ("done", "failed", "wrong usage", "finished with skipped items")
    told = ", ".join(f"{code} {word}" for code, word in zip(codes, words, strict=True))
    assert f"exit codes: {told}\n" in cli.parser().format_help()
