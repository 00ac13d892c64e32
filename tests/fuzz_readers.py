"""Every reader of files of users, with files to damage: see fuzzing.py."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzzing import Reader, put

if TYPE_CHECKING:
    from damaged_code import Desk
    from torch import nn


def _scenarios(folder: Path) -> list[Path]:
    from hil.paths import SCENARIOS

    return _copies(folder, sorted(SCENARIOS.glob("*.toml")))


def _boards(folder: Path) -> list[Path]:
    from hil.paths import BOARDS

    return _copies(folder, sorted(BOARDS.glob("*.toml")))


def _codes(folder: Path) -> list[Path]:
    from damaged_code import COMMON

    path = folder / "code.bin"
    path.write_bytes(bytes.fromhex("".join(COMMON)) * 8)
    return [path]


def _read_code(path: Path) -> object:
    from damaged_code import entered

    code = path.read_bytes()
    _desk().look(entered(Random(sum(code)), code))  # noqa: S311
    return None


@cache
def _desk() -> "Desk":
    from damaged_code import Desk

    return Desk(Random(1))  # noqa: S311


def _copies(folder: Path, paths: Sequence[Path]) -> list[Path]:
    for path in paths:
        (folder / path.name).write_bytes(path.read_bytes())
    return [folder / path.name for path in paths]


def _read_scenario(path: Path) -> object:
    from hil.config import scenario

    return scenario.load(str(path))


def _read_board(path: Path) -> object:
    from hil.config import board

    return board.load(str(path))


def _inventories(folder: Path) -> list[Path]:
    path = folder / "boards.toml"
    path.write_text(
        '[[board]]\nname = "desk-1"\nkind = "stm32f439"\nprobe = "0669FF"\n'
        'port = { usb_location = "1-2.3" }\nuid = "00112233445566778899aabb"\n'
        '[[board]]\nname = "lab-2"\nkind = "stm32f407"\nprobe = "remote:lab:5555"\n'
        'port = { device = "rfc2217://lab:7777" }\n',
        encoding="utf-8",
    )
    return [path]


def _read_inventory(path: Path) -> object:
    from hil.config import inventory

    return inventory.load(path, path.parent)


def _checkpoints(folder: Path) -> list[Path]:
    import torch

    state = _network().state_dict()
    forms: dict[str, tuple[object, bool]] = {
        "zip.pt": (state, True),
        "old.pth": (state, False),
        "wrapped.ckpt": ({"state_dict": state, "epoch": 3}, True),
    }
    for name, (content, as_zip) in forms.items():
        torch.save(content, folder / name, _use_new_zipfile_serialization=as_zip)
    return [folder / name for name in forms]


def _network() -> "nn.Module":
    import torch

    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))


def _read_checkpoint(path: Path) -> object:
    from hil.models.checkpoint import load_checkpoint

    load_checkpoint(network := _network(), path)
    return network


def _safetensors(folder: Path) -> list[Path]:
    from test_models_checkpoint import safetensors_of

    path = folder / "weights.safetensors"
    path.write_bytes(safetensors_of(_network().state_dict()))
    return [path]


def _headers(folder: Path) -> list[Path]:
    """EdgeML's headers in one file, and the program with their ranges."""
    from test_models_edgeml_headers import made_up, write

    made = write(made_up(), folder.parent / "made")
    headers = "".join(path.read_text(encoding="utf-8") for path in sorted(made.glob("*.h")))
    (folder / "all.h").write_text(headers, encoding="utf-8")
    (folder / "program.sd").write_bytes((made / "program.sd").read_bytes())
    return [folder / "all.h", folder / "program.sd"]


def _read_headers(path: Path) -> object:
    """Read a header with the undamaged program, or a program with undamaged headers."""
    from hil.models import edgeml_headers

    seeds = next(one for one in path.parents if (one / "made").is_dir()) / "seeds"
    if path.suffix == ".sd":
        return edgeml_headers.read(seeds, path)
    (folder := seeds.parent / "headers").mkdir(exist_ok=True)
    put(folder / "all.h", path.read_bytes())
    return edgeml_headers.read(folder, seeds / "program.sd")


def _photographs(folder: Path) -> list[Path]:
    import numpy as np
    from PIL import Image, features

    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    photograph = Image.fromarray(pixels)
    suffixes = [".png", ".jpg", ".ppm", ".bmp", ".gif", ".tif", ".tga", ".ico", ".dds", ".jp2"]
    suffixes += [f".{form}" for form in ("webp", "avif") if features.check(form)]
    for suffix in suffixes:
        photograph.save(folder / f"photograph{suffix}")
    return [folder / f"photograph{suffix}" for suffix in suffixes]


def _read_photograph(path: Path) -> object:
    from hil.vision.photographs import read

    return read(path)


_C = """
__attribute__((section(".weights"), used)) const int weights[9] = {1, 2, 3};
int changed = 7, zeroed[4];
__attribute__((noinline)) int twice(int x) { return x * changed; }
void start(void) { for (;;) zeroed[0] = twice(weights[1]); }
"""


def _images(folder: Path) -> list[Path]:
    (folder / "start.c").write_text(_C, encoding="utf-8")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabi"]
    command += [
        "-mcpu=cortex_m4",
        "-nostdlib",
        "-g",
        "-O1",
        "-Wl,--build-id=sha1",
        "-Wl,--entry=start",
    ]
    command += ["-Wl,--image-base=0x8000000", "-o", "image.elf", "start.c"]
    subprocess.run(command, cwd=folder, check=True)
    return [folder / "image.elf"]


def _read_image(path: Path) -> object:
    from hil.build.image import Image, read_segments
    from hil.build.places import Places

    read_segments(path)
    Places(path).describe(0x0800_0010)
    return Image.read(path)


def _results(folder: Path) -> list[Path]:
    from report_rows import rows

    from hil.results import table

    path = folder / "results.csv"
    table.write(rows(), path)
    return [path]


def _read_results(path: Path) -> object:
    from hil.results import figures, table

    return figures.gather(table.load(path))


def _baselines(folder: Path) -> list[Path]:
    lines = Path("baselines/stm32f439.csv").read_bytes().splitlines(keepends=True)
    path = folder / "stm32f439.csv"
    path.write_bytes(b"".join(lines[:60]))
    return [path]


def _read_baseline(path: Path) -> object:
    from hil.results import baseline

    return baseline.read(path)


def _details(folder: Path) -> list[Path]:
    import report_rows

    from hil.results import details

    return [details.directory(report_rows.write(folder)) / "small.json"]


def _read_details(path: Path) -> object:
    """Make the page of a run of which a scenario's details are damaged."""
    import report_rows

    from hil.results import details, table
    from hil.results.report import page, subjects

    csv = path.parent / "page" / "results.csv"
    if not csv.is_file():
        report_rows.write(csv.parent)
    put(details.directory(csv) / "small.json", path.read_bytes())
    return page.build(subjects.gather(table.load(csv), csv, []), "", None)


def _checks(folder: Path) -> list[Path]:
    from hil.results import health

    health.note_checked(folder, "00112233445566778899aabb", "2026-11-21T12:00:00+00:00")
    return list(folder.iterdir())


def _read_checks(path: Path) -> object:
    """Ask when boards were last found well; half a line of a process that was killed is let be."""
    from hil.results import health

    history = path.parent / "history"
    history.mkdir(exist_ok=True)
    put(history / health.CHECKED, path.read_bytes())
    return health.checked(history)


def _binaries(folder: Path) -> list[Path]:
    (elf,) = _images(folder)
    (folder / "image.bin").write_bytes(bytes(range(256)) * 4)
    return [elf, folder / "image.bin"]


def _read_binary(path: Path) -> object:
    from hil.config import board
    from hil.studies.mlperf import boards

    return boards.segments(path, board.load("nucleo_l4r5zi"))


def _hexes(folder: Path) -> list[Path]:
    from intelhex import IntelHex

    contents = IntelHex()
    contents.frombytes(bytes(range(256)) * 2, offset=0x0800_0000)
    contents.frombytes(b"far away", offset=0x2000_0100)
    contents.write_hex_file(str(folder / "program.hex"))
    return [folder / "program.hex"]


def _read_hex(path: Path) -> object:
    from hil.studies.programs import files

    return files.read([path], 0x0800_0000)


def _losses(folder: Path) -> list[Path]:
    from hil.studies.train import curves
    from hil.studies.train.trainer import Epoch

    history = [Epoch(1, 0.5, 0.25, 0.75), Epoch(2, 0.25, float("nan"), float("nan"))]
    (folder / "losses.csv").write_text(curves.table(history), encoding="utf-8")
    return [folder / "losses.csv"]


def _read_losses(path: Path) -> object:
    from hil.studies.train import curves

    return curves.read(path)


def _versions(folder: Path) -> list[Path]:
    for name, said in (("new", "Renode, version 1.16.1.6550 (03756cb5)"), ("v", "Renode v1.17.0")):
        (folder / f"{name}.txt").write_text(said, encoding="utf-8")
    return [folder / "new.txt", folder / "v.txt"]


def _read_version(path: Path) -> object:
    from hil.targets.renode import installation

    return installation.require_recent(path.read_text(encoding="utf-8", errors="replace"))


def _answers(folder: Path) -> list[Path]:
    from dataclasses import asdict

    from hil.run.evaluation.answer import Answer
    from hil.studies.evaluate.answers import SCHEMA

    said = Answer("a.jpg", of_float=((1.0, 2.0, 3.0, 4.0, 0.5),), cycles=12)
    lines = [{"schema": SCHEMA, "model": "face_m4"}, asdict(said), asdict(Answer("b", error="no"))]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "answers.jsonl").write_text(text, encoding="utf-8")
    return [folder / "answers.jsonl"]


def _read_answers(path: Path) -> object:
    from hil.studies.evaluate.answers import Store

    return Store(path, {"model": "face_m4"}, resume=True)


def _networks(folder: Path) -> list[Path]:
    from tflite_files import everything

    (folder / "network.tflite").write_bytes(everything().write())
    return [folder / "network.tflite"]


def _read_network(path: Path) -> object:
    """Read a TensorFlow Lite file and translate its network, as a scenario that names it does."""
    from hil.compiler.front.imported import translate
    from hil.models.imported import tflite
    from hil.models.imported.module import Imported

    return translate(Imported(tflite.read(path)).eval(), "network")


_NOTHING: Mapping[str, str] = MappingProxyType({})


def _annotated(name: str, text: str, called: str, beside: Mapping[str, str] = _NOTHING) -> Reader:
    """A reader of one form of annotations, whose file a mutant takes the place of.

    The reader's name begins with the form's; other files stand beside it as they are.
    """
    form = called.partition(" ")[0]

    def seeds(folder: Path) -> list[Path]:
        from PIL import Image

        folder = folder.parent / called
        for picture in ("images/0--Parade/a.jpg", "JPEGImages/a.jpg", "a.jpg"):
            (folder / picture).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 20)).save(folder / picture)
        for file, content in {**beside, name: text}.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(content, encoding="utf-8")
        return [folder / name]

    def read(path: Path) -> object:
        from hil.vision import datasets

        folder = next(one for one in path.parents if (one / called).is_dir()) / called
        if path != folder / name:
            put(folder / name, path.read_bytes())
        return datasets.open_dataset(folder, form)

    return Reader(called, read, seeds)


_COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 20}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12}],
    "categories": [{"id": 1, "name": "person"}],
}
_VOC = (
    "<annotation><filename>a.jpg</filename><object><name>face</name><difficult>0</difficult>"
    "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>18</ymax></bndbox></object>"
    "</annotation>"
)
_YOLO_NAMES = "path: .\nnames: {0: face, 1: dog}\n"
_YOLO = "0 0.5 0.5 0.25 0.75\n0 0.1 0.2 0.05 0.1\n"
_LABELS = "file,label\na.jpg,face\nimages/0--Parade/a.jpg,none\n"
_WIDER = "0--Parade/a.jpg\n2\n4 3 12 14 0 0 0 0 0 0\n1 2 3 4 0 0 0 1 0 0\n"

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("scenario", _read_scenario, _scenarios),
        Reader("board", _read_board, _boards),
        Reader("inventory", _read_inventory, _inventories),
        Reader("checkpoint", _read_checkpoint, _checkpoints, cost=2),
        Reader("safetensors", _read_checkpoint, _safetensors),
        Reader("edgeml", _read_headers, _headers),
        Reader("photograph", _read_photograph, _photographs),
        Reader("image", _read_image, _images, cost=4),
        Reader("binary", _read_binary, _binaries),
        Reader("hex", _read_hex, _hexes),
        Reader("code", _read_code, _codes, refuses=False),
        Reader("losses", _read_losses, _losses),
        Reader("details", _read_details, _details, cost=20, refuses=False),
        Reader("checks", _read_checks, _checks, refuses=False),
        Reader("tflite", _read_network, _networks, cost=2),
        Reader("results", _read_results, _results),
        Reader("baseline", _read_baseline, _baselines),
        Reader("renode", _read_version, _versions),
        Reader("answers", _read_answers, _answers),
        _annotated("wider_face_val_bbx_gt.txt", _WIDER, "wider"),
        _annotated("annotations/instances_val.json", json.dumps(_COCO), "coco"),
        _annotated("Annotations/a.xml", _VOC, "voc"),
        _annotated("a.txt", _YOLO, "yolo"),
        _annotated("data.yaml", _YOLO_NAMES, "yolo names", {"a.txt": _YOLO}),
        _annotated("labels.csv", _LABELS, "csv"),
    )
}
