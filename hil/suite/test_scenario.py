"""What every scenario must do on its board: right, close, fast enough, small enough."""

from collections.abc import Callable

Hold = Callable[[str], None]


def test_outputs_equal_the_integer_reference_to_the_bit(hold: Hold) -> None:
    hold("output.mismatches")


def test_integer_reference_is_close_to_the_float_model(hold: Hold) -> None:
    hold("output.cosine")


def test_latency_is_within_the_limit(hold: Hold) -> None:
    hold("latency")


def test_ram_in_the_papers_convention_is_within_the_limit(hold: Hold) -> None:
    hold("ram.paper")


def test_ram_with_stack_and_static_data_is_within_the_limit(hold: Hold) -> None:
    hold("ram.total")


def test_flash_is_within_the_limit(hold: Hold) -> None:
    hold("flash.total")
