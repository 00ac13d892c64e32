from dataclasses import replace
from pathlib import Path

import pytest

from hil.results import details
from hil.results.details import Box, Details, Holding, Layer, Noise, Picture, Span

DETAILS = Details(
    run="20261121T120000-abcdef",
    scenario="face_m4",
    board="stm32f439",
    target="emulator",
    input="astronaut",
    trained=False,
    detects=True,
    streams=False,
    regions={"flash": 2_097_152, "sram": 196_608, "ccm": 65_536},
    layers=[Layer("pool", 65_547_264, 32_973_829, {"issue": 30_000_000})],
    spans=[Span("pool/lines", "sram", 93_184, 640, 0, 0)],
    holdings=[Holding("sram", "arena", 109_056)],
    noise=[Noise("stem.0", 0.02, -3, 41.5, None)],
    picture=Picture("/9j/", 240, 320),
    boxes=[Box("board", 0.1, 0.2, 0.3, 0.4, 0.9)],
)


def test_details_are_read_as_they_were_written(tmp_path: Path) -> None:
    csv = tmp_path / "deep" / "results.csv"
    path = details.write(DETAILS, csv)
    assert path == tmp_path / "deep" / "results.details" / "face_m4.json"
    assert details.read(csv, DETAILS.run, "face_m4") == DETAILS
    assert [entry.name for entry in path.parent.iterdir()] == ["face_m4.json"]


def test_details_of_a_model_without_a_picture_are_read_too(tmp_path: Path) -> None:
    plain = replace(DETAILS, picture=None, boxes=[])
    details.write(plain, tmp_path / "r.csv")
    assert details.read(tmp_path / "r.csv", DETAILS.run, "face_m4") == plain


def test_details_of_another_run_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    details.write(DETAILS, tmp_path / "r.csv")
    assert details.read(tmp_path / "r.csv", "20261122T120000-fedcba", "face_m4") is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"run": 1}'])
def test_a_file_that_holds_no_details_counts_as_none(tmp_path: Path, content: bytes) -> None:
    path = details.write(DETAILS, tmp_path / "r.csv")
    path.write_bytes(content)
    assert details.read(tmp_path / "r.csv", DETAILS.run, "face_m4") is None


def test_details_of_another_schema_count_as_none(tmp_path: Path) -> None:
    path = details.write(DETAILS, tmp_path / "r.csv")
    path.write_text(path.read_text().replace('"schema":1', '"schema":2'))
    assert details.read(tmp_path / "r.csv", DETAILS.run, "face_m4") is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"bytes":640', '"bytes":[]'),
        ('"bytes":640', '"bytes":0'),
        ('"last":0', '"last":1000000000'),
        ('"last":0', '"last":-1'),
        ('"macs":65547264', '"macs":1' + 400 * "0"),
        ('"cycles":32973829', '"cycles":"many"'),
        ('"issue":30000000', '"issue":null'),
        ('"sram":196608', '"sram":"196608"'),
        ('"rows":240', '"rows":0'),
        ('"sqnr_db":41.5', '"sqnr_db":Infinity'),
        ('"left":0.1', '"left":NaN'),
    ],
)
def test_details_that_no_page_can_be_drawn_of_count_as_none(
    tmp_path: Path, before: str, after: str
) -> None:
    path = details.write(DETAILS, tmp_path / "r.csv")
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    assert details.read(tmp_path / "r.csv", DETAILS.run, "face_m4") is None
