"""Rows of runs that nothing measured, with changes planted in them."""

from collections.abc import Mapping
from dataclasses import replace

from test_results import CONTEXT

from hil.results.figures import Figures, gather
from hil.results.rows import Context, Metric, Row, in_context

HERE = replace(
    CONTEXT,
    rules="modelled-m4-1",
    wait_states=5,
    build_id="aa",
    fingerprint="zig 0.17.0 -O2 clock=168000000 wait-states=5 timing=modelled-m4-1",
)
LAYERS = {"stem": 700, "blocks.0": 400, "blocks.1": 300, "heads.norms.0": 200}
METRICS = (
    Metric("cycles", 1_600, "cycle"),
    Metric("latency", 1_600 / 168e6, "s", limit=10.45),
    *(Metric(f"cycles.layer.{name}", n, "cycle", note="conv2d") for name, n in LAYERS.items()),
    Metric("ram.arena", 4_096, "B"),
    Metric("ram.static", 1_024, "B"),
    Metric("ram.stack", 512, "B"),
    Metric("ram.total", 5_632, "B"),
    Metric("ram.buffer.heads.norms.2/ring", 256, "B", note="ccm"),
    Metric("ram.symbol.self", 1_024, "B", note=".ccm_bss"),
    Metric("flash.code", 9_000, "B"),
    Metric("flash.weights", 60_000, "B"),
    Metric("flash.total", 69_000, "B"),
    Metric("flash.symbol.conv2d", 640, "B", note=".text"),
    Metric("output.mismatches", 0, "", 0, limit=0),
    Metric("output.cosine", 0.9992, "", 1),
    Metric("output.digest", 0x3F2A00000001, "digest"),
    Metric("output.layer.stem", 0x3F2A00000002, "digest"),
    Metric("macs", 70_000, "MAC"),
    Metric("params", 600, ""),
    Metric("time.run", 1.5, "s"),
    Metric("link.resends", 0, ""),
)


def with_values(context: Context, values: Mapping[str, float]) -> list[Row]:
    """A scenario's rows with these values in place of the usual ones."""
    return in_context(
        context,
        [replace(metric, value=values.get(metric.name, metric.value)) for metric in METRICS],
    )


def figures(context: Context = HERE, values: Mapping[str, float] | None = None) -> list[Figures]:
    """The figures of one scenario."""
    return gather(with_values(context, values or {}))
