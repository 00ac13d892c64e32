"""Where every buffer of a schedule stands while it is alive."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hil.board import Board
from hil.compiler.plan_flash import constant_bytes, flash_bytes
from hil.compiler.plan_pack import Item, pack
from hil.compiler.plan_schedule import schedule
from hil.compiler.plan_steps import Choices, Step
from hil.compiler.program import Program
from hil.errors import MemoryLimitError

RUNTIME_BYTES = 12 * 1024  # of CCM, for the stack, the link's frames and other static data


@dataclass(frozen=True)
class Budget:
    """Memory that a plan may use, by region; flash_bytes None: however much there is."""

    sram_bytes: int
    ccm_bytes: int
    flash_bytes: int | None = None

    @classmethod
    def of(cls, board: Board) -> "Budget":
        """All flash and SRAM of a board, and its CCM less what the runtime needs."""
        ccm_bytes = max(0, board.ccm.bytes - RUNTIME_BYTES)
        return cls(board.sram.bytes, ccm_bytes, board.flash.bytes)


@dataclass(frozen=True)
class Need:
    """What a plan takes of a region, and what takes it.

    Attributes:
        available: None: however much is needed.
        parts: bytes by name.
    """

    region: str
    bytes: int
    available: int | None
    parts: dict[str, int]

    @property
    def lacking(self) -> int:
        """Bytes that there are too few."""
        return 0 if self.available is None else max(0, self.bytes - self.available)

    @property
    def text(self) -> str:
        """For a person."""
        return (
            f"{self.bytes:,} B of {self.region}, {self.lacking:,} B more than the "
            f"{self.available:,} B there are"
        )

    @property
    def largest(self) -> str:
        """What might be made smaller."""
        largest = sorted(self.parts.items(), key=lambda part: -part[1])[:3]
        return f"most of {self.region}: " + ", ".join(f"{n} {size:,} B" for n, size in largest)


@dataclass(frozen=True)
class Buffer:
    """A range of memory, alive from step `first` to step `last`, both included.

    Attributes:
        region: "sram" (`model_arena`) or "ccm" (`model_scratch`).
        offset: bytes from the region's start.
    """

    name: str
    region: str
    offset: int
    bytes: int
    first: int
    last: int

    @property
    def end(self) -> int:
        """First byte past the buffer."""
        return self.offset + self.bytes


@dataclass(frozen=True, eq=False)
class Plan:
    """Steps and buffers of one inference.

    Attributes:
        buffers: maps under their tensor's name, working memory as "step/name", the result as
            "output".
        offsets: every stored map's offset in the arena, those in the output buffer included.
    """

    steps: tuple[Step, ...]
    buffers: dict[str, Buffer]
    offsets: dict[str, int]
    arena_bytes: int
    ccm_bytes: int
    input_offset: int
    input_bytes: int
    input_survives: bool
    output_offset: int
    output_bytes: int
    flash_bytes: int
    choices: Choices

    @property
    def ram_bytes(self) -> int:
        """Both regions together."""
        return self.arena_bytes + self.ccm_bytes


@dataclass(eq=False)
class _Draft:
    """Buffers on their way to offsets."""

    names: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def add(self, name: str, item: Item) -> None:
        self.names.append(name)
        self.items.append(item)

    def place(self, region: str) -> tuple[dict[str, Buffer], int]:
        offsets, size = pack(self.items)
        buffers = {
            name: Buffer(name, region, offset, item.bytes, item.first, item.last)
            for name, item, offset in zip(self.names, self.items, offsets, strict=True)
        }
        return buffers, size


def place(program: Program, budget: Budget, choices: Choices) -> Plan:
    """Schedule a program as chosen and place its buffers.

    Raises:
        MemoryLimitError: it does not fit; says which region lacks how many bytes.
        BuildError: an operator that no kernel computes.
    """
    planned = schedule(program, choices)
    if choices.ccm_bytes is None:
        steps = tuple(_fit(step, budget) for step in planned)
    else:
        steps = tuple(_fill(step, min(choices.ccm_bytes, budget.ccm_bytes)) for step in planned)
    arena = _maps(program, steps)
    _add_scratch(arena, steps, "sram")
    maps, arena_bytes = arena.place("sram")
    fast = _Draft()
    _add_scratch(fast, steps, "ccm")
    scratch, ccm_bytes = fast.place("ccm")
    flash = flash_need(planned, choices, budget)
    check(
        program,
        Need("SRAM", arena_bytes, budget.sram_bytes, _sizes(maps)),
        Need("CCM", ccm_bytes, budget.ccm_bytes, _sizes(scratch)),
        flash,
    )
    offsets = {name: buffer.offset for name, buffer in maps.items() if name != "output"}
    at = maps["output"].offset
    for tensor in program.output.tensors:
        offsets[tensor.name] = at
        at += tensor.bytes
    image = maps[program.input.name]
    return Plan(
        steps=steps,
        buffers=maps | scratch,
        offsets=offsets,
        arena_bytes=arena_bytes,
        ccm_bytes=ccm_bytes,
        input_offset=image.offset,
        input_bytes=image.bytes,
        input_survives=not any(
            b.offset < image.end and image.offset < b.end for b in maps.values() if b is not image
        ),
        output_offset=maps["output"].offset,
        output_bytes=maps["output"].bytes,
        flash_bytes=flash.bytes,
        choices=choices,
    )


def _fit(step: Step, budget: Budget) -> Step:
    """Move working memory from CCM to SRAM, from the last to the first, until the rest fits."""
    scratch = list(step.scratch)
    for index in reversed(range(len(scratch))):
        if sum(s.bytes for s in scratch if s.region == "ccm") <= budget.ccm_bytes:
            break
        if scratch[index].region == "ccm":
            scratch[index] = replace(scratch[index], region="sram")
    return replace(step, scratch=tuple(scratch))


def _fill(step: Step, ccm_bytes: int) -> Step:
    """Put as much working memory into so much CCM as fits, the largest first."""
    left = ccm_bytes
    regions = {}
    for scratch in sorted(step.scratch, key=lambda s: -s.bytes):
        regions[scratch.name] = "ccm" if scratch.bytes <= left else "sram"
        left -= scratch.bytes if scratch.bytes <= left else 0
    placed = (replace(scratch, region=regions[scratch.name]) for scratch in step.scratch)
    return replace(step, scratch=tuple(placed))


def _maps(program: Program, steps: tuple[Step, ...]) -> _Draft:
    """Every stored map, from its writer to its last reader; the results together, to the end."""
    results = {tensor.name for tensor in program.output.tensors}
    first: dict[str, int] = {program.input.name: 0}
    last: dict[str, int] = {program.input.name: 0}
    size: dict[str, int] = {program.input.name: program.input.bytes}
    for index, step in enumerate(steps):
        for tensor in step.inputs:
            last[tensor.name] = index
        for tensor in step.outputs:
            first[tensor.name] = last[tensor.name] = index
            size[tensor.name] = tensor.bytes
    stored = [name for name in first if name not in results]
    draft = _Draft()
    for name in stored:
        slack: dict[int, int] = {}
        step = steps[first[name]]
        source = step.inputs[0].name
        overlays = step.slack is not None and name != program.input.name and source in stored
        if overlays and last[source] == first[name] and name == step.outputs[0].name:
            slack[stored.index(source)] = step.slack or 0
        draft.add(name, Item(size[name], first[name], last[name], slack))
    begin = min(first[name] for name in results)
    draft.add("output", Item(program.output.count, begin, len(steps) - 1))
    return draft


def _add_scratch(draft: _Draft, steps: tuple[Step, ...], region: str) -> None:
    for index, step in enumerate(steps):
        for scratch in step.scratch:
            if scratch.region == region:
                draft.add(f"{step.name}/{scratch.name}", Item(scratch.bytes, index, index))


def _sizes(buffers: dict[str, Buffer]) -> dict[str, int]:
    return {buffer.name: buffer.bytes for buffer in buffers.values()}


def flash_need(steps: Sequence[Step], choices: Choices, budget: Budget) -> Need:
    """What the image of these steps takes."""
    constants = {step.name: constant_bytes(step, choices) for step in steps}
    return Need("flash", flash_bytes(steps, choices), budget.flash_bytes, constants)


def check(program: Program, *needs: Need) -> None:
    """Compare what a plan needs with what there is.

    Raises:
        MemoryLimitError: there is less; names every such region and the bytes it lacks.
    """
    unmet = [need for need in needs if need.lacking > 0]
    if unmet:
        raise MemoryLimitError(
            f"{program.name} needs " + ", and ".join(need.text for need in unmet),
            hint=unmet[0].largest,
            stage="plan",
            lacking=sum(need.lacking for need in unmet),
        )
