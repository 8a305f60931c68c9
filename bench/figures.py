"""Figures, the goals they are held against, and the table that shows both."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Maker = Literal["apache", "cairn"]
MAKERS: tuple[Maker, ...] = ("apache", "cairn")
_CAUSE_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound of the ratio Cairn/Apache, or of Cairn's own figure where not ``relative``."""

    bound: float
    at_least: bool
    relative: bool = True

    def is_reached(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{'x' if self.relative else ''}"


def ratio_at_least(bound: float) -> Goal:
    return Goal(bound, at_least=True)


def ratio_at_most(bound: float) -> Goal:
    return Goal(bound, at_least=False)


def at_most(bound: float) -> Goal:
    return Goal(bound, at_least=False, relative=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    measure: str
    unit: str
    goal: Goal | None = None


@dataclass(slots=True)
class _Cell:
    values: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def median(self) -> float | None:
        """None if it was not measured or if any run failed: a figure stands for all runs."""
        return statistics.median(self.values) if self.values and not self.failures else None

    @property
    def text(self) -> str:
        if self.failures:
            return "failed"
        return "-" if self.median is None else number(self.median)


def number(value: float) -> str:
    """Three or more digits, as many as mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


@dataclass(slots=True)
class Book:
    """All figures of one run of the benchmark, in the order of their first mention."""

    _rows: dict[Row, dict[Maker, _Cell]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    has_failures: bool = False

    def _cell(self, row: Row, maker: Maker) -> _Cell:
        return self._rows.setdefault(row, {each: _Cell() for each in MAKERS})[maker]

    def record(self, row: Row, maker: Maker, value: float) -> None:
        self._cell(row, maker).values.append(value)
        print(f"  {maker:<7} {row.measure:<58} {number(value):>9} {row.unit}", flush=True)

    def fail(self, rows: Iterable[Row], maker: Maker, cause: str) -> None:
        cause = " ".join(cause.split())[:_CAUSE_CHARACTERS_MAX]
        self.has_failures = True
        for row in rows:
            self._cell(row, maker).failures.append(cause)
            print(f"  {maker:<7} {row.measure:<58}    failed {cause}", flush=True)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
        print(f"  note: {text}", flush=True)

    def _line(self, row: Row, cells: dict[Maker, _Cell]) -> tuple[str, ...]:
        apache, cairn = cells["apache"].median, cells["cairn"].median
        ratio = cairn / apache if apache and cairn is not None else None
        goal, reached = row.goal, "-"
        if goal is not None:
            value = ratio if goal.relative else cairn
            if cells["cairn"].failures:
                reached = "no"
            elif value is not None:
                reached = "yes" if goal.is_reached(value) else "no"
        return (
            row.measure,
            row.unit,
            cells["apache"].text,
            cells["cairn"].text,
            "-" if ratio is None else f"{ratio:.2f}",
            "-" if goal is None else str(goal),
            reached,
        )

    def markdown(self) -> str:
        """The table, then the causes of what failed and the notes."""
        head = ("measure", "unit", "Apache", "Cairn", "Cairn/Apache", "goal", "reached")
        lines = [head, *(self._line(row, cells) for row, cells in self._rows.items())]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        out = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
        out.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        failures = [
            f"- {row.measure}, {maker}: {cause}"
            for row, cells in self._rows.items()
            for maker, cell in cells.items()
            for cause in dict.fromkeys(cell.failures)
        ]
        if failures:
            out += ["", "Failed:", "", *failures]
        if self.notes:
            out += ["", "Notes:", "", *(f"- {text}" for text in self.notes)]
        return "\n".join(out) + "\n"
