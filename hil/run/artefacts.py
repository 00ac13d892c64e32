"""What a run leaves of each scenario beside its rows: `build/hil/<scenario>/`.

| file | holds |
|---|---|
| `firmware.elf` | the image, with its symbols and lines |
| `firmware.map` | its sections, functions, tables and variables, by address |
| `sources/` | the C and assembly that the compiler generated |
| `plan.txt` | the schedule: each buffer, and the steps in which it lives |
| `input.npy` | the quantised image, int8, (rows, columns, channels) |
| `expected.npy` | the integer reference's outputs, int8 or int16, (count,) |
| `float.npy` | the float model's outputs, float32, (count,) |
| `outputs.npy` | the board's outputs, of the reference's type, (iterations, count) |
| `uart.txt` | what the serial line carried, frame by frame |
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hil import files

if TYPE_CHECKING:
    from hil.build.image import Image
    from hil.link.transcript import Transcript
    from hil.run.measurement import Measurement, Prepared

IMAGE, MAP, SOURCES, PLAN, UART = "firmware.elf", "firmware.map", "sources", "plan.txt", "uart.txt"
ARRAYS = ("input.npy", "expected.npy", "float.npy", "outputs.npy")


@dataclass(frozen=True)
class Artefacts:
    """The files of one scenario.

    A file that cannot be written is told and costs nothing else: the rows say what was measured.

    Attributes:
        folder: of the files; made when the first is written.
        tell: told what cannot be written.
    """

    folder: Path
    tell: Callable[[str], None]

    def forget(self) -> None:
        """Remove what an earlier run has left there."""
        with suppress(OSError):
            shutil.rmtree(self.folder / SOURCES, ignore_errors=True)
            for name in (IMAGE, MAP, PLAN, UART, *ARRAYS):
                (self.folder / name).unlink(missing_ok=True)

    def keep_sources(self, generated: Path) -> None:
        """Keep what the compiler generated, before it is compiled."""
        with self._written():
            shutil.copytree(generated, self.folder / SOURCES, dirs_exist_ok=True)

    def keep_image(self, prepared: "Prepared") -> None:
        """Keep an image, and what it must answer."""
        with self._written():
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(prepared.image.elf, self.folder / IMAGE)
            files.replace(self.folder / MAP, _map(prepared.image))
            files.replace(self.folder / PLAN, prepared.schedule.text)
            np.save(self.folder / "input.npy", prepared.input)
            np.save(self.folder / "expected.npy", prepared.expected)
            np.save(self.folder / "float.npy", prepared.float_outputs)

    def keep_outputs(self, measurement: "Measurement") -> None:
        """Keep what the board has answered in each iteration."""
        with self._written():
            outputs = np.stack([one.outputs for one in measurement.iterations])
            np.save(self.folder / "outputs.npy", outputs)

    def keep_transcript(self, transcript: "Transcript") -> None:
        """Keep what the serial line carried so far."""
        with self._written():
            files.replace(self.folder / UART, transcript.text())

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # of unlike iterations, whose verdict is `mismatch`
            self.tell(f"{self.folder} cannot be written: {error}")


def _map(image: "Image") -> str:
    from hil.build import symbols

    lines = ["   address       bytes  section"]
    lines += [f"0x{one.address:08X}  {one.bytes:10,}  {one.name}" for one in image.sections]
    lines += ["", "   address       bytes  section           name"]
    lines += [
        f"0x{one.address:08X}  {one.bytes:10,}  {one.section:16}  {one.name}"
        for one in symbols.read(image.elf)
    ]
    return "\n".join([*lines, ""])
