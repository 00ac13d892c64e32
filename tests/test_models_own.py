"""Networks of others, named in a scenario that stands anywhere."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch

from hil import models
from hil.compiler import compile_model
from hil.config import scenario
from hil.errors import UsageError
from hil.models import own
from hil.run import named, network
from hil.vision import photographs

_NETS = """
import torch
from torch import nn

from hil.models.blocks import FlattenMaps
from nets_helper import CHANNELS


class Net(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.first = nn.Conv2d(3, CHANNELS, 3, 2, 1)
        self.active = nn.ReLU()
        self.last = nn.Conv2d(CHANNELS, outputs, 4)
        self.output = FlattenMaps()

    def forward(self, x):
        return self.output(self.last(self.active(self.first(x))))


def make(outputs=2, seed=0):
    if outputs == 13:
        raise ValueError("thirteen\\nis no good")
    return Net(outputs)


class Named(nn.Module):
    def forward(self, x):
        return {"y": x}


def rows():
    return nn.Flatten(2)


def five():
    return 5


table = {}
"""
_SCENARIO = """
[input]
rows = 8
columns = 8
channels = 3
mean = 0.5
std = 0.25
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(_NETS, encoding="utf-8")
    (tmp_path / "nets_helper.py").write_text("CHANNELS = 4\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit(3)\n", encoding="utf-8")
    (tmp_path / "unfinished.py").write_text("x = 1\ndef f(:\n", encoding="utf-8")
    return tmp_path


def written(project: Path, head: str, tail: str = _SCENARIO) -> scenario.Scenario:
    path = project / "mine.toml"
    path.write_text(f"{head}\n{tail}", encoding="utf-8")
    return scenario.load(str(path))


def first(loaded: models.LoadedModel) -> torch.Tensor:
    weight: torch.Tensor = loaded.module.state_dict()["first.weight"]
    return weight


def test_a_network_in_a_file_beside_the_scenario_compiles(project: Path) -> None:
    chosen = written(project, 'model = "nets.py:make"\nseed = 3\nvariant.outputs = 5')
    loaded = network.load(chosen)
    assert (loaded.model_id, loaded.weights) == ("nets.make", "seed 3")
    image = photographs.prepare("astronaut", loaded.spec)
    assert image.min() >= -2
    assert image.max() <= 2
    assert loaded.run(image).shape == (5,)
    again = network.load(chosen)
    assert np.array_equal(loaded.run(image), again.run(image))
    program = compile_model(loaded, [image]).program
    assert (program.name, program.output.count) == ("nets.make", 5)


def test_a_network_in_a_module_is_found_beside_the_scenario(project: Path) -> None:
    before = list(sys.path)
    (project / "a_package_of_nets").mkdir()
    (project / "a_package_of_nets" / "nets.py").write_text(_NETS, encoding="utf-8")
    loaded = network.structure(written(project, 'model = "a_package_of_nets.nets:make"'))
    assert loaded.model_id == "a_package_of_nets.nets.make"
    assert sys.path == before


def test_a_variant_may_be_named_as_an_argument_of_ours(project: Path) -> None:
    chosen = written(project, 'model = "nets.py:make"\nvariant = { seed = 4, outputs = 3 }')
    assert network.structure(chosen).run(np.zeros((8, 8, 3), np.float32)).size == 3


def test_a_network_may_keep_its_own_weights(project: Path) -> None:
    chosen = written(project, 'model = "nets.py:make"\nseed = 1\nkeep_weights = true')
    loaded, again = network.load(chosen), network.load(chosen)
    assert loaded.weights == "its own, seed 1"
    assert torch.equal(first(loaded), first(again))
    assert first(loaded).abs().max() < 0.2  # torch's draw: 1 / sqrt(27)
    seeded = network.load(written(project, 'model = "nets.py:make"\nseed = 1'))
    assert not torch.equal(first(loaded), first(seeded))


def test_a_checkpoint_fits_a_network_of_ones_own(project: Path) -> None:
    trained = network.load(written(project, 'model = "nets.py:make"\nseed = 8'))
    torch.save(trained.module.state_dict(), project / "mine.pth")
    second = network.load(written(project, 'model = "nets.py:make"\ncheckpoint = "mine.pth"'))
    assert torch.equal(first(trained), first(second))


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("nets:make:", "names no function"),
        (":make", "names no function"),
        ("nets.py:1", "names no function"),
        ("absent.py:make", r"there is no file .*absent\.py"),
        ("no_module_of_that_name:make", "No module named 'no_module_of_that_name'"),
        ("nets.py:absent", "nets.py has no function absent"),
        ("nets.py:table", "nets.py has no function table"),
        ("nets.py:five", "five returns int, no torch.nn.Module"),
        ("nets.py:rows", r"returns \(1, 3, 64\); expected vectors of \(1, outputs\) or maps"),
        ("nets.py:Named", "returns dict; expected"),
        ("broken.py:make", r"No module named 'nothing_of_that_name'\n  at .*broken\.py:1"),
        ("leaving.py:make", r"SystemExit: 3\n  at .*leaving\.py:2"),
        ("unfinished.py:make", r"SyntaxError: .*\n  at .*unfinished\.py:2"),
    ],
)
def test_a_wrong_name_or_module_is_told(project: Path, model: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        network.load(written(project, f'model = "{model}"'))


@pytest.mark.parametrize(
    ("variant", "complaint"),
    [
        ("outputs = 13", r"ValueError: thirteen.*\n  at .*nets\.py:23"),
        ("outputs = 3.5", r"cannot be made: ValueError: .*\n  at .*nets\.py:14"),
        ("width = 2", "unknown variant of nets.py:make 'width'\n  known: outputs, seed"),
    ],
)
def test_arguments_that_the_function_does_not_take_are_told(
    project: Path, variant: str, complaint: str
) -> None:
    with pytest.raises(UsageError, match=f"(?s){complaint}"):
        network.load(written(project, f'model = "nets.py:make"\nvariant.{variant}'))


def test_a_variant_of_ours_with_a_wrong_value_is_told_too(project: Path) -> None:
    with pytest.raises(UsageError, match=r"order = 3: expected .*rows_first"):
        network.load(written(project, 'model = "face_m4"\nvariant.order = 3', ""))


def test_an_input_that_the_network_does_not_take_is_told(project: Path) -> None:
    wrong = _SCENARIO.replace("channels = 3", "channels = 1")
    with pytest.raises(UsageError, match=r"does not take 8x8x1: RuntimeError"):
        network.load(written(project, 'model = "nets.py:make"', wrong))
    with pytest.raises(UsageError, match=r"nothing says what .*\n  add to the scenario: \[input\]"):
        network.load(written(project, 'model = "nets.py:make"', ""))


def test_a_network_of_ours_may_be_given_another_input(project: Path) -> None:
    chosen = written(project, 'model = "vww_rnnpool"', _SCENARIO.replace("= 8", "= 96"))
    loaded = network.structure(chosen)
    assert loaded.spec.shape == (96, 96, 3)
    assert loaded.run(np.zeros(loaded.spec.shape, np.float32)).shape == (2,)


def test_an_installed_package_offers_networks(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("theirs", f"{project / 'nets.py'}:make", own.GROUP)
    monkeypatch.setattr(own, "entry_points", lambda **_: [point])
    assert "theirs" not in models.names()
    with pytest.raises(UsageError, match=r"unknown model 'thirs'\n  known: .*theirs"):
        network.structure(written(project, 'model = "thirs"'))
    assert network.structure(written(project, 'model = "theirs"')).model_id == "theirs"


def test_a_module_of_the_same_name_elsewhere_is_not_taken_for_the_scenarios(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    for folder in (project, other):
        (folder / "nets_of_one_name.py").write_text(_NETS, encoding="utf-8")
    (other / "nets_helper.py").write_text("CHANNELS = 4\n", encoding="utf-8")
    model = 'model = "nets_of_one_name:make"'
    assert network.structure(written(project, model)).parameters
    with pytest.raises(UsageError, match=r"nets_of_one_name\.py is loaded.*other.*\.py"):
        network.structure(written(other, model))


@pytest.mark.parametrize(
    ("model", "name"),
    [("nets.py:make", "nets.make"), ("a/b-c.py:f", "b_c.f"), ("p.q:f", "p.q.f"), ("ü.py:f", "_.f")],
)
def test_the_firmware_can_say_the_networks_name(model: str, name: str) -> None:
    assert own.plain_name(model) == name
    assert len(own.plain_name("n" * 99 + ".py:make")) == 31


def test_outputs_have_the_names_and_labels_of_the_scenario(project: Path) -> None:
    named_so = 'model = "nets.py:make"\n[output]\nnames = ["scores"]\nlabels = ["cat", "dog"]'
    chosen = written(project, named_so)
    program = compile_model(network.load(chosen), [np.zeros((8, 8, 3), np.float32)]).program
    named.check(chosen, program)
    outputs = np.array([-20, 30], np.int8)
    scores = named.values(chosen, program.output, outputs)["scores"]
    assert scores.shape == (1, 1, 2)
    assert scores.ravel() == pytest.approx(program.dequantise_output(outputs))
    assert named.label(chosen, program.output, outputs) == "dog"
    bare = written(project, 'model = "nets.py:make"')
    assert named.label(bare, program.output, outputs) is None
    assert len(named.values(bare, program.output, outputs)) == 1


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ('names = ["a", "b"]', "output.names has 2 entries, the model nets.make 1 maps"),
        ('labels = ["a"]', "output.labels has 1 entries, the model nets.make 2 output values"),
    ],
)
def test_names_for_other_outputs_than_there_are_are_refused(
    project: Path, names: str, complaint: str
) -> None:
    chosen = written(project, f'model = "nets.py:make"\n[output]\n{names}')
    program = compile_model(network.load(chosen), [np.zeros((8, 8, 3), np.float32)]).program
    with pytest.raises(UsageError, match=complaint):
        named.check(chosen, program)
