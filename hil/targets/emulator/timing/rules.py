"""The timing rules: what each costs, where that is written, and why that reading was chosen.

A rule's value is a whole number of cycles or a yes/no reading of the manual; none is fitted. TRM is
Arm DDI 0439D, "Cortex-M4 r0p0 Technical Reference Manual"; RM is ST RM0090 rev 21. A rule whose
source is a study was chosen between readings by the measurements in docs/timing.md.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

TIMING_VERSION = "m4-3"
"""Names the frozen rule set; every result carries it. It changes when any count may change."""


def _rule(value: Any, what: str, source: str, *, without: Any = None) -> Any:
    """Declare a rule; `without` is the value that takes it away."""
    return field(default=value, metadata={"what": what, "source": source, "without": without})


@dataclass(frozen=True)
class Rules:
    """The rule set; replace a field to study another reading."""

    simple: int = _rule(
        1, "data processing, multiply, saturate, bit field, status, hint", "TRM table 3-1"
    )
    load: int = _rule(2, "LDR, LDRB, LDRH, LDRSB, LDRSH, LDREX", "TRM table 3-1")
    load_pairs: bool = _rule(
        True,
        "a load's second cycle is hidden by a directly following load: N loads take N + 1",
        "TRM section 3.3",
        without=False,
    )
    load_pairs_across_blocks: bool = _rule(
        False,
        "the same when the two loads go to different memories (flash, SRAM1, SRAM2, CCM)",
        "study: silicon measurements by jnk0le; Embench mean error 4.8 % with, 3.5 % without",
        without=True,
    )
    load_hides_under_store: bool = _rule(
        True,
        "a load's second cycle is hidden by a directly following STR [Rn, #imm]",
        "TRM section 3.3; matmult-int is 50 cycles in 93,211 too long without",
        without=False,
    )
    load_hides_under_store_to_sram2: bool = _rule(
        False,
        "the same when the store goes to SRAM2",
        "study: schoolbook products in SRAM2, whose blocks of 8 x 8 store what they have just "
        "loaded, are within 1.4 % without and up to 4.9 % fast with; Embench is nearer without "
        "too; in no document",
        without=True,
    )
    nop_in_second_cycle: bool = _rule(
        True,
        "the second cycle of a load or of STR [Rn, Rm] is hidden by a directly following NOP",
        "study: silicon measurements by jnk0le, two cycles each with the NOP",
        without=False,
    )
    store: int = _rule(1, "STR [Rn, #imm], through the write buffer", "TRM section 3.3")
    store_register_offset: int = _rule(2, "STR [Rn, Rm]", "TRM section 3.3", without=1)
    load_after_store: int = _rule(
        1,
        "a load directly after a store waits",
        "study: jnk0le on silicon; Saber mean error 2.6 % without, 0.24 % with",
        without=0,
    )
    sram2_busy_after_store: int = _rule(
        3,
        "after a store to SRAM2 the next load or store waits until this many cycles have passed",
        "study: Embench, whose stack is in SRAM2, caches off; pqm4 leaves SRAM2 alone; in no "
        "document",
        without=0,
    )
    sram2_busy_with_cache: int = _rule(
        2,
        "the same wait with the flash's instruction cache on",
        "study: ChaCha takes 79 cycles a double round as on silicon, 81 with 3, 76 with 0; "
        "schoolbook multiplications mean error 1.6 % with, 4.9 % with 3; in no document",
        without=3,
    )
    sdram_load: int = _rule(
        16,
        "extra cycles to read up to a word from SDRAM: row to column 2, CAS 3, two transfers, one "
        "to the bus, all at half the core's clock and 16 bits",
        "RM0090 section 37.7.3 and the memory's data sheet; not measured",
        without=0,
    )
    sdram_store: int = _rule(
        8,
        "extra cycles to write up to a word to SDRAM: row to column 2 and two transfers, at half "
        "the core's clock, with the write buffer taken as full",
        "RM0090 section 37.7.3 and the memory's data sheet; not measured",
        without=0,
    )
    multiple: int = _rule(1, "LDM, STM, PUSH, POP, LDRD, STRD: this and one per word", "TRM 3-1")
    address_early: int = _rule(
        1,
        "an address register is needed this many cycles earlier than other operands",
        "TRM section 3.3: no forwarding path to addresses; jnk0le on silicon",
        without=0,
    )
    write_back_early: int = _rule(
        1,
        "the same for a base register that a load or store has written back",
        "study: jnk0le on silicon; FrodoKEM with AES 3 % fast without, NTRU LPRime 0.7 %",
        without=0,
    )
    write_back_behind_load: int = _rule(
        0,
        "the same if that load or store directly follows a load and did not wait for its base",
        "study: chains of loads in ST's MLPerf Tiny images begin behind another load; with a cycle "
        "the images are slower than silicon, even without wait states",
        without=1,
    )
    address_after_load: int = _rule(
        1,
        "a loaded value can be used as an address this many cycles after the load",
        "as address_early",
        without=0,
    )
    unaligned_half: int = _rule(1, "a halfword on an odd address", "TRM section 3.3", without=0)
    unaligned_word: int = _rule(1, "a word on a halfword address", "TRM section 3.3", without=0)
    unaligned_word_odd: int = _rule(2, "a word on an odd address", "TRM section 3.3", without=0)
    divide: int = _rule(
        7,
        "SDIV, UDIV",
        "TRM: 2 to 12 with early exit; study: 7 throughout is nearer than the exits documented",
    )
    branch_refill: int = _rule(1, "P of a taken direct branch: B, BL, CBZ", "TRM: 1 to 3")
    indirect_refill: int = _rule(2, "P of BX, BLX and writes to PC", "TRM: 1 to 3")
    load_pc_refill: int = _rule(3, "P of POP, LDM and LDR to PC", "TRM: 1 to 3; LDR at least 5")
    table_refill: int = _rule(4, "P of TBB and TBH, which take 2 + P", "TRM: at least 6 in all")
    forward_branch_second_word: int = _rule(
        1,
        "a taken forward conditional branch gets its target's second word this many cycles late",
        "study: nsichneu is 3.5 % short without; in no document",
        without=0,
    )
    fetch_queue: int = _rule(
        3,
        "words of code that the fetch unit holds. When it is full it pauses a cycle more, so three "
        "or more unaligned 32-bit instructions in a row lose a cycle",
        "Arm KA006138; study: crc32 exact, sha256 and aes 2 to 3 % nearer than with four",
        without=4,
    )
    fetch_queue_with_cache: int = _rule(
        4,
        "the same with the flash's instruction cache on: nothing is lost",
        "study: pqm4, cache on: Saber within 0.1 % with, 1.2 % off without",
        without=3,
    )
    wide_run_with_cache: int = _rule(
        1,
        "with the cache on: cycles that three unaligned 32-bit instructions lose behind an "
        "instruction of more than one cycle",
        "study: jnk0le on silicon, eprint 2025/523; SIKE within 0.2 % with, 3.8 % fast without. "
        "With the cache off `fetch_queue` has this effect: Embench is nearer that way",
        without=0,
    )
    flash_data_takes_fetch_slot: int = _rule(
        1,
        "a data read from flash delays the fetch of the next word of code",
        "TRM section 3.3; nettle-aes 4.5 % fast without",
        without=0,
    )
    flash_data_takes_slot_with_cache: int = _rule(
        0,
        "the same with the flash's instruction cache on: the cache serves the fetch meanwhile",
        "study: AES with tables in flash is 13 % slow with a cycle, 1.8 % fast without",
        without=1,
    )
    it: int = _rule(1, "IT", "TRM table 3-1")
    it_folds: bool = _rule(
        True,
        "IT directly after a 16-bit instruction takes no cycle",
        "TRM table 3-1, note on folding; study: picojpeg 1.7 % long when it has to share a word",
        without=False,
    )
    skipped: int = _rule(1, "an instruction whose IT condition fails", "study")
    barrier: int = _rule(1, "DMB, DSB, ISB; ISB also refills", "TRM: 1 + B, with an idle bus")
    float_simple: int = _rule(1, "VADD, VSUB, VMUL, VCMP, VCVT, VABS, VNEG", "TRM table 7-1")
    float_multiply_add: int = _rule(3, "VMLA, VMLS, VNMLA, VFMA and kin", "TRM table 7-1")
    float_divide: int = _rule(
        14, "VDIV, VSQRT; integer work goes on in the meantime", "TRM table 7-1"
    )
    float_hazard: int = _rule(
        1, "a float result used by the next float instruction", "TRM chapter 7"
    )
    float_load: int = _rule(2, "VLDR of a single; 3 of a double", "TRM table 7-1")
    float_store: int = _rule(2, "VSTR of a single; 3 of a double", "TRM table 7-1")
    float_move: int = _rule(1, "VMOV, VMRS, VMSR; 2 when two registers move", "TRM table 7-1")
    prefetch_fills_cache: bool = _rule(
        True,
        "a prefetched line enters the instruction cache when it is used",
        "study: CoreMark keeps 0.995 of its score at 5 wait states with, 0.985 without; "
        "silicon 0.988",
        without=False,
    )

    @classmethod
    def without(cls, name: str) -> "Rules":
        """Return the rules without one of them. Raises KeyError where it cannot be taken away."""
        known = {f.name: f.metadata["without"] for f in fields(cls)}
        if known.get(name) is None:
            raise KeyError(name)
        return replace(cls(), **{name: known[name]})

    @classmethod
    def removable(cls) -> list[str]:
        """Return the names of rules that can be taken away, to see what they are worth."""
        return [f.name for f in fields(cls) if f.metadata["without"] is not None]

    def table(self) -> list[tuple[str, str, str, str]]:
        """Rows of (name, value, what, source), for the documentation."""
        return [
            (f.name, str(getattr(self, f.name)), f.metadata["what"], f.metadata["source"])
            for f in fields(self)
        ]
