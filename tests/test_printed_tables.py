"""Tables of studies as documents print them."""

from types import SimpleNamespace

from hil.studies.bench import markdown as bench
from hil.studies.bench.kernels import Row
from hil.studies.profile.layers import LayerProfile
from hil.studies.quantisation import markdown as quantisation
from hil.targets.spent import NOTHING


def row(compiler: str, name: str, macs: int, cycles: int) -> Row:
    return Row(f"{compiler} 1.2", LayerProfile(name, macs, cycles, NOTHING))


def test_operators_stand_in_a_line_with_each_compiler_beside_the_other() -> None:
    rows = [row("zig", "1x1", 2_000_000, 3_000_000), row("gcc", "1x1", 2_000_000, 2_500_000)]
    assert bench.kernels(rows).splitlines() == [
        "| operator | MACs, M | zig cycles, M | cycles/MAC | gcc cycles, M | cycles/MAC |",
        "| --- | --: | --: | --: | --: | --: |",
        "| 1x1 | 2.00 | 3.00 | 1.500 | 2.50 | 1.250 |",
    ]


def test_layers_are_those_of_sparse_or_of_dense_weights() -> None:
    rows = [row("zig", "sparse pool", 5_000_000, 6_000_000), row("zig", "dense pool", 1, 7_000_000)]
    assert bench.face_m4(rows, dense=False).splitlines()[2:] == ["| pool | 5.00 | 6.00 |"]
    assert bench.face_m4(rows, dense=True).splitlines()[2:] == ["| pool | 0.00 | 7.00 |"]


def outcome(what: str, sqnr: dict[str, float]) -> SimpleNamespace:
    quality = SimpleNamespace(
        cosine={"moon": 0.5, "coins": 0.25},
        least_cosine=0.25,
        mean_cosine=0.375,
        map_cosine={"loc.0": 0.125, "loc.1": 0.75},
        sqnr_db=sqnr,
    )
    return SimpleNamespace(variant=SimpleNamespace(what=what), quality=quality)


def test_a_networks_quantisation_is_told_by_photograph_operator_and_choice() -> None:
    sqnr = {"pool": 42.84, "a": 1.04, "b": float("inf"), "c": 3.0}
    outcomes = [outcome("kept", sqnr), outcome("states in 8 bits", {"a": 2.0})]
    report = SimpleNamespace(
        outcomes=outcomes, as_is=outcomes[0].quality, evaluation=("moon", "coins")
    )

    def lines(part: str) -> list[str]:
        return quantisation.write(report, part).splitlines()[2:]  # type: ignore[arg-type]

    assert lines("photographs") == ["| moon | 0.50000 |", "| coins | 0.25000 |"]
    assert lines("operators") == [
        "| pool | 42.8 | b | exact |",
        "| a | 1.0 | c | 3.0 |",
    ]
    assert lines("choices") == [
        "| **kept** | **0.25000** | **0.37500** | **0.1250 `loc.0`** | **42.8 dB** | **1.0 dB** |",
        "| states in 8 bits | 0.25000 | 0.37500 | 0.1250 `loc.0` |  | 2.0 dB |",
    ]
