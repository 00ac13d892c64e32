"""32-bit instructions of emitted code stand at multiples of four where that saves cycles."""

from hil.compiler.code.align import align_wide
from hil.compiler.code.assembly import Assembly
from hil.compiler.code.thumb import function_bytes, instruction_sizes

_RUN = 3


def unaligned_runs(text: str) -> int:
    """Runs of three 32-bit instructions at odd halfwords, in one function."""
    at = run = found = 0
    for size in instruction_sizes(text.partition("    .thumb_func\n")[2].splitlines()):
        run = run + 1 if size == 4 and at % 4 else 0
        found += run == _RUN
        at += size
    return found


def function(*instructions: str) -> Assembly:
    out = Assembly()
    out.function("f", "")
    out.put(*instructions)
    return out


def test_a_single_narrow_instruction_in_front_of_wide_ones_is_widened() -> None:
    wide = ("smlad r4, r5, r6, r4",) * 3
    assert "ldr.w r2, [r1, #4]" in function("ldr r2, [r1, #4]", *wide).text
    assert function_bytes(function("ldr r2, [r1, #4]", *wide).text) == {"f": 16}


def test_two_narrow_instructions_fill_a_word_by_themselves() -> None:
    wide = ("smlad r4, r5, r6, r4",) * 3
    text = function("ldr r2, [r1, #4]", "ldr r3, [r1, #8]", *wide).text
    assert ".w" not in text
    assert unaligned_runs(text) == 0


def test_fewer_wide_instructions_never_wait_and_narrow_ones_stay() -> None:
    lines = function("ldr r2, [r1]", *("smlad r4, r5, r6, r4",) * 2, "mov r0, r1").lines
    assert align_wide(lines) == lines


def test_what_an_it_block_holds_stays_as_it_is() -> None:
    wide = ("smlad r4, r5, r6, r4",) * 4
    text = function("vmov r4, s1", "it gt", "movgt r4, r5", "cmp r4, r5", *wide).text
    assert "movgt r4, r5" in text
    assert "cmp.w r4, r5" in text
    assert unaligned_runs(text) == 0


def test_branches_count_as_long_as_they_are() -> None:
    body = ("smlad r4, r5, r6, r4",) * 3
    out = function(*body)
    out.lines.insert(-3, ".Lf_round:")
    out.put("bne .Lf_round", *body)
    assert "bne.w .Lf_round" in out.text  # near, so that it would take two bytes
    assert unaligned_runs(out.text) == 0
