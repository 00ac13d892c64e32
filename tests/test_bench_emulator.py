"""`hil bench emulator`: what it says of a first run, of the second, and of one never seen."""

from hil.studies.bench.emulator import Speed, first_and_second, one_more_takes


def test_the_first_run_stands_beside_the_second_and_beside_an_image_that_never_ran() -> None:
    speeds = (Speed(69_000_000, 9.0, cpu_s) for cpu_s in (0.9, 0.45, 0.3))
    assert first_and_second(*speeds) == (
        "second run behind a reset: 0.30 CPU seconds\n"
        "first run: 0.45, 1.50 times as much: "
        "its blocks are translated, and their costs are known from an earlier board\n"
        "first run of an image that has never run: 0.90, 3.00 times as much: "
        "its blocks are costed, too"
    )


def test_what_a_board_takes_is_told_in_mib_or_as_unknown() -> None:
    assert one_more_takes(17 << 20) == "memory of one more board: 17 MiB"
    assert one_more_takes(None) == "memory of one more board: unknown"
