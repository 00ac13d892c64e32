"""`hil bench peers`: kernels of others beside ours, from checkouts that the tests write."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import peer_checkouts
import pytest
from torch import nn

from hil.build import toolchain
from hil.cli import main
from hil.compiler import plan, reference
from hil.compiler.operators.add import Add
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.pool2d import Pool2D
from hil.config import board
from hil.errors import BuildError, MismatchError, UsageError
from hil.models.blocks import ConvBNReLU6, MBConv
from hil.models.pooling import Classifier, GlobalAverage
from hil.studies.bench import kernels
from hil.studies.bench.peers import bench, build, calls, checkouts, core, report, works
from hil.studies.bench.peers.bench import Line, Subject
from hil.studies.profile.layers import LayerProfile
from hil.targets.spent import NOTHING

CHIP = board.load("stm32f439")
SHAPE = (12, 16, 3)


@pytest.fixture(scope="module")
def subject() -> Subject:
    """A network with every kind of layer that peers have; what ours takes is made up."""
    network = nn.Sequential(
        ConvBNReLU6(3, 8, kernel=3, stride=2),
        MBConv(8, 8, expansion=2),
        MBConv(8, 12, expansion=2, stride=2),
        GlobalAverage(),
        Classifier(12, 4),
    )
    program = kernels.quantise("peers", SHAPE, network)
    planned = plan.make_plan(program, plan.Budget.of(CHIP))
    x = np.random.default_rng(0).integers(-128, 128, SHAPE).astype(np.int8)
    ours = tuple(LayerProfile(s.name, s.macs, 1000 + s.macs, NOTHING) for s in planned.steps)
    return Subject("peers", "", program, planned, x, ours, "zig of the test")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two checkouts."""
    folder = tmp_path_factory.mktemp("checkouts")
    return (
        peer_checkouts.cmsis_nn(folder / "CMSIS-NN"),
        peer_checkouts.tinyengine(folder / "tinyengine"),
    )


@pytest.fixture(scope="module")
def lines(subject: Subject, folders: tuple[Path, Path]) -> Iterator[list[Line]]:
    """The network beside both peers."""
    found = [checkouts.cmsis_nn(folders[0]), checkouts.tinyengine(folders[1])]
    once = [replace(one, options=("",)) for one in found]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "subjects", lambda *_: iter([subject]))
        # gcc where it is, which takes a tenth of zig's time
        yield list(bench.run(once, toolchain.find_all()[-1:], "stm32f439", lambda _: None))


@pytest.mark.slow
def test_both_peers_are_built_by_zig_too(
    subject: Subject, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "subjects", lambda *_: iter([subject]))
    zig = toolchain.find_toolchain("zig")
    found = [checkouts.cmsis_nn(folders[0]), checkouts.tinyengine(folders[1])]
    (total,) = bench.whole(list(bench.run(found, [zig], "stm32f439", lambda _: None)))
    assert all(total.cycles(one.peer) for one in found)


def test_a_network_s_layers_stand_for_all_that_it_computes(subject: Subject) -> None:
    found = list(works.works(subject.program, subject.plan, subject.x))
    assert sum(work.layer.macs for work in found) == subject.program.macs
    assert works.left_out(subject.plan) == []
    maps = reference.maps(subject.program, subject.x)
    for work in found:
        if isinstance(work.layer, Add):
            # requantised twice, where ours is once: a level of each rounding
            assert np.abs(work.expected.astype(int) - maps[work.layer.output.name]).max() <= 1
        elif isinstance(work.layer, Conv2D):  # one that adds has no map of its own in ours
            same = maps.get(work.layer.output.name, work.expected)
            assert np.array_equal(work.expected, same)
    assert sum(isinstance(work.layer, Add) for work in found) == 1


def test_factors_are_peers_multipliers_and_shifts() -> None:
    real = np.array([0.25, 1e-5, 3.0, 1 - 2.0**-40])
    multiplier, shift = calls.fixed_point(real)
    assert (multiplier >= 2**30).all()
    assert np.allclose(multiplier * 2.0 ** (shift - 31.0), real, rtol=2e-9)


def test_every_layer_of_both_peers_is_computed_and_close(lines: list[Line]) -> None:
    best = [layer.best for line in lines for of in line.layers.values() for layer in of]
    assert all(one is not None and one.cycles > 0 and one.off <= core.MOST_OFF for one in best)
    called = {one.call for one in best if one}
    assert {"CONVOLVE", "DEPTHWISE", "FULLY_CONNECTED", "ADD", "AVERAGE"} <= called
    assert called & {"RGB", "RGB_FLOAT"}
    assert called & {"DEPTHWISE_1", "DEPTHWISE_1_FLOAT"}
    assert called & {"DEPTHWISE_2", "DEPTHWISE_2_FLOAT"}


def test_the_table_has_every_step_and_the_whole(lines: list[Line], tmp_path: Path) -> None:
    (total,) = bench.whole(lines)
    for peer in ("CMSIS-NN", "TinyEngine"):
        assert total.cycles(peer) == sum(line.cycles(peer) or 0 for line in lines)
    assert total.ours == sum(line.ours for line in lines)
    text = report.markdown(lines, [])
    assert text.count("\n| peers ") == len(lines) + 1
    bench.write_csv(lines, tmp_path / "peers.csv")
    with (tmp_path / "peers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["by"] for row in rows} == {"ours", "CMSIS-NN", "TinyEngine"}
    theirs = sum(int(row["cycles"]) for row in rows if row["by"] == "CMSIS-NN")
    assert theirs == total.cycles("CMSIS-NN")


def test_a_layer_without_a_kernel_leaves_the_sum_open(lines: list[Line]) -> None:
    first, *others = lines
    lost = replace(first.layers["TinyEngine"][0], best=None)
    open_line = replace(first, layers={**first.layers, "TinyEngine": (lost,)})
    (total,) = bench.whole([open_line, *others])
    assert total.cycles("TinyEngine") is None
    assert total.cycles("CMSIS-NN") is not None
    assert "no kernel for 1 layers" in " ".join(
        report.pedigree([open_line, *others], [_named("TinyEngine")])
    )


def _named(peer: str) -> checkouts.Checkout:
    return checkouts.Checkout(peer, "1", Path(), (), (), (), {})


def test_a_wrong_output_is_told_with_its_layer(
    subject: Subject, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    found = checkouts.cmsis_nn(folders[0])
    wrong = tmp_path / "wrong.c"
    source = found.sources[0].read_text(encoding="utf-8")
    wrong.write_text(source.replace("p->output_offset + req", "p->output_offset + 2 + req"))
    once = replace(found, sources=(wrong,), options=("",))
    made, *_ = build.builds(once, toolchain.find_all()[-1:], tmp_path / "built")
    work = next(works.works(subject.program, subject.plan, subject.x))
    call, seen = next(found.ways(work))
    with pytest.raises(MismatchError, match=rf"{work.name} by convolve, .* -O2, weights in flash"):
        list(core.outcomes(seen, call, made, core.with_more_sram(CHIP)))


def test_the_command_prints_a_network_beside_a_checkout(
    lines: list[Line],
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bench, "run", lambda *_: iter(lines))
    arguments = ["bench", "peers", "--cmsis-nn", str(folders[0]), "--tinyengine", str(folders[1])]
    assert main([*arguments, "--markdown"]) == 0
    printed = capsys.readouterr().out
    assert "Ours by zig of the test; CMSIS-NN sha256" in printed
    assert "| peers whole |" in printed
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "CMSIS-NN times TinyEngine times" in printed  # nothing is cut in 80 columns
    assert max(map(len, printed.splitlines())) <= 80


def test_a_folder_that_is_no_checkout_is_refused_by_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "peers"]) == 2
    assert "no checkout of a peer is named" in capsys.readouterr().err
    assert main(["bench", "peers", "--cmsis-nn", str(tmp_path)]) == 2
    assert "is no checkout of CMSIS-NN: it has no Include" in capsys.readouterr().err
    assert main(["bench", "peers", "--tinyengine", str(tmp_path / "none")]) == 2
    assert "git clone --recursive" in capsys.readouterr().err


def test_a_generator_that_fails_is_told(tmp_path: Path) -> None:
    other = peer_checkouts.tinyengine(tmp_path / "other")
    template = other / "code_generator/codetemplate/depthwiseTemplate.py"
    template.write_text("raise ValueError('not today')\n", encoding="utf-8")
    with pytest.raises(BuildError, match="not today"):
        checkouts.tinyengine(other)


def test_an_operator_that_no_peer_has_is_named(subject: Subject) -> None:
    pool = subject.plan.steps[-2].operators[0]
    assert isinstance(pool, Pool2D)
    other = replace(pool, kind="max")
    step = replace(subject.plan.steps[-2], operators=(other,))
    planned = replace(subject.plan, steps=(step,))
    with pytest.raises(UsageError, match=f"no peer has a kernel for {pool.name}"):
        list(bench.lines(replace(subject, plan=planned), [], {}, CHIP, lambda _: None))
