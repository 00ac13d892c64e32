"""Call stacks without instrumentation, and the file that shows them."""

import json
from pathlib import Path

import thumb
import timing_machine as machine
from timing_machine import ART_OFF, Machine

from hil.studies.profile import flame

SOURCE = """
function start
.global begin
begin:
    push {r4, lr}
    bl outer
    bl inner
    nop
.global end
end: b .
function outer
    push {r4, lr}
    bl inner
    bl inner
    pop {r4, pc}
function inner
    adds r0, #1
    b 1f
1:  bx lr
"""


def called() -> tuple[dict[tuple[str, ...], int], int]:
    """Return the cycles by chain of names, and all of them."""
    built = machine.program(SOURCE)
    core = Machine(built.code, acr=ART_OFF)
    total = core.run(built.labels["begin"], built.labels["end"])
    functions = flame.Functions.of(thumb.assemble(SOURCE, "timing"))
    stacks = core.timing.call_stacks()
    named = {tuple(functions.name(entry) for entry in chain): c for chain, c in stacks.items()}
    return {chain: cycles for chain, cycles in named.items() if cycles}, total


def test_every_chain_of_calls_has_its_own_cycles() -> None:
    stacks, total = called()
    assert set(stacks) == {
        ("start",),
        ("start", "outer"),
        ("start", "outer", "inner"),
        ("start", "inner"),
    }
    assert sum(stacks.values()) == total
    assert stacks["start", "outer", "inner"] == 2 * stacks["start", "inner"]


def test_a_difference_of_two_readings_leaves_out_what_did_not_run() -> None:
    assert flame.spent_between({(1,): 5, (2,): 7}, {(1,): 5, (2,): 9, (3,): 1}) == {
        (2,): 2,
        (3,): 1,
    }


def test_functions_are_summed_over_their_callers() -> None:
    functions = flame.Functions([0x10, 0x20], ["outer", "inner"], [0x20, 0x30])
    stacks = {(): 1, (0x10,): 2, (0x10, 0x20): 3, (0x20,): 4}
    assert flame.by_function(stacks, functions) == {"inner": 7, "outer": 2, "(not called)": 1}


def test_the_file_is_what_speedscope_reads(tmp_path: Path) -> None:
    functions = flame.Functions([0x10, 0x20], ["outer", "inner"], [0x20, 0x30])
    path = tmp_path / "run.speedscope.json"
    flame.write_speedscope({(0x10,): 2, (0x10, 0x22): 3}, functions, path, "a run")
    document = json.loads(path.read_text(encoding="utf-8"))
    profile = document["profiles"][0]
    assert document["shared"]["frames"] == [{"name": "outer"}, {"name": "inner"}]
    assert profile["samples"] == [[0], [0, 1]]
    assert profile["weights"] == [2, 3]
    assert profile["endValue"] == 5


def test_an_assemblers_label_is_a_function_and_one_with_a_size_ends() -> None:
    source = """
    function start
        bl label
        b .
    function sized
        bx lr
        .size sized, . - sized
        nop
    .global label
    label:
        nop
        bx lr
    local:
        nop
    """
    functions = flame.Functions.of(thumb.assemble(source, "labels"))
    at = {name: address for address, name in zip(functions.addresses, functions.names, strict=True)}
    assert functions.name(at["label"] + 2) == "label"
    assert functions.name(at["label"] + 4) == "label", "a local label is none of its own"
    assert functions.name(at["sized"]) == "sized"
    assert functions.name(at["sized"] + 2) == "?"
    assert functions.name(at["start"] - 2) != "start"


def test_an_object_in_data_is_no_function() -> None:
    functions = flame.Functions.of(
        thumb.assemble('function start\n b .\n.section .data, "aw"\n.global table\ntable: .word 1')
    )
    assert "table" not in functions.names
