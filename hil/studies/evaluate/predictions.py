"""The integers' boxes as benchmarks take them: WIDER FACE's files, COCO's results."""

import json
from collections.abc import Mapping
from pathlib import Path

from hil.run.evaluation.answer import Answer
from hil.vision.datasets import Dataset


def write_wider(answers: Mapping[str, Answer], directory: Path) -> None:
    """Write the integers' boxes as the benchmark of WIDER FACE takes them: a file a photograph.

    Args:
        answers: by photograph.
        directory: a folder for each event is made in it.
    """
    for name, answer in answers.items():
        if answer.error:
            continue
        path = directory / Path(name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [Path(name).stem, str(len(answer.of_integers))]
        lines += [
            f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f} {score:.6f}"
            for left, top, right, bottom, score in answer.of_integers
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_coco(dataset: Dataset, answers: Mapping[str, Answer], path: Path) -> None:
    """Write the integers' boxes in COCO's form of results.

    Images and the category have the numbers of the dataset's JSON; where it has none, images are
    numbered from 1, as read, and the category is 1.

    Args:
        dataset: the photographs, with COCO's numbers.
        answers: by photograph.
        path: of the JSON file.
    """
    category = 1 if dataset.category is None else dataset.category
    found = [
        {
            "image_id": number if example.key is None else example.key,
            "file_name": example.name,
            "category_id": category,
            "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
            "score": score,
        }
        for number, example in enumerate(dataset.examples, 1)
        if example.name in answers
        for left, top, right, bottom, score in answers[example.name].of_integers
    ]
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")
