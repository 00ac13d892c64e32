"""`hil evaluate`: how well a network does on annotated photographs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hil import numbers
from hil.commands.options import (
    Commands,
    checkpoint_option,
    command,
    folder,
    measuring_options,
    show,
    written,
)
from hil.errors import HilError, UsageError, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.config.scenario import Scenario
    from hil.results.rows import Metric
    from hil.run.evaluation.scores import Scores
    from hil.studies.evaluate.answers import Store
    from hil.studies.evaluate.engine import Task
    from hil.vision.datasets import Dataset

_MOST_JOBS, _MOST = 256, 10_000_000
_EXAMPLES = """examples:
  hil evaluate WIDER_val/ --checkpoint face_m4.pth --reference
  hil evaluate people/ --scenario vww_rnnpool --checkpoint vww.pth --jobs 4
  hil evaluate WIDER_val/ --reference --sample 50 --resume
Ctrl-C keeps the answers so far, and prints their scores.

forms of datasets:
  wider    wider_face_*_bbx_gt.txt; easy, medium and hard by wider_easy_*.mat and so on
  coco     a JSON of images and annotations; Visual Wake Words made from it
  voc      an XML beside each photograph
  yolo     a text file beside each photograph, or in labels/
  csv      a table of files and labels
  classes  a folder for each class
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    summary = "measure accuracy or average precision on photographs, integers beside float"
    parser = command(commands, "evaluate", _run, summary, epilog=_EXAMPLES)
    parser.add_argument(
        "dataset",
        type=Path,
        nargs="?",
        metavar="DATASET",
        help="its folder, or its annotation file (default: the scenario's dataset)",
    )
    parser.add_argument(
        "--scenario", default="face_m4", help="a file of scenarios/ (default: %(default)s)"
    )
    checkpoint_option(parser)
    measuring_options(parser)
    parser.add_argument("--form", help="of the dataset (default: found out)")
    parser.add_argument(
        "--class",
        dest="kind",
        metavar="NAME",
        help="of the objects that the network finds, where several are marked (default: face)",
    )
    parser.add_argument(
        "--jobs",
        type=numbers.whole(1, _MOST_JOBS),
        default=1,
        metavar="N",
        help="processes, each with an emulated board, or with a real one of an inventory that has "
        "so many",
    )
    parser.add_argument(
        "--reference",
        action="store_true",
        help="compute by the integer reference, equal to the board to the bit and far quicker",
    )
    parser.add_argument(
        "--sample",
        type=numbers.whole(0, _MOST),
        default=0,
        metavar="K",
        help="with --reference: check so many photographs, drawn at random, on the board",
    )
    parser.add_argument(
        "--limit",
        type=numbers.whole(1, _MOST),
        metavar="N",
        help="take N photographs, drawn at random",
    )
    parser.add_argument(
        "--score",
        type=numbers.share,
        default=0.05,
        help="that a box must exceed (default: %(default)s)",
    )
    parser.add_argument(
        "--cut",
        type=numbers.share,
        default=0.3,
        help="score above which average precision is taken too (default: %(default)s)",
    )
    parser.add_argument(
        "--worst",
        type=numbers.whole(0, _MOST),
        default=8,
        metavar="N",
        help="pictures of the N worst photographs",
    )
    parser.add_argument(
        "--out",
        type=folder,
        default=Path("build/hil/evaluate"),
        metavar="DIR",
        help="for answers, figures and pictures (default: %(default)s)",
    )
    parser.add_argument(
        "--csv",
        type=written,
        metavar="FILE",
        help="rows for `hil report` and `hil compare` (default: results.csv in --out)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the answers in --out")


def _run(options: argparse.Namespace) -> int:
    from hil.config import scenario
    from hil.run.evaluation import of_scenario, scores

    _check(options)
    chosen = scenario.load(options.scenario).override(checkpoint=options.checkpoint)
    folder = options.dataset or chosen.dataset
    if folder is None:
        raise UsageError(f"{chosen.name} names no dataset", hint="hil evaluate DATASET")
    dataset = of_scenario.open_for(chosen, folder, options.form, options.kind)
    for problem in dataset.problems:
        print(f"left out: {problem}")
    dataset, task = _task(options, chosen, dataset)
    store, ended = _answered(options, dataset, task)
    if ended is not None and not any(not one.error for one in store.answers.values()):
        raise ended
    found = scores.score(dataset, store.answers, options.cut)
    metrics = _rows(options, chosen, dataset, found)
    _report(options, dataset, store, found)
    _say_verdicts(metrics)
    if ended is not None:
        print(f"{found.photographs:,} photographs were answered: --resume goes on with the others")
        raise ended
    beyond = any(metric.verdict is not Verdict.PASS for metric in metrics)
    return 1 if found.failed or found.mismatches or beyond else 0


def _check(options: argparse.Namespace) -> None:
    for name in ("score", "cut"):
        value = getattr(options, name)
        if not 0.0 <= value < 1.0:
            raise UsageError(f"--{name}={value} is not a score: 0 or more, and less than 1")
    if options.sample and not options.reference:
        raise UsageError(
            "--sample goes with --reference", hint="without it a board answers every photograph"
        )
    if options.jobs > 1 and options.target == "probe":
        _check_boards(options)


def _check_boards(options: argparse.Namespace) -> None:
    """Have a real board for each process."""
    from hil.config import board, inventory
    from hil.targets import probe

    desk = board.load(options.board).on_desk(
        probe_id=options.probe, port=options.port, units=inventory.load()
    )
    known = max(1, len(probe.units(desk)))
    if options.jobs > known:
        raise UsageError(
            f"--jobs={options.jobs} takes as many boards; known: {known}",
            hint="name them in hil-boards.toml: hil boards list",
        )


def _task(
    options: argparse.Namespace, chosen: "Scenario", dataset: "Dataset"
) -> "tuple[Dataset, Task]":
    from dataclasses import replace
    from random import Random

    from hil.studies.answering_board import BoardOptions
    from hil.studies.evaluate.engine import Task

    names = [example.name for example in dataset.examples]
    drawn = Random(0).sample(names, len(names))[: options.limit]  # noqa: S311
    wanted = frozenset(drawn)
    kept = tuple(example for example in dataset.examples if example.name in wanted)
    dataset = replace(dataset, examples=kept)
    board = BoardOptions(
        options.board, options.target, options.toolchain, options.probe, options.port
    )
    checked = None
    if options.reference:
        checked = frozenset(drawn[: options.sample])
    needs_board = checked is None or bool(checked)
    return dataset, Task(
        chosen,
        options.board,
        board if needs_board else None,
        checked,
        options.score,
        len(dataset.classes),
    )


def _answered(
    options: argparse.Namespace, dataset: "Dataset", task: "Task"
) -> "tuple[Store, HilError | KeyboardInterrupt | None]":
    """Answer every photograph, keep the answers whatever happens, and say what ended it early."""
    from hil.commands import progress
    from hil.studies.evaluate import answers, engine

    head = engine.head(task, dataset)
    store = answers.Store(options.out / "answers.jsonl", head, resume=options.resume)
    done = [
        name
        for name, answer in store.answers.items()
        if answer.on_board or not task.goes_to_board(name)
    ]
    if done:
        print(f"{len(done):,} photographs were answered before")
    left = sum(example.name not in done for example in dataset.examples)
    try:
        with progress.over(left) as bar, store.open() as write:
            bar.tell("compiling")
            for answer in engine.run(task, dataset, done, options.jobs):
                write(answer)
                bar.finish(answer.example)
    except (HilError, KeyboardInterrupt) as ended:
        return store, ended
    return store, None


def _rows(
    options: argparse.Namespace, chosen: "Scenario", dataset: "Dataset", found: "Scores"
) -> "list[Metric]":
    """Keep the figures as rows, with their verdicts."""
    from hil.run import judge
    from hil.run.evaluation import of_scenario
    from hil.run.evaluation.scores import Evaluation
    from hil.studies.evaluate import rows

    evaluation = Evaluation(found, of_scenario.told(dataset))
    metrics = judge.judge_scores(evaluation, chosen, options.board)
    target = "reference" if options.reference else options.target
    rows.write(metrics, chosen, options.board, target, options.csv or options.out / "results.csv")
    return metrics


def _say_verdicts(metrics: "Sequence[Metric]") -> None:
    from hil.results.metrics import find

    for metric in metrics:
        if metric.limit is not None:
            show_one = find(metric.name).show
            print(
                f"[{metric.verdict}] {metric.name} is {show_one(metric.value)}, limit "
                f"{show_one(metric.limit)}"
            )


def _report(
    options: argparse.Namespace, dataset: "Dataset", store: "Store", found: "Scores"
) -> None:
    from hil.run.evaluation import scores
    from hil.studies.evaluate import pictures, predictions, report

    out: Path = options.out
    show(report.table(found))
    for confusion in report.confusion_tables(found, dataset.classes):
        show(confusion)
    print("\n".join(report.facts(found)))
    report.write_figures(found, out / "figures.csv")
    worst = scores.worst(dataset, store.answers, options.cut, options.worst)
    pictures.draw_worst(dataset, worst, store.answers, options.cut, out / "worst")
    if dataset.is_classification:
        report.write_confusion(found, dataset.classes, out / "confusion.csv")
    else:
        title = f"{options.scenario} on {dataset.folder.resolve().name}"
        (out / "precision-recall.svg").write_text(pictures.svg(found, title), encoding="utf-8")
        predictions.write_wider(store.answers, out / "wider")
        predictions.write_coco(dataset, store.answers, out / "coco.json")
    print(f"answers, figures and pictures: {out}")
