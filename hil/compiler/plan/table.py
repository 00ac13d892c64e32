"""A plan laid out for a person."""

from hil.compiler.plan.place import Plan


def table(plan: Plan) -> tuple[list[str], list[list[str]]]:
    """Lay a plan out as buffers over steps.

    Returns:
        The column heads (buffer, region, offset, bytes, then the steps) and one row of cells for
        each buffer, by region and offset; a step's cell is "#" where the buffer is alive.
    """
    heads = ["buffer", "region", "offset", "bytes", *(step.name for step in plan.steps)]
    buffers = sorted(plan.buffers.values(), key=lambda b: (b.region != "sram", b.offset, b.first))
    rows = [
        [
            buffer.name,
            buffer.region,
            f"{buffer.offset:,}",
            f"{buffer.bytes:,}",
            *("#" if buffer.first <= i <= buffer.last else "" for i in range(len(plan.steps))),
        ]
        for buffer in buffers
    ]
    return heads, rows
