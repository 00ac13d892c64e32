"""Annotated photographs in every form that people have, and what is wrong with some."""

import itertools
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hil.errors import UsageError
from hil.vision import datasets, photographs
from hil.vision.datasets import Marked

FACE_LINE = "449 330 122 149 0 0 0 0 0 0"


def picture(path: Path, columns: int = 40, rows: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (columns, rows)).save(path)
    return path


def wider(folder: Path, *lines: str) -> Path:
    picture(folder / "images" / "0--Parade" / "a.jpg")
    picture(folder / "images" / "0--Parade" / "b.jpg")
    (folder / "wider_face_val_bbx_gt.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_wider_face_is_read_with_its_invalid_and_its_missing_faces(tmp_path: Path) -> None:
    nothing = "0 0 0 0 0 0 0 0 0 0"
    invalid = "1 2 3 4 0 0 0 1 0 0"
    wider(tmp_path, "0--Parade/a.jpg", "2", FACE_LINE, invalid, "0--Parade/b.jpg", "0", nothing)

    read = datasets.open_dataset(tmp_path)

    assert (read.form, read.is_classification, read.problems) == ("wider", False, ())
    first, second = read.examples
    assert first.objects == (Marked(449, 330, 571, 479), Marked(1, 2, 4, 6, ignored=True))
    assert second.objects == ()


def test_wider_faces_subsets_come_from_the_benchmarks_lists(tmp_path: Path) -> None:
    savemat = import_module("scipy.io").savemat

    def cell(*values: object) -> object:
        made = np.empty((len(values), 1), object)
        made[:, 0] = values
        return made

    wider(tmp_path, "0--Parade/a.jpg", "2", FACE_LINE, FACE_LINE)
    (tmp_path / "images" / "0--Parade" / "b.jpg").unlink()
    lists = {
        "event_list": cell("0--Parade"),
        "file_list": cell(cell("a")),
        "gt_list": cell(cell(np.array([[2]]))),
    }
    savemat(tmp_path / "wider_easy_val.mat", lists)
    read = datasets.open_dataset(tmp_path)
    assert read.subsets == {"easy": {"0--Parade/a.jpg": frozenset({1})}}


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["0--Parade/a.jpg", "two"], "gt.txt:2: expected a number of faces"),
        (["0--Parade/a.jpg", "3", FACE_LINE], "3 faces announced"),
        (["0--Parade/a.jpg", "1", "1 2 x 4"], "gt.txt:3: expected ten whole numbers"),
        (["0--Parade/a.jpg", "1", "1 2 3"], "gt.txt:3: expected 4 or 10 numbers"),
        (["notes"], "gt.txt:1: expected a photograph's path"),
    ],
)
def test_a_damaged_list_of_faces_is_told_by_file_and_line(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        datasets.open_dataset(wider(tmp_path, *lines))


def test_photographs_without_labels_and_labels_without_photographs_are_named(
    tmp_path: Path,
) -> None:
    wider(tmp_path, "0--Parade/a.jpg", "1", FACE_LINE, "0--Parade/c.jpg", "1", FACE_LINE)
    read = datasets.open_dataset(tmp_path)
    assert [example.name for example in read.examples] == ["0--Parade/a.jpg"]
    assert read.problems == (
        "wider_face_val_bbx_gt.txt: 0--Parade/c.jpg has labels and no photograph",
        "0--Parade/b.jpg has no annotation in wider_face_val_bbx_gt.txt",
    )


def test_pascal_voc_is_read_and_counts_pixels_from_one(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    box = "<bndbox><xmin>3</xmin><ymin>5</ymin><xmax>10</xmax><ymax>8</ymax></bndbox>"
    objects = f"<object>{box}</object><object><difficult>1</difficult>{box}</object>"
    (tmp_path / "a.xml").write_text(f"<annotation>{objects}</annotation>")
    (example,) = datasets.open_dataset(tmp_path).examples
    assert example.objects == (Marked(2, 4, 10, 8), Marked(2, 4, 10, 8, ignored=True))


def test_an_xml_that_declares_entities_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    text = '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(UsageError, match="declares entities"):
        datasets.open_dataset(tmp_path, "voc")


def coco(folder: Path, categories: list[str], boxes: list[tuple[int, list[float], int]]) -> Path:
    picture(folder / "images" / "a.jpg")
    picture(folder / "images" / "b.jpg")
    content = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 40, "height": 20},
            {"id": 2, "file_name": "b.jpg", "width": 40, "height": 20},
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories)],
        "annotations": [
            {"id": i, "image_id": image, "bbox": box, "category_id": category}
            for i, (image, box, category) in enumerate(boxes)
        ],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def test_coco_is_read_as_detection(tmp_path: Path) -> None:
    coco(tmp_path, ["face"], [(1, [1, 2, 3, 4], 0), (1, [1, 2, 0, 4], 0)])
    first, second = datasets.open_dataset(tmp_path).examples
    assert first.objects == (Marked(1, 2, 4, 6), Marked(1, 2, 1, 6, ignored=True))
    assert second.objects == ()


def test_visual_wake_words_ask_whether_a_person_fills_enough(tmp_path: Path) -> None:
    coco(tmp_path, ["background", "person"], [(1, [0, 0, 20, 20], 1), (2, [0, 0, 1, 2], 1)])
    read = datasets.open_dataset(tmp_path)
    assert read.classes == ("no person", "person")
    assert [example.label for example in read.examples] == [1, 0]


def test_two_classes_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two classes named face"):
        datasets.open_dataset(coco(tmp_path, ["face", "face"], []))


def test_a_class_that_no_photograph_has_is_named(tmp_path: Path) -> None:
    coco(tmp_path, ["background", "person"], [(1, [0, 0, 1, 1], 1)])
    read = datasets.open_dataset(tmp_path)
    assert read.problems == ("no photograph is of the class person",)


def test_objects_of_other_classes_than_faces_are_left_out(tmp_path: Path) -> None:
    coco(tmp_path, ["face", "dog"], [(1, [1, 2, 3, 4], 0), (2, [1, 2, 3, 4], 1)])
    first, second = datasets.open_dataset(tmp_path).examples
    assert (first.objects, second.objects) == ((Marked(1, 2, 4, 6),), ())
    first, second = datasets.open_dataset(tmp_path, kind="dog").examples
    assert (first.objects, second.objects) == ((), (Marked(1, 2, 4, 6),))
    with pytest.raises(UsageError, match="unknown class of objects 'cat'"):
        datasets.open_dataset(tmp_path, kind="cat")


def test_several_classes_without_faces_are_to_be_chosen_from(tmp_path: Path) -> None:
    coco(tmp_path, ["cat", "dog"], [(1, [1, 2, 3, 4], 0)])
    with pytest.raises(UsageError, match="several classes: cat, dog") as caught:
        datasets.open_dataset(tmp_path)
    assert "--class NAME" in caught.value.hint


@pytest.mark.parametrize(
    ("file", "names"), [("classes.txt", "dog\nface\n"), ("data.yaml", "names: [dog, face]\n")]
)
def test_yolo_classes_have_names(tmp_path: Path, file: str, names: str) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.25\n")
    with pytest.raises(UsageError, match="several classes: 0, 1"):
        datasets.open_dataset(tmp_path)
    (tmp_path / file).write_text(names)
    (example,) = datasets.open_dataset(tmp_path, "yolo").examples
    assert example.objects == (Marked(10, 7.5, 30, 12.5),)


def test_names_of_classes_that_are_none_are_refused(tmp_path: Path) -> None:
    """Aliases in aliases would fill the memory, if they were written out."""
    picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    levels = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in itertools.pairwise("abcdefghi")]
    (tmp_path / "data.yaml").write_text("\n".join(["a: &a [x]", *levels, "names: *i", ""]))
    with pytest.raises(UsageError, match=r"data\.yaml: names of classes are texts"):
        datasets.open_dataset(tmp_path, "yolo")
    (tmp_path / "data.yaml").write_text("names: [")
    with pytest.raises(UsageError, match=r"data\.yaml is not valid YAML"):
        datasets.open_dataset(tmp_path, "yolo")


def test_pascal_voc_tells_classes_apart(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    box = "<bndbox><xmin>3</xmin><ymin>5</ymin><xmax>10</xmax><ymax>8</ymax></bndbox>"
    objects = "".join(f"<object><name>{name}</name>{box}</object>" for name in ("dog", "face"))
    (tmp_path / "a.xml").write_text(f"<annotation>{objects}</annotation>")
    (example,) = datasets.open_dataset(tmp_path).examples
    assert example.objects == (Marked(2, 4, 10, 8),)


def test_classes_that_differ_by_the_size_of_letters_are_one(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    (tmp_path / "labels.csv").write_text("a.png,Cat\nb.png,cat\n")
    with pytest.raises(UsageError, match="two classes named Cat, cat"):
        datasets.open_dataset(tmp_path)


def test_classes_can_be_numbered_anew(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "x.png")
    picture(tmp_path / "dog" / "y.png")
    read = datasets.open_dataset(tmp_path).with_classes(("dog", "cat"))
    assert [(e.name, e.label) for e in read.examples] == [("cat/x.png", 1), ("dog/y.png", 0)]


def test_yolo_boxes_are_shares_of_the_photograph(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    labels = tmp_path / "labels" / "a.txt"
    labels.parent.mkdir()
    labels.write_text("0 0.5 0.5 0.5 0.25\n")
    (example,) = datasets.open_dataset(tmp_path).examples
    assert example.objects == (Marked(10, 7.5, 30, 12.5),)
    labels.write_text("0 0.5 0.5 nan 0.25\n")
    with pytest.raises(UsageError, match=r"a.txt:1: a box that is not finite"):
        datasets.open_dataset(tmp_path)


def test_a_folder_for_each_class_is_read_and_an_empty_one_named(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "x.png")
    picture(tmp_path / "dog" / "deep" / "y.png")
    read = datasets.open_dataset(tmp_path)
    assert (read.form, read.classes) == ("classes", ("cat", "dog"))
    assert [(e.name, e.label) for e in read.examples] == [("cat/x.png", 0), ("dog/deep/y.png", 1)]
    (tmp_path / "emu").mkdir()
    with pytest.raises(UsageError, match="the class emu of"):
        datasets.open_dataset(tmp_path)


def test_a_csv_of_files_and_labels_is_read(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    (tmp_path / "labels.csv").write_text("file,label\na.png,10\nb.png,9\nc.png,9\n")
    read = datasets.open_dataset(tmp_path)
    assert (read.form, read.classes) == ("csv", ("9", "10"))
    assert [example.label for example in read.examples] == [1, 0]
    assert read.problems == ("labels.csv: c.png is not there",)


def test_a_folder_of_no_known_form_lists_the_forms(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(UsageError, match="no form that is known") as caught:
        datasets.open_dataset(tmp_path)
    assert all(name in caught.value.hint for name in datasets.names())


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["wider_face_val_bbx_gt.txt", "a.xml", "x.json", "a.txt", "labels.csv"]),
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(str.encode),
        st.sampled_from([
            b'{"images": 3, "annotations": []}',
            b'{"images": [{"id": "x"}], "annotations": [{}]}',
            b"<annotation><object/></annotation>",
            b"<annotation><object><bndbox/></object></annotation>",
            b"a.jpg\n99999999999\n",
            b"a.jpg,\n,b\n",
            b"0 1 2 3\n0 0 0 0 inf\n",
        ]),
    ),
)  # fmt: skip
def test_whatever_an_annotation_file_holds_it_is_read_or_refused_by_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    picture(tmp_path / "a.jpg")
    (tmp_path / name).write_bytes(content)
    refused = ""
    try:
        datasets.open_dataset(tmp_path)
    except UsageError as error:
        refused = error.what
    assert not refused or str(tmp_path) in refused


def test_the_faces_that_scikit_image_carries_are_a_dataset_by_name(tmp_path: Path) -> None:
    parts = [datasets.open_dataset(Path(f"lfw_subset:{part}")) for part in ("train", "held_back")]
    everything = datasets.open_dataset(tmp_path / "lfw_subset")  # as a scenario's file names it
    assert [len(part.examples) for part in (*parts, everything)] == [150, 50, 200]
    assert not {one.name for one in parts[0].examples} & {one.name for one in parts[1].examples}
    assert {one.name for part in parts for one in part.examples} == {
        one.name for one in everything.examples
    }
    assert [photographs.read(part.examples[-1].path).shape for part in parts] == [(25, 25, 3)] * 2
    with pytest.raises(UsageError, match=r"no photograph 'lfw_subset:200'"):
        photographs.read("lfw_subset:200")
