"""Where every buffer of a schedule stands while it is alive."""

from dataclasses import dataclass, field, replace

from hil.compiler.kernels.kernel import Choices, Memory, Scratch, Site, Step
from hil.compiler.kernels.shapes import row_bytes
from hil.compiler.plan.budget import Budget, Need, check
from hil.compiler.plan.flash import flash_need
from hil.compiler.plan.pack import PATIENCE, Item, pack
from hil.compiler.plan.schedule import schedule
from hil.compiler.plan.stream import Event, Stream, simulate
from hil.compiler.program import Program, Tensor


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

    def overlaps(self, other: "Buffer") -> bool:
        """Whether another buffer of the region has bytes of this one.

        Args:
            other: of the same region; a buffer does not overlap itself.
        """
        return other is not self and other.offset < self.end and self.offset < other.end


@dataclass(frozen=True, eq=False)
class Plan:
    """Steps and buffers of one inference.

    Where steps are streamed, the image is never whole in memory, and neither is the result: each of
    its maps goes out when it is computed, and `output_offset` means nothing.

    Attributes:
        strips: of a streamed step's maps and the image, the rows that are kept in memory.
        stream_order: in which the streamed steps run.
        results: where each map of the result begins in it.
        buffers: maps under their tensor's name, working memory as "step/name", the result as
            "output".
        offsets: every stored map's offset in the arena, those in the output buffer included.
        input_bytes, output_bytes: of the image and of the result, in memory or not.
    """

    steps: tuple[Step, ...]
    strips: dict[str, int]
    stream_order: tuple[Event, ...]
    results: dict[str, int]
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
    flash_wait_states: int
    choices: Choices

    @property
    def ram_bytes(self) -> int:
        """Both regions together."""
        return self.arena_bytes + self.ccm_bytes

    @property
    def streams(self) -> bool:
        """Whether the image comes in, and the result goes out, while the steps run."""
        return self.choices.streamed > 0

    def is_streamed(self, step: Step) -> bool:
        """Whether a step runs row by row."""
        return any(step is streamed for streamed in self.steps[: self.choices.streamed])

    def site(self, step: Step) -> Site:
        """Return where a step's maps and working memory stand, for its kernel."""
        held = {s.name: self.buffers[f"{step.name}/{s.name}"] for s in step.scratch}
        memory = {name: Memory(buffer.region, buffer.offset) for name, buffer in held.items()}
        streamed = self.is_streamed(step)
        choices = self.choices.of(step.name)
        return Site(step, choices, self.offsets, memory, streamed, self.flash_wait_states)


@dataclass(eq=False)
class _Draft:
    """Buffers on their way to offsets."""

    names: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def add(self, name: str, item: Item) -> None:
        self.names.append(name)
        self.items.append(item)

    def place(self, region: str, patience: int) -> tuple[dict[str, Buffer], int]:
        offsets, size = pack(self.items, patience)
        buffers = {
            name: Buffer(name, region, offset, item.bytes, item.first, item.last)
            for name, item, offset in zip(self.names, self.items, offsets, strict=True)
        }
        return buffers, size


def place(program: Program, budget: Budget, choices: Choices, patience: int = PATIENCE) -> Plan:
    """Schedule a program as chosen and place its buffers.

    Args:
        program: the quantised network.
        budget: memory of each region.
        choices: the schedule's.
        patience: of the search for a small arena; 0 for a first guess.

    Raises:
        MemoryLimitError: it does not fit; says which region lacks how many bytes.
        BuildError: an operator that no kernel computes.
    """
    planned = schedule(program, choices)
    steps = _in_regions(planned, budget, choices)
    stream = _stream(program, steps, choices.streamed)
    strips = stream.strips
    arena = _maps(program, steps, choices.streamed, strips)
    _add_scratch(arena, steps, choices.streamed, "sram")
    maps, arena_bytes = arena.place("sram", patience)
    fast = _Draft()
    _add_scratch(fast, steps, choices.streamed, "ccm")
    scratch, ccm_bytes = fast.place("ccm", patience)
    flash = flash_need(planned, choices, budget)
    check(
        program,
        Need("SRAM", arena_bytes, budget.sram_bytes, _sizes(maps)),
        Need("CCM", ccm_bytes, budget.ccm_bytes, _sizes(scratch)),
        flash,
    )
    offsets = {name: buffer.offset for name, buffer in maps.items() if name != "output"}
    results = _results(program)
    output_offset = 0 if strips else maps["output"].offset
    if not strips:
        offsets |= {name: output_offset + at for name, at in results.items()}
    image = maps[program.input.name]
    return Plan(
        steps=steps,
        strips=strips,
        stream_order=stream.order,
        results=results,
        buffers=maps | scratch,
        offsets=offsets,
        arena_bytes=arena_bytes,
        ccm_bytes=ccm_bytes,
        input_offset=image.offset,
        input_bytes=program.input.bytes,
        input_survives=not strips and not any(map(image.overlaps, maps.values())),
        output_offset=output_offset,
        output_bytes=program.output.bytes,
        flash_bytes=flash.bytes,
        flash_wait_states=budget.flash_wait_states,
        choices=choices,
    )


def _in_regions(planned: tuple[Step, ...], budget: Budget, choices: Choices) -> tuple[Step, ...]:
    """Say of each step's working memory in which region it goes."""
    if choices.ccm_bytes is None:
        steps = _fit(planned, choices.streamed, budget)
    else:
        steps = _fill(planned, choices.streamed, min(choices.ccm_bytes, budget.ccm_bytes))
    if choices.streams_in_ccm:
        steps = _relieve(steps, choices.streamed, budget.ccm_bytes)
    return steps


def _results(program: Program) -> dict[str, int]:
    """Return where each map of the result begins in it, in bytes."""
    results, at = {}, 0
    for tensor in program.output.tensors:
        results[tensor.name] = at
        at += tensor.bytes
    return results


def occupied(program: Program, steps: tuple[Step, ...]) -> list[int]:
    """Count the bytes that maps take at each step, where there is nothing else in the arena.

    Args:
        program: the quantised network; its image is in memory whole.
        steps: of a schedule.
    """
    maps, _ = _maps(program, steps, 0, {}).place("sram", PATIENCE)
    alive = [[b for b in maps.values() if b.first <= i <= b.last] for i in range(len(steps))]
    return [_union(buffers) for buffers in alive]


def _union(buffers: list[Buffer]) -> int:
    """Bytes that buffers take together, some of which may lie over others."""
    taken = end = 0
    for buffer in sorted(buffers, key=lambda b: b.offset):
        taken += max(0, buffer.end - max(end, buffer.offset))
        end = max(end, buffer.end)
    return taken


def _life(index: int, streamed: int) -> tuple[int, int]:
    """The first and the last step in whose time a step's maps are alive at least.

    Streamed steps run in turns, so that what lasts from one of their rows to the next is alive
    until all of them are done.
    """
    return (0, streamed - 1) if index < streamed else (index, index)


def _stream(program: Program, steps: tuple[Step, ...], streamed: int) -> Stream:
    if not streamed:
        return Stream({}, ())
    later = {tensor.name for step in steps[streamed:] for tensor in step.inputs}
    return simulate(program.input, steps[:streamed], later)


def _groups(steps: tuple[Step, ...], streamed: int) -> list[tuple[Step, ...]]:
    """Steps whose working memory is in use at the same time."""
    return [steps[: max(1, streamed)], *((step,) for step in steps[max(1, streamed) :])]


def _fit(steps: tuple[Step, ...], streamed: int, budget: Budget) -> tuple[Step, ...]:
    """Move working memory from CCM to SRAM, from the last to the first, until the rest fits."""
    placed: list[Step] = []
    for group in _groups(steps, streamed):
        every = [list(step.scratch) for step in group]
        for of_step in reversed(every):
            for index in reversed(range(len(of_step))):
                if _in_ccm(every) <= budget.ccm_bytes:
                    break
                of_step[index] = replace(of_step[index], region="sram")
        placed += _with_scratch(group, every)
    return tuple(placed)


def _fill(steps: tuple[Step, ...], streamed: int, ccm_bytes: int) -> tuple[Step, ...]:
    """Put as much working memory into so much CCM as fits, the largest first."""
    placed: list[Step] = []
    for group in _groups(steps, streamed):
        every = [[replace(s, region="sram") for s in step.scratch] for step in group]
        places = [(i, k) for i, of_step in enumerate(every) for k in range(len(of_step))]
        for i, k in sorted(places, key=lambda at: -every[at[0]][at[1]].bytes):
            every[i][k] = replace(every[i][k], region="ccm")
            if _in_ccm(every) > ccm_bytes:
                every[i][k] = replace(every[i][k], region="sram")
        placed += _with_scratch(group, every)
    return tuple(placed)


def _relieve(steps: tuple[Step, ...], streamed: int, ccm_bytes: int) -> tuple[Step, ...]:
    """Move working memory of streamed steps from SRAM to so much CCM, the largest first."""
    group = steps[:streamed]
    every = [list(step.scratch) for step in group]
    places = [(i, k) for i, of_step in enumerate(every) for k in range(len(of_step))]
    for i, k in sorted(places, key=lambda at: -every[at[0]][at[1]].bytes):
        before = every[i][k]
        every[i][k] = replace(before, region="ccm")
        if _in_ccm(every) > ccm_bytes:
            every[i][k] = before
    return (*_with_scratch(group, every), *steps[streamed:])


def _in_ccm(every: list[list[Scratch]]) -> int:
    """Bytes of CCM that steps take which run in turns: what lasts, and the most of the rest."""
    in_ccm = [[s for s in of_step if s.region == "ccm"] for of_step in every]
    passing = [sum(s.bytes for s in of_step if not s.lasts) for of_step in in_ccm]
    return sum(s.bytes for of_step in in_ccm for s in of_step if s.lasts) + max(passing)


def _with_scratch(group: tuple[Step, ...], every: list[list[Scratch]]) -> list[Step]:
    return [
        replace(step, scratch=tuple(of_step)) for step, of_step in zip(group, every, strict=True)
    ]


def _maps(
    program: Program, steps: tuple[Step, ...], streamed: int, strips: dict[str, int]
) -> _Draft:
    """Every stored map, from its writer to its last reader.

    The results stand together, to the end, unless they go out as they are computed.
    """
    results = set() if strips else {tensor.name for tensor in program.output.tensors}
    first: dict[str, int] = {program.input.name: 0}
    last: dict[str, int] = {program.input.name: _life(0, streamed)[1]}
    size: dict[str, int] = {program.input.name: _stored(program.input, strips)}
    writers: dict[str, Step] = {}
    for index, step in enumerate(steps):
        life = _life(index, streamed)
        for tensor in step.inputs:
            last[tensor.name] = life[1]
        for tensor in step.outputs:
            first[tensor.name], last[tensor.name] = life
            size[tensor.name] = _stored(tensor, strips)
            writers[tensor.name] = step
    stored = [name for name in first if name not in results]
    draft = _Draft()
    for name in stored:
        slack: dict[int, int] = {}
        writer = writers.get(name)
        if writer is not None and writer.slack is not None and name not in strips:
            source = writer.inputs[0].name
            overlays = source in stored and name == writer.outputs[0].name
            if overlays and last[source] == first[name]:
                slack[stored.index(source)] = writer.slack
        draft.add(name, Item(size[name], first[name], last[name], slack))
    if results:
        begin = min(first[name] for name in results)
        draft.add("output", Item(program.output.bytes, begin, len(steps) - 1))
    return draft


def _stored(tensor: Tensor, strips: dict[str, int]) -> int:
    return strips.get(tensor.name, tensor.shape[0]) * row_bytes(tensor)


def _add_scratch(draft: _Draft, steps: tuple[Step, ...], streamed: int, region: str) -> None:
    for index, step in enumerate(steps):
        for scratch in step.scratch:
            if scratch.region == region:
                life = _life(index, streamed) if scratch.lasts else (index, index)
                draft.add(f"{step.name}/{scratch.name}", Item(scratch.bytes, *life))


def _sizes(buffers: dict[str, Buffer]) -> dict[str, int]:
    return {buffer.name: buffer.bytes for buffer in buffers.values()}
