"""`hil bench emulator`: what it says of a first run, of the second, and of one never seen."""

from hil.studies.bench.emulator import Speed, first_and_second


def test_the_first_run_stands_beside_the_second_and_beside_an_image_that_never_ran() -> None:
    speeds = (Speed(69_000_000, 9.0, cpu_s) for cpu_s in (0.9, 0.45, 0.3))
    assert first_and_second(*speeds) == (
        "first run: 0.45 CPU seconds, second: 0.30; 1.50 times as much, "
        "3.00 times for an image that has never run"
    )
