"""ffmpeg converts real film, and never outlives whoever started it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("imageio_ffmpeg")

from dashboard import video
from dashboard.demo.workers import is_alive


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "sample.mp4"
    with video.render_sample(path, seconds=2) as rendering:
        assert [*rendering.progress()][-1].frame == 60
    return path


def endless() -> list[str]:
    return ["-re", "-f", "lavfi", "-i", "testsrc2=duration=600", "-f", "null", "-"]


def test_progress_is_read_from_ffmpegs_report() -> None:
    report = """frame=0
out_time_us=N/A
progress=continue
frame=12
fps=24.0
out_time_us=-21333
progress=continue
frame=50
out_time_us=2000000
progress=end
frame=51"""
    assert [*video.read_progress(report.splitlines())] == [
        video.Progress(0, 0.0),
        video.Progress(12, 0.0),
        video.Progress(50, 2.0),
    ]


def test_the_duration_of_a_film(film: Path) -> None:
    assert video.duration(film) == pytest.approx(2.0, abs=0.1)


def test_what_is_no_film_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_text("this is no film")
    with pytest.raises(video.FfmpegError, match=r"(?s)film\.mp4 can't be read as a video: .*Invalid data"):
        video.duration(tmp_path / "film.mp4")


def test_a_conversion_reports_progress_to_its_end(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.mp4"
    with video.convert(film, target, height=120, preset="ultrafast", threads=1) as converting:
        reports = [*converting.progress()]
    assert reports == sorted(reports, key=lambda report: report.frame)
    assert reports[-1].frame == 60
    assert reports[-1].seconds == pytest.approx(2.0, abs=0.1)
    assert video.duration(target) == pytest.approx(2.0, abs=0.1)


def test_an_error_has_ffmpegs_last_words(tmp_path: Path) -> None:
    target = tmp_path / "no" / "such" / "folder.mp4"
    failure = pytest.raises(video.FfmpegError, match=r"ffmpeg ended with \d+: .*No such file or directory")
    with failure, video.render_sample(target, seconds=1) as rendering:
        [*rendering.progress()]


def test_leaving_the_block_ends_ffmpeg() -> None:
    running = video.ffmpeg(*endless())
    film = running.__enter__()
    next(film.progress())
    assert is_alive(film.process.pid)
    assert not running.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert film.process.returncode is not None
    assert not is_alive(film.process.pid)


def test_an_ffmpeg_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "GRACE", 0.2)
    with video.ffmpeg(*endless()) as film:
        next(film.progress())
        monkeypatch.setattr(film.process, "terminate", lambda: None)
    assert film.process.returncode == -9


def test_progress_does_not_go_back_when_ffmpeg_forgets_the_time() -> None:
    told = [
        "frame=10",
        "out_time_us=400000",
        "progress=continue",
        "frame=20",
        "out_time_us=N/A",
        "progress=end",
    ]
    assert [(each.frame, each.seconds) for each in video.read_progress(told)] == [(10, 0.4), (20, 0.4)]
