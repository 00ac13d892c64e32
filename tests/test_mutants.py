"""No mutant passes with a wrong figure: a tenth of mutants.py, and all of it at night."""

from collections.abc import Iterator

import mutants
import pytest
from mutants import KINDS, Bench, Mutant, of_figures
from planted_firmware import kept_board, open_small

from hil.link import messages
from hil.run import plausible

_SILENCE_S = 1.0  # a tenth of them hangs for as long


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with kept_board() as board:
        yield Bench(open_small(tmp_path_factory.mktemp("mutants")), board, _SILENCE_S)


@pytest.mark.parametrize("kind", KINDS)
def test_no_mutant_passes_with_a_wrong_figure(bench: Bench, kind: str) -> None:
    make, count = KINDS[kind]
    outcome = bench.try_all(make(bench, 1), count // 10)
    print(outcome)
    assert outcome.false_passes == []
    assert outcome.verdicts.total() == count // 10
    assert outcome.verdicts["equal"] < count // 10


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_none_of_420_mutants_passes_with_a_wrong_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.main(["--seed=2"]) == 0
    with capsys.disabled():
        print(capsys.readouterr().out)


def test_what_is_not_changed_is_equal(bench: Bench) -> None:
    outcome = bench.try_one(Mutant("nothing", bench.prepared))
    assert outcome.verdicts == {"equal": 1}


def test_without_the_checks_wrong_figures_pass_and_are_counted_as_false(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausible, "CHECKS", ())
    halved = next(
        one for one in of_figures(bench, 3) if one.what == "Done.cycles" and _cycles(one) < 100_000
    )
    outcome = bench.try_one(halved)
    assert len(outcome.false_passes) == 1
    assert "Done.cycles" in outcome.false_passes[0]


def _cycles(mutant: Mutant) -> int:
    body = messages.Done(159_829, 1, 1, 0).pack()
    message = mutant.parse(messages.Done.kind, body)
    assert isinstance(message, messages.Done)
    return message.cycles
