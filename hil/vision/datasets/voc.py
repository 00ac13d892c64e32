"""Pascal VOC: an XML file of the photograph's own name for each photograph.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge, development kit, section 3.
"""

from pathlib import Path
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from hil.errors import UsageError
from hil.vision.datasets.base import Dataset, Example, Form, Marked, pictures, read_text

_ENTITIES = ("<!DOCTYPE", "<!ENTITY")


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.xml")) if path.is_dir() else []


def _knows(path: Path) -> bool:
    first = next(iter(_files(path)), None)
    return first is not None and "<annotation" in read_text(first)[:2000]


def _read(path: Path) -> Dataset:
    by_stem = {picture.stem: picture for picture in pictures(path)}
    examples, problems = [], []
    for file in _files(path):
        objects = _objects(file)
        picture = by_stem.pop(file.stem, None)
        if picture is None:
            problems.append(f"{file.name} has no photograph")
        else:
            name = picture.relative_to(path).as_posix()
            examples.append(Example(name, picture, objects))
    problems += [f"{picture.name} has no annotation" for picture in by_stem.values()]
    if not examples:
        raise UsageError(f"no XML of {path} has its photograph there")
    return Dataset(path, FORM.name, tuple(examples), problems=tuple(problems))


def _objects(file: Path) -> tuple[Marked, ...]:
    text = read_text(file)
    if any(word in text for word in _ENTITIES):
        raise UsageError(f"{file} declares entities, which annotations do not need")
    try:
        root = ET.fromstring(text)  # noqa: S314  (entities are refused above)
        return tuple(_marked(element) for element in root.iter("object"))
    except (ET.ParseError, ValueError) as error:
        raise UsageError(f"{file} is not an annotation in Pascal VOC's form: {error}") from error


def _marked(element: Element) -> Marked:
    edges = [float(_text(element, f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")]
    left, top, right, bottom = edges
    difficult = (element.findtext("difficult") or "0").strip() == "1"
    # The form counts pixels from 1, the last one included.
    ignored = difficult or right < left or bottom < top
    kind = (element.findtext("name") or "").strip()
    return Marked(left - 1, top - 1, right, bottom, ignored, kind)


def _text(element: Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"an object lacks {path}")
    return text


FORM = Form("voc", "an XML with an annotation beside each photograph", _knows, _read)
