"""Instructions as the timing rules see them."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property
from typing import Any


class Kind(Enum):
    """What decides an instruction's cost."""

    __hash__ = (
        object.__hash__
    )  # Enum's own is Python's, and sets of kinds are asked millions of times

    SIMPLE = auto()
    LOAD = auto()
    STORE = auto()
    LOAD_MULTIPLE = auto()  # LDM, POP, LDRD, VLDM, VPOP
    STORE_MULTIPLE = auto()
    BRANCH = auto()  # B, BL: the target is in the code
    COMPARE_BRANCH = auto()  # CBZ, CBNZ
    INDIRECT = auto()  # BX, BLX, data processing that writes PC
    TABLE_BRANCH = auto()
    IT = auto()
    DIVIDE = auto()
    BARRIER = auto()
    SYNCHRONISE = auto()  # ISB
    FLOAT = auto()
    FLOAT_MULTIPLY_ADD = auto()
    FLOAT_DIVIDE = auto()
    FLOAT_MOVE = auto()
    FLOAT_LOAD = auto()
    FLOAT_STORE = auto()


MEMORY = frozenset(
    {
        Kind.LOAD, Kind.STORE, Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.TABLE_BRANCH,
        Kind.FLOAT_LOAD, Kind.FLOAT_STORE,
    }
)  # fmt: skip
SP, LR, PC = 13, 14, 15
_FLOATS = 32


@dataclass(frozen=True)
class Address:
    """How a load or store forms its address; registers by number, -1 for none."""

    base: int
    index: int = -1
    shift: int = 0
    offset: int = 0
    post_indexed: bool = False


@dataclass(frozen=True)
class Operand:
    """A source of data processing: a register, shifted left, or without one a constant."""

    register: int = -1
    constant: int = 0
    shift: int = 0


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        words: how many words a multiple load or store moves.
        loads: core registers that it loads, in the order of their words; -1 for another kind.
        access_bytes: size of one memory access.
        writes: core registers written by data processing or loaded.
        address_registers: core registers that form the address.
        float_reads, float_writes: as numbers of single registers.
        condition: 0..13 inside an IT block or of a conditional branch, else 14.
        target: of a direct branch.
        it_conditions: of the instructions that an IT covers.
        name: the mnemonic without condition, width and flags suffix.
        sources: the operands of data processing.
    """

    address: int
    size: int
    kind: Kind
    text: str
    words: int = 0
    loads: tuple[int, ...] = ()
    access_bytes: int = 0
    writes: frozenset[int] = frozenset()
    address_registers: frozenset[int] = frozenset()
    access: Address | None = None
    writes_back: bool = False
    loads_pc: bool = False
    float_reads: frozenset[int] = frozenset()
    float_writes: frozenset[int] = frozenset()
    double: bool = False
    condition: int = 14
    target: int | None = None
    it_conditions: tuple[int, ...] = ()
    name: str = ""
    operands: int = 0
    sources: tuple[Operand, ...] = ()

    @property
    def end(self) -> int:
        """Address of the next instruction."""
        return self.address + self.size

    @property
    def has_index(self) -> bool:
        """Whether its address is a sum of two registers."""
        return self.access is not None and self.access.index >= 0

    @property
    def predicated(self) -> bool:
        """Whether it may be skipped or not taken."""
        return self.condition != 14

    @property
    def leaves(self) -> bool:
        """Whether it writes PC when it executes."""
        return self.loads_pc or self.kind in _BRANCHES


_BRANCHES = frozenset({Kind.BRANCH, Kind.COMPARE_BRANCH, Kind.INDIRECT, Kind.TABLE_BRANCH})


_BY_PLACE = frozenset({Kind.BRANCH, Kind.COMPARE_BRANCH})
"""Kinds whose operands are addresses that depend on where they stand."""

_DECODED: dict[tuple[bytes, int], Instruction] = {}
"""Instructions decoded so far, by code and condition; those of `_BY_PLACE` left out."""

_MOST_DECODED = 1 << 15


class Decoder:
    """Turns code bytes into instructions; capstone does the reading."""

    def __init__(self) -> None:
        import capstone
        from capstone import arm_const

        self._arm: Any = arm_const
        library: Any = capstone
        mode = library.CS_MODE_THUMB | library.CS_MODE_MCLASS
        self._capstone: Any = library.Cs(library.CS_ARCH_ARM, mode)
        self._capstone.detail = True

    @cached_property
    def _kinds(self) -> dict[int, Kind]:
        named = {
            Kind.LOAD: "LDR LDRB LDRH LDRSB LDRSH LDRT LDRBT LDRHT LDRSBT LDRSHT "
            "LDREX LDREXB LDREXH",
            Kind.STORE: "STR STRB STRH STRT STRBT STRHT STREX STREXB STREXH",
            Kind.LOAD_MULTIPLE: "LDM LDMDB LDRD POP VLDMIA VLDMDB VPOP",
            Kind.STORE_MULTIPLE: "STM STMDB STRD PUSH VSTMIA VSTMDB VPUSH",
            Kind.BRANCH: "B BL",
            Kind.COMPARE_BRANCH: "CBZ CBNZ",
            Kind.INDIRECT: "BX BLX",
            Kind.TABLE_BRANCH: "TBB TBH",
            Kind.IT: "IT",
            Kind.DIVIDE: "SDIV UDIV",
            Kind.BARRIER: "DMB DSB",
            Kind.SYNCHRONISE: "ISB",
            Kind.FLOAT: "VADD VSUB VMUL VNMUL VABS VNEG VCMP VCMPE VCVT VCVTR VCVTB VCVTT",
            Kind.FLOAT_MULTIPLY_ADD: "VMLA VMLS VNMLA VNMLS VFMA VFMS VFNMA VFNMS",
            Kind.FLOAT_DIVIDE: "VDIV VSQRT",
            Kind.FLOAT_MOVE: "VMOV VMRS VMSR",
            Kind.FLOAT_LOAD: "VLDR",
            Kind.FLOAT_STORE: "VSTR",
        }
        return {
            getattr(self._arm, f"ARM_INS_{name}"): kind
            for kind, names in named.items()
            for name in names.split()
        }

    def decode(
        self, code: bytes, address: int, conditions: Sequence[int] = ()
    ) -> tuple[Instruction, ...]:
        """Decode straight-line code; half an instruction at its end is left out.

        Args:
            code: of a block.
            address: where it stands.
            conditions: those that an IT before it gives its first instructions.
        """
        instructions: list[Instruction] = []
        waiting = list(conditions)
        offset = 0
        while offset + 2 <= len(code):
            (first,) = struct.unpack_from("<H", code, offset)
            size = 4 if first >> 11 >= 0x1D else 2
            if offset + size > len(code):
                break
            condition = waiting.pop(0) if waiting else 14
            instruction = self._one(code[offset : offset + size], address + offset, condition)
            if instruction.kind is Kind.IT:
                waiting = list(_it_conditions(first))
                instruction = replace(instruction, it_conditions=tuple(waiting))
            instructions.append(instruction)
            offset += size
        return tuple(instructions)

    def _one(self, code: bytes, address: int, condition: int) -> Instruction:
        """Decode an instruction, once for all places and all boards of this process."""
        known = _DECODED.get((code, condition))
        if known is None:
            known = self._fresh(code, address, condition)
            if known.kind not in _BY_PLACE:
                if len(_DECODED) >= _MOST_DECODED:
                    _DECODED.clear()
                _DECODED[code, condition] = known
        return known if known.address == address else _moved(known, address)

    def _fresh(self, code: bytes, address: int, condition: int) -> Instruction:
        found = next(self._capstone.disasm(code, address, 1), None)
        if found is None or found.size != len(code):
            return Instruction(address, len(code), Kind.SIMPLE, "?", condition=condition)
        return self._translate(found, condition)

    def _translate(self, found: Any, condition: int) -> Instruction:
        arm = self._arm
        kind = self._kinds.get(found.id, Kind.SIMPLE)
        registers = [o for o in found.operands if o.type == arm.ARM_OP_REG]
        memory = next((o for o in found.operands if o.type == arm.ARM_OP_MEM), None)
        writes = frozenset(
            n for o in registers if o.access & 2 and (n := self._core(o.reg)) is not None
        )
        listed = _listed_registers(kind, found, registers)
        access = self._access(kind, found, memory, registers)
        addresses = frozenset(r for r in ((access.base, access.index) if access else ()) if r >= 0)
        loads_pc = kind in {Kind.LOAD, Kind.LOAD_MULTIPLE} and any(
            o.reg == arm.ARM_REG_PC for o in listed
        )
        if kind is Kind.SIMPLE and PC in writes:
            kind = Kind.INDIRECT
        if kind is Kind.STORE:
            writes = frozenset()
        elif kind in {Kind.LOAD, Kind.LOAD_MULTIPLE}:
            writes = frozenset(n for o in listed if (n := self._core(o.reg)) is not None)
        target = None
        if kind is Kind.BRANCH or kind is Kind.COMPARE_BRANCH:
            target = int(found.operands[-1].imm) & 0xFFFF_FFFF
            if kind is Kind.COMPARE_BRANCH:
                condition = 0
            elif condition == 14 and found.cc not in {arm.ARM_CC_AL, arm.ARM_CC_INVALID}:
                condition = found.cc - arm.ARM_CC_EQ
        return Instruction(
            address=found.address,
            size=found.size,
            kind=kind,
            text=f"{found.mnemonic} {found.op_str}".strip(),
            words=sum(2 if self._is_double(o.reg) else 1 for o in listed),
            loads=self._loads(kind, listed),
            access_bytes=_access_bytes(found.mnemonic),
            writes=writes - {PC},
            address_registers=addresses - {PC},
            access=access,
            writes_back=bool(found.writeback),
            loads_pc=loads_pc,
            float_reads=self._floats(o for o in registers if o.access & 1),
            float_writes=self._floats(
                # capstone has those that a multiple load loads as read
                listed or (o for o in registers if o.access & 2)
            )
            if kind is not Kind.STORE_MULTIPLE
            else frozenset(),
            double=any(self._is_double(o.reg) for o in registers),
            condition=condition,
            target=target,
            name=_stem(found.insn_name()),
            operands=len(found.operands),
            sources=self._sources(found) if kind in {Kind.SIMPLE, Kind.FLOAT_MOVE} else (),
        )

    def _loads(self, kind: Kind, listed: list[Any]) -> tuple[int, ...]:
        if kind not in {Kind.LOAD, Kind.LOAD_MULTIPLE}:
            return ()
        numbers = (self._core(operand.reg) for operand in listed)
        return tuple(-1 if number is None else number for number in numbers)

    def _sources(self, found: Any) -> tuple[Operand, ...]:
        arm = self._arm
        sources = []
        for operand in found.operands:
            shift = operand.shift.value if operand.shift.type == arm.ARM_SFT_LSL else 0
            if operand.type == arm.ARM_OP_IMM:
                sources.append(Operand(constant=operand.imm))
            elif operand.type != arm.ARM_OP_REG or (operand.shift.type and not shift):
                return ()
            elif operand.access & 1 and (number := self._core(operand.reg)) is not None:
                sources.append(Operand(number, shift=shift))
        return tuple(sources)

    def _access(self, kind: Kind, found: Any, memory: Any, registers: list[Any]) -> Address | None:
        arm = self._arm
        if memory is not None:
            base = self._core(memory.mem.base)
            index = self._core(memory.mem.index) if memory.mem.index else None
            last = found.operands[-1]
            post = last.type == arm.ARM_OP_IMM and found.writeback
            return Address(
                -1 if base is None else base,
                -1 if index is None else index,
                memory.shift.value if index is not None else 0,
                last.imm if post else memory.mem.disp,
                post_indexed=bool(post),
            )
        if kind in {Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE}:
            stack = found.id in {
                arm.ARM_INS_PUSH, arm.ARM_INS_POP, arm.ARM_INS_VPUSH, arm.ARM_INS_VPOP
            }  # fmt: skip
            base = SP if stack else self._core(registers[0].reg)
            return Address(-1 if base is None else base)
        return None

    def _core(self, register: int) -> int | None:
        arm = self._arm
        if arm.ARM_REG_R0 <= register <= arm.ARM_REG_R12:
            return int(register - arm.ARM_REG_R0)
        special = {arm.ARM_REG_SP: SP, arm.ARM_REG_LR: LR, arm.ARM_REG_PC: PC}
        return special.get(register)

    def _is_double(self, register: int) -> bool:
        return bool(self._arm.ARM_REG_D0 <= register <= self._arm.ARM_REG_D31)

    def _floats(self, operands: Any) -> frozenset[int]:
        arm = self._arm
        numbers: set[int] = set()
        for operand in operands:
            if arm.ARM_REG_S0 <= operand.reg <= arm.ARM_REG_S31:
                numbers.add(operand.reg - arm.ARM_REG_S0)
            elif self._is_double(operand.reg):
                first = 2 * (operand.reg - arm.ARM_REG_D0)
                numbers |= {first, first + 1}
        # capstone reads Advanced SIMD too, with registers that this core does not have.
        return frozenset(number for number in numbers if number < _FLOATS)


def _moved(instruction: Instruction, address: int) -> Instruction:
    """The same instruction elsewhere; `replace` takes ten times as long."""
    moved = object.__new__(Instruction)
    moved.__dict__.update(instruction.__dict__, address=address)
    return moved


def _it_conditions(halfword: int) -> Iterator[int]:
    """Yield the conditions of the instructions that an IT covers. Source: ARMv7-M A7.3.2."""
    first, mask = halfword >> 4 & 15, halfword & 15
    lowest = (mask & -mask).bit_length() - 1
    yield first
    for bit in range(3, lowest, -1):
        yield (first & 14) | (mask >> bit & 1)


def _listed_registers(kind: Kind, found: Any, registers: list[Any]) -> list[Any]:
    """Return the operands that are loaded or stored."""
    if kind not in {Kind.LOAD, Kind.STORE, Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE}:
        return []
    if kind in {Kind.LOAD, Kind.STORE}:
        return registers[:1]
    name = found.mnemonic
    if name.startswith(("push", "pop", "vpush", "vpop")):
        return registers
    return registers[:2] if name.startswith(("ldrd", "strd")) else registers[1:]


def _stem(name: str) -> str:
    return {"addw": "add", "subw": "sub", "movw": "mov", "movs": "mov"}.get(name, name)


def _access_bytes(mnemonic: str) -> int:
    stem = mnemonic.partition(".")[0].removeprefix("v")
    if not stem.startswith(("ldr", "str")):
        return 4
    if stem.startswith(("ldrd", "strd")):
        return 4
    return {"b": 1, "h": 2}.get(stem[3:].removeprefix("ex").removeprefix("s")[:1], 4)
