import io

from keras_i3d import progress


def test_a_bar_counts_and_writes_to_standard_error_alone(capsys) -> None:
    with progress.bar("videos", 3) as bar:
        for _ in range(3):
            bar.advance()
        bar.note("skipped 1")
        bar.log("a line that stays")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "3/3" in captured.err and "skipped 1" in captured.err
    assert "a line that stays" in captured.err


def test_a_line_is_neither_wrapped_nor_taken_for_markup(capsys) -> None:
    line = "from [/b]/best.keras " + 30 * "a long line "
    with progress.bar("of [/b]/best.keras", total=2) as bar:
        bar.log(line)
        bar.note("[/b]")
        bar.advance()
    written = capsys.readouterr().err
    assert line.rstrip() in written and "of [/b]/best.keras" in written


def test_a_total_may_come_later(capsys) -> None:
    with progress.bar("steps") as bar:
        bar.set_total(7)
        bar.advance(2)
    assert "2/7" in capsys.readouterr().err


def test_reading_shows_its_progress_and_gives_the_bytes(capsys) -> None:
    with progress.reading(io.BytesIO(b"x" * 1000), 1000, "fetching") as file:
        assert file.read() == b"x" * 1000
    assert "fetching" in capsys.readouterr().err


def test_work_that_never_starts_shows_no_bar(capsys) -> None:
    with progress.bar("videos", 3):
        pass
    assert capsys.readouterr().err == ""


def test_a_log_gets_a_line_now_and_then(capsys, monkeypatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    with progress.bar("videos", 3) as bar:
        bar.advance()
        bar.note("skipped 1")
        bar.advance()
    assert capsys.readouterr().err.splitlines()[:2] == ["videos 1/3", "videos 2/3 skipped 1"]
