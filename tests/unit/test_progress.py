# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Progress: what is shown of a copy and of an import, on a terminal and in a log."""

from __future__ import annotations

import io
import threading

import pytest

from azext_acrimport._progress import Display, Manner, cells, cut, fitted
from azext_acrimport._tally import CopyTally, ImportTally, RunTally, format_bytes, format_seconds
from azext_acrimport.transfer.events import (
    BlobAdvanced,
    BlobFinished,
    BlobsFound,
    BlobStarted,
    ManifestFinished,
    TagWritten,
    Waiting,
)
from azext_acrimport.transfer.result import BlobOutcome

MIB = 1 << 20
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally(clock: Clock) -> CopyTally:
    return CopyTally(clock)


def test_a_copy_that_has_not_found_blobs_yet_is_reading(tally: CopyTally) -> None:
    assert ", ".join(tally.parts()) == "Copying: reading the image"


def test_the_summary_counts_blobs_and_bytes_and_tells_rate_and_time_left(tally: CopyTally, clock: Clock) -> None:
    tally.observe(BlobsFound(2, 30 * MIB))
    tally.observe(BlobsFound(1, 10 * MIB))
    tally.observe(BlobStarted(A, 20 * MIB))
    clock.now += 2
    tally.observe(BlobAdvanced(A, 10 * MIB))

    assert ", ".join(tally.parts()) == "Copying: 0 of 3 blobs, 10.0 MiB of 40.0 MiB, 5.0 MiB/s, 6 s left"


def test_a_blob_that_is_there_already_counts_as_done_but_not_for_the_rate(tally: CopyTally, clock: Clock) -> None:
    tally.observe(BlobsFound(2, 20 * MIB))
    clock.now += 1
    tally.observe(BlobFinished(A, 10 * MIB, BlobOutcome.EXISTING))
    tally.observe(BlobFinished(B, 5 * MIB, BlobOutcome.MOUNTED))

    assert ", ".join(tally.parts()) == "Copying: 2 of 2 blobs, 15.0 MiB of 20.0 MiB"


def test_bytes_that_are_sent_again_are_counted_once(tally: CopyTally) -> None:
    tally.observe(BlobsFound(1, 10 * MIB))
    tally.observe(BlobStarted(A, 10 * MIB))
    tally.observe(BlobAdvanced(A, 8 * MIB))
    tally.observe(BlobAdvanced(A, -4 * MIB))
    assert "4.0 MiB of 10.0 MiB" in ", ".join(tally.parts())
    tally.observe(BlobAdvanced(A, 6 * MIB))
    tally.observe(BlobFinished(A, 10 * MIB, BlobOutcome.COPIED))

    assert "1 of 1 blobs, 10.0 MiB of 10.0 MiB" in ", ".join(tally.parts())


def test_the_rate_is_of_the_last_seconds(tally: CopyTally, clock: Clock) -> None:
    tally.observe(BlobsFound(1, 1000 * MIB))
    tally.observe(BlobAdvanced(A, 500 * MIB))
    for _ in range(12):
        clock.now += 1
        tally.observe(BlobAdvanced(A, 2 * MIB))
        summary = ", ".join(tally.parts())

    assert "2.0 MiB/s" in summary


def test_a_wait_is_told_while_it_lasts(tally: CopyTally, clock: Clock) -> None:
    tally.observe(Waiting("docker.io", 3.0, "429"))
    assert "waiting for docker.io: 429" in ", ".join(tally.parts())

    clock.now += 3.1
    assert "waiting" not in ", ".join(tally.parts())


def test_events_of_manifests_and_tags_are_taken(tally: CopyTally) -> None:
    tally.observe(ManifestFinished(A, True))
    tally.observe(TagWritten("app", "v1"))

    assert ", ".join(tally.parts()) == "Copying: reading the image"


def test_there_is_a_bar_for_each_blob_on_its_way(tally: CopyTally) -> None:
    tally.observe(BlobStarted(A, 4 * MIB))
    tally.observe(BlobStarted(B, 0))
    tally.observe(BlobAdvanced(A, MIB))

    first, second = tally.blobs(80)
    assert first == "aaaaaaaaaaaa [######..................]  25% of 4.0 MiB"
    assert second.endswith("100% of 0 B")

    tally.observe(BlobFinished(A, 4 * MIB, BlobOutcome.COPIED))
    assert len(tally.blobs(80)) == 1


def test_a_tally_takes_events_from_many_threads(tally: CopyTally) -> None:
    tally.observe(BlobsFound(8, 8000))

    def work(number: int) -> None:
        digest = f"sha256:{number}"
        tally.observe(BlobStarted(digest, 1000))
        for _ in range(1000):
            tally.observe(BlobAdvanced(digest, 1))
        tally.observe(BlobFinished(digest, 1000, BlobOutcome.COPIED))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert "8 of 8 blobs, 7.8 KiB of 7.8 KiB" in ", ".join(tally.parts())


def test_the_service_is_followed_by_its_manifests() -> None:
    tally = ImportTally()
    assert ", ".join(tally.parts()) == "Importing: the service is at work"

    tally.follow({f"app@sha256:{number}": "Succeeded" if number < 3 else "Pending" for number in range(7)})
    assert ", ".join(tally.parts()) == "Importing: 3 of 7 manifests"

    tally.follow({})  # the answer at the end tells nothing more
    assert ", ".join(tally.parts()) == "Importing: 3 of 7 manifests"

    tally.follow({f"app@sha256:{number}": "Succeeded" for number in range(3, 7)})
    assert ", ".join(tally.parts()) == "Importing: 7 of 7 manifests"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_redrawn_in_place_and_left_clean(tally: CopyTally) -> None:
    stream = Terminal()
    display = Display(tally, stream, size=lambda: (100, 40))
    tally.observe(BlobsFound(1, MIB))
    tally.observe(BlobStarted(A, MIB))

    display.draw()
    assert stream.getvalue().count("\n") == 2
    display.draw()
    assert stream.getvalue().count("\n") == 2  # nothing has changed
    tally.observe(BlobAdvanced(A, MIB // 2))
    display.draw()
    assert "\x1b[2A\x1b[J" in stream.getvalue()
    display.clear()
    assert stream.getvalue().endswith("\x1b[2A\x1b[J")


@pytest.mark.parametrize(("rows", "bars"), [(40, 8), (6, 4), (2, 0), (1, 0)])
def test_no_more_bars_than_fit(tally: CopyTally, rows: int, bars: int) -> None:
    stream = Terminal()
    for number in range(20):
        tally.observe(BlobStarted(f"sha256:{number:064}", MIB))

    Display(tally, stream, size=lambda: (30, rows)).draw()

    lines = stream.getvalue().splitlines()
    assert len(lines) == bars + 1
    assert max(map(len, lines)) <= 29  # a line that fills the last column may wrap


def test_a_log_gets_a_line_when_something_has_changed(tally: CopyTally) -> None:
    stream = io.StringIO()
    display = Display(tally, stream)

    display.draw()
    display.draw()
    tally.observe(BlobsFound(1, MIB))
    tally.observe(BlobStarted(A, MIB))
    display.draw()
    display.clear()

    assert stream.getvalue() == "Copying: reading the image\nCopying: 0 of 1 blobs, 0 B of 1.0 MiB\n"


def test_a_display_draws_by_itself_and_stops(tally: CopyTally) -> None:
    drawn = threading.Event()

    class Stream(Terminal):
        def write(self, text: str) -> int:
            drawn.set()
            return super().write(text)

    stream = Stream()
    with Display(tally, stream, size=lambda: (80, 24)):
        assert drawn.wait(30)

    assert "Copying" in stream.getvalue()
    assert not [thread for thread in threading.enumerate() if thread.name == "acrx-progress"]


def test_a_display_that_is_turned_off_writes_nothing(tally: CopyTally) -> None:
    stream = Terminal()
    with Display(tally, stream, enabled=False):
        tally.observe(BlobsFound(1, MIB))

    assert stream.getvalue() == ""


def test_a_reader_that_went_away_does_not_end_the_copy(tally: CopyTally) -> None:
    class Broken(Terminal):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with Display(tally, Broken()) as display:
        display.draw()


@pytest.mark.parametrize(
    ("columns", "bar", "summary"),
    [
        (
            80,
            "aaaaaaaaaaaa [######..................]  25% of 4.0 MiB",
            "Copying: 0 of 1 blobs, 1.0 MiB of 4.0 MiB, waiting for docker.io: 429",
        ),
        (41, "aaaaaaaaaaaa [##.......]  25% of 4.0 MiB", "Copying: 0 of 1 blobs"),
        (31, "aaaaaaaaaaaa  25% of 4.0 MiB", "Copying: 0 of 1 blobs"),
        (21, "aaaaaaaaaaaa  25%", "Copying: 0 of 1 blob"),
        (2, "a", "C"),
    ],
)
def test_a_narrow_terminal_gets_what_fits(tally: CopyTally, columns: int, bar: str, summary: str) -> None:
    stream = Terminal()
    tally.observe(BlobsFound(1, 4 * MIB))
    tally.observe(BlobStarted(A, 4 * MIB))
    tally.observe(BlobAdvanced(A, MIB))
    tally.observe(Waiting("docker.io", 9, "429"))

    Display(tally, stream, size=lambda: (columns, 24)).draw()

    assert stream.getvalue().splitlines() == [bar, summary]


def test_wide_characters_are_counted_as_terminals_do() -> None:
    assert [cells(text) for text in ("ab", "日本", "e\u0301")] == [2, 4, 1]
    assert cut("日本語", 5) == "日本"
    assert fitted(["ab", "日本", "c"], 8) == "ab, 日本"


def test_a_terminal_made_narrower_is_cleaned_of_the_lines_that_it_wrapped(tally: CopyTally) -> None:
    stream, size = Terminal(), [(60, 24)]
    display = Display(tally, stream, size=lambda: size[0])
    tally.observe(BlobStarted(A, 100))

    display.draw()
    size[0] = (20, 24)
    display.clear()

    assert [len(line) for line in stream.getvalue().splitlines()[:2]] == [53, 26]
    assert stream.getvalue().endswith("\x1b[5A\x1b[J")  # three rows and two


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "ascii"])
def test_what_a_console_cannot_write_is_escaped(tally: CopyTally, encoding: str) -> None:
    written = io.BytesIO()
    tally.observe(Waiting("docker.io", 9, "日本"))

    Display(tally, io.TextIOWrapper(written, encoding, newline="")).draw()

    assert written.getvalue() == b"Copying: reading the image, waiting for docker.io: \\u65e5\\u672c\n"


def test_a_log_gets_long_names_whole(tally: CopyTally) -> None:
    stream = io.StringIO()
    tally.observe(Waiting("x" * 255, 9, "503"))

    Display(tally, stream, size=lambda: (20, 24)).draw()

    assert f"waiting for {'x' * 255}: 503\n" in stream.getvalue()


def test_azure_pipelines_get_commands(tally: CopyTally) -> None:
    stream = io.StringIO()
    display = Display(tally, stream, manner=Manner.COMMANDS)
    display.draw()
    tally.observe(BlobsFound(3, 3 * MIB))
    tally.observe(BlobFinished(A, 2 * MIB, BlobOutcome.EXISTING))
    tally.observe(Waiting("docker.io", 9, "##vso[task.complete result=Failed;]\n"))
    display.draw()
    display.clear()

    first, second = stream.getvalue().splitlines()
    assert first == "##vso[task.setprogress value=0;]Copying: reading the image"
    assert second.startswith("##vso[task.setprogress value=66;]Copying: 1 of 3 blobs, 2.0 MiB of 3.0 MiB, waiting")
    assert second.count("##vso") == 1


def test_shares_are_of_bytes_else_of_blobs_else_of_manifests(tally: CopyTally) -> None:
    assert tally.share() == 0
    tally.observe(BlobsFound(2, 0))
    tally.observe(BlobFinished(A, 0, BlobOutcome.COPIED))
    assert tally.share() == 0.5

    service = ImportTally()
    assert service.share() == 0
    service.follow({"app@sha256:0": "Succeeded", "app@sha256:1": "Pending"})
    assert service.share() == 0.5


def test_the_images_of_a_list_come_first_and_count() -> None:
    tally, done = RunTally(4, by_service=1), object()
    assert tally.parts() == ["0 of 4 images", "1 with the service"]

    with tally.copying():
        tally.observe(BlobsFound(40, 40 * MIB))
        tally.ended(done)
        tally.ended(done)  # as the copier tells it, and then the run
        parts = ["1 of 4 images", "1 with the service", "0 of 40 blobs", "0 B of 40.0 MiB"]
        assert (tally.parts(), tally.share()) == (parts, 0.25)
        tally.import_ended()
        assert tally.parts() == ["1 of 4 images", "0 of 40 blobs", "0 B of 40.0 MiB"]
    tally.ended(object())
    assert (tally.parts(), tally.share(), tally.blobs(80)) == (["2 of 4 images"], 0.5, [])


def test_one_image_is_told_of_by_the_route_that_it_is_on() -> None:
    tally = RunTally(1, by_service=1)
    tally.follow({"app@sha256:0": "Succeeded", "app@sha256:1": "Pending"})
    assert (tally.parts(), tally.share()) == (["Importing: 1 of 2 manifests"], 0.5)

    tally.import_ended()
    assert (tally.parts(), tally.share(), tally.blobs(80)) == ([], 0, [])
    with tally.copying():
        assert (tally.parts(), tally.share()) == (["Copying: reading the image"], 0)


@pytest.mark.parametrize("manner", Manner)
def test_of_nothing_under_way_nothing_is_shown(manner: Manner) -> None:
    stream, tally = Terminal(), RunTally(1, by_service=1)
    display = Display(tally, stream, manner=manner)
    display.draw()
    shown = stream.getvalue()
    tally.import_ended()
    display.draw()

    rest = stream.getvalue().removeprefix(shown)
    assert "Importing" in shown
    assert rest == ("\x1b[1A\x1b[J" if manner is Manner.BARS else "")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3.5 * MIB, "3.5 MiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 42, "4.0 TiB"),
    ],
)
def test_bytes_are_written_for_people(count: float, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (7800, "2 h 10 min")]
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
