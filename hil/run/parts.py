"""Where a measurement's bytes and outputs come from: buffers, symbols, digests of maps.

They say where a change of the whole arose; `docs/results.md` lists them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from hil.results import maps
from hil.results.rows import Metric

if TYPE_CHECKING:
    from hil.run.measurement import Measurement, Prepared

_ARENA = "model_arena"  # its buffers stand for it


def whole(judged: Iterable[Metric], measurement: "Measurement") -> list[Metric]:
    """Return a measurement's metrics with each layer's kernel, and its parts behind them.

    Args:
        judged: metrics with verdicts.
        measurement: that they belong to.
    """
    kernels = {one.name: one.kernel for one in measurement.prepared.schedule.layers}
    layers = f"{measurement.counted}.layer."
    named = [
        replace(metric, note=kernels.get(metric.name.removeprefix(layers), ""))
        if metric.name.startswith(layers)
        else metric
        for metric in judged
    ]
    return [*named, *parts(measurement)]


def parts(measurement: "Measurement") -> Iterator[Metric]:
    """Yield digests, buffers and symbols as metrics."""
    prepared = measurement.prepared
    yield Metric("output.digest", maps.digest(measurement.outputs), "digest")
    for name, digest in prepared.maps.items():
        yield Metric(f"output.layer.{name}", digest, "digest", note="integer reference")
    for buffer in prepared.schedule.buffers:
        yield Metric(f"ram.buffer.{buffer.name}", buffer.bytes, "B", note=buffer.region)
    yield from _symbols(prepared)


def _symbols(prepared: "Prepared") -> Iterator[Metric]:
    from hil.build import symbols

    for symbol in symbols.read(prepared.image.elf):
        if symbol.stored:
            yield Metric(f"flash.symbol.{symbol.name}", symbol.bytes, "B", note=symbol.section)
        if symbol.in_ram and symbol.name != _ARENA:
            yield Metric(f"ram.symbol.{symbol.name}", symbol.bytes, "B", note=symbol.section)
