"""A small run to make reports of: one scenario passes, one fails, one ended early."""

from dataclasses import replace
from pathlib import Path

from hil.errors import Verdict
from hil.results import details, table
from hil.results.details import Box, Details, Holding, Layer, Noise, Picture, Span
from hil.results.rows import Context, Metric, Row, in_context

CONTEXT = Context(
    run="20261121T120000-abcdef",
    when="2026-11-21T12:00:00+00:00",
    commit="0123456789ab",
    scenario="small",
    model="face_m4",
    board="stm32f439",
    target="emulator",
    timing="modelled",
    clock_hz=168_000_000,
    toolchain="zig 0.17.0",
    fingerprint='zig 0.17.0 -O2 "quoted, with a comma" clock=168000000 wait-states=5',
    rules="modelled-m4-1",
    wait_states=5,
    build_id="ab" * 20,
)
PAPER = "RNNPool, NeurIPS 2020, section 4.3"
SMALL = [
    Metric("cycles", 16_800_123, "cycle"),
    Metric("latency", 16_800_123 / 168e6, "s", 10.45, PAPER, limit=10.45),
    Metric("cycles.layer.pool", 10_000_100, "cycle"),
    Metric("cycles.layer.blocks.0", 6_800_023, "cycle"),
    Metric("ram.paper", 109_056, "B", 188_160, PAPER, limit=188_160),
    Metric("ram.total", 161_884, "B", 188_160, PAPER, limit=188_160),
    Metric("flash.total", 161_376, "B", limit=262_144),
    Metric("output.mismatches", 0, "", 0, "integer reference", limit=0),
    Metric("output.cosine", 0.9991421002983126, "", 1, "float PyTorch model", limit=0.995),
    Metric("macs", 103_313_664, "MAC", 70_000_000, PAPER),
]
BIG = [
    Metric("cycles", 168_000_000, "cycle"),
    Metric("latency", 1.0, "s", limit=0.5, verdict=Verdict.LATENCY),
    Metric("ram.total", 200_000, "B", limit=188_160, verdict=Verdict.MEMORY),
    Metric("flash.total", 90_001, "B"),
    Metric("odd <figure> & more", 3, 'a"b'),
]
BROKEN = [Metric("outcome", 0, "", verdict=Verdict.FLASH, note="sector <3> is protected")]
DETAILS = Details(
    run=CONTEXT.run,
    scenario="small",
    board="stm32f439",
    target="emulator",
    input="astronaut",
    trained=False,
    detects=True,
    streams=False,
    regions={"flash": 2_097_152, "sram": 196_608, "ccm": 65_536},
    layers=[
        Layer("pool", 65_547_264, 10_000_100, {"issue": 8_000_000, "load_store": 2_000_100}),
        Layer("blocks.0", 37_766_400, 6_800_023, {"issue": 6_800_023, "other": 0}),
    ],
    spans=[
        Span("input", "sram", 0, 76_800, 0, 0),
        Span("pool", "sram", 0, 76_800, 0, 1),
        Span("blocks.0/ring", "sram", 76_800, 32_256, 1, 1),
        Span("output", "ccm", 0, 18_000, 1, 1),
    ],
    holdings=[
        Holding("flash", "code", 51_772),
        Holding("sram", "arena", 109_056),
        Holding("ccm", "stack, used", 844),
    ],
    noise=[Noise("stem.0", 0.02, -3, 41.5, 52.0), Noise("pool", 0.01, 0, None, None)],
    picture=Picture("/9j/4AAQSkZJRg==", 240, 320),
    boxes=[Box("board", 0.1, 0.2, 0.3, 0.4, 0.9), Box("float", 0.1, 0.2, 0.31, 0.4, 0.91)],
)


def rows() -> list[Row]:
    return [
        *in_context(CONTEXT, SMALL),
        *in_context(replace(CONTEXT, scenario="big"), BIG),
        *in_context(replace(CONTEXT, scenario="broken", build_id=""), BROKEN),
    ]


def write(folder: Path) -> Path:
    """Write the run as `pytest hil/` does; return its table."""
    csv = folder / "results.csv"
    table.write(rows(), csv)
    details.write(DETAILS, csv)
    for number, cycles in enumerate((17_000_000, 16_900_000), start=1):
        earlier = replace(CONTEXT, run=f"2026111{number}T120000-abcdef")
        metric = Metric("cycles", cycles, "cycle")
        table.write(in_context(earlier, [metric]), folder / "history" / f"{earlier.run}.csv")
    return csv
