from keras_i3d.features.report import Report, VideoReport


def test_a_later_run_knows_what_was_wrong(tmp_path) -> None:
    report = Report(str(tmp_path))
    report.add(VideoReport("a.mp4", 9, 3))
    assert list(tmp_path.iterdir()) == []
    report.add(VideoReport("b.mp4", skipped="no video"))
    report.add(VideoReport("c.mp4", 9, 3, damaged="ends early"))
    assert (report.written, report.windows) == (2, 6)
    again = Report.read(tmp_path)
    assert (again.skipped, again.damaged, again.written) == ({"b.mp4": "no video"}, {"c.mp4": "ends early"}, 0)


def test_what_went_well_in_the_end_is_forgotten(tmp_path) -> None:
    report = Report(str(tmp_path), skipped={"b.mp4": "no video"})
    report.add(VideoReport("b.mp4", 9, 3))
    report.write()
    assert Report.read(tmp_path).skipped == {}


def test_a_report_in_pieces_is_none(tmp_path) -> None:
    (tmp_path / "report.json").write_text('{"skipped": ')
    assert Report.read(tmp_path).skipped == {}
