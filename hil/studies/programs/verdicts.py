"""Results of tests that a program prints, as TAP or as Unity has them, turned into JUnit's XML.

Sources: testanything.org, TAP version 14; ThrowTheSwitch's Unity, "Unity Output Format".
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

_TAP = re.compile(r"(not )?ok\b\s*(\d*)\s*-?\s*([^#]*)(?:#\s*(\w+)\s*(.*))?")
_UNITY = re.compile(r"(.+?):(\d+):([^:]+):(PASS|FAIL|IGNORE)(?::\s*(.*))?")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")

Result = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Case:
    """One test of a program's own.

    Attributes:
        message: why it failed or was skipped.
    """

    name: str
    result: Result
    message: str = ""


def cases(text: str) -> Iterator[Case]:
    """Yield the tests that a program's output tells of."""
    for line in text.splitlines():
        stripped = line.strip()
        if tap := _TAP.fullmatch(stripped):
            yield _of_tap(tap)
        elif unity := _UNITY.fullmatch(stripped):
            file, number, name, result, message = unity.groups()
            place = f"{file}:{number}"
            yield Case(name, _RESULTS[result], f"{message or ''} ({place})".strip())


_RESULTS: dict[str, Result] = {"PASS": "passed", "FAIL": "failed", "IGNORE": "skipped"}


def _of_tap(match: re.Match[str]) -> Case:
    failed, number, name, directive, reason = match.groups()
    words = name.strip() or f"test {number or '?'}"
    if directive and directive.upper() in {"SKIP", "TODO"}:
        return Case(words, "skipped", f"{directive} {reason}".strip())
    return Case(words, "failed" if failed else "passed")


@dataclass(frozen=True)
class Suite:
    """What a program of several comes to.

    Attributes:
        program: its name.
        cases: its own tests.
        problem: why it did not come to its end; empty where it did.
        seconds: that it took, by its own clock.
    """

    program: str
    cases: Sequence[Case]
    problem: str
    seconds: float


def junit(program: str, found: list[Case], problem: str, seconds: float) -> str:
    """Return JUnit's XML.

    Args:
        program: its name.
        found: its own tests.
        problem: why it did not come to its end; empty where it did. It is a failed test too.
        seconds: that it took, by its own clock.
    """
    rows = [*found, *([_end(problem)] if problem else [])]
    return _document(_suite(program, rows, seconds))


def junit_of_several(suites: Iterable[Suite]) -> str:
    """Return JUnit's XML of several programs: that each runs to its end is a test of it, too."""
    top = ET.Element("testsuites")
    for one in suites:
        top.append(_suite(one.program, [*one.cases, _end(one.problem)], one.seconds))
    return _document(top)


def _end(problem: str) -> Case:
    return Case("runs to its end", "failed" if problem else "passed", problem)


def _suite(program: str, rows: Sequence[Case], seconds: float) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        name=program,
        tests=str(len(rows)),
        failures=str(sum(one.result == "failed" for one in rows)),
        skipped=str(sum(one.result == "skipped" for one in rows)),
        time=f"{seconds:.6f}",
    )
    for one in rows:
        case = ET.SubElement(suite, "testcase", classname=program, name=_clean(one.name))
        if one.result != "passed":
            kind = "failure" if one.result == "failed" else "skipped"
            ET.SubElement(case, kind, message=_clean(one.message))
    return suite


def _document(top: ET.Element) -> str:
    ET.indent(top)
    return ET.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    """Return a text with what XML cannot hold replaced."""
    return _UNPRINTABLE.sub("\ufffd", text)
