"""What was measured, as tables: printed, and written as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Section:
    """One table; ``about`` says how to read it, ``notes`` what else was seen, ``errors`` what went wrong.

    The first column is a name, the others are numbers.
    """

    title: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    errors: Sequence[str] = ()

    def show(self, console: Console) -> None:
        table = Table(title=self.title)
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for note in self.notes:
            console.print(note, markup=False)
        for error in self.errors:
            console.print(error, style="red", markup=False)

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", self.about, ""]
        lines += [_line(self.columns), "|---" + "|---:" * (len(self.columns) - 1) + "|"]
        lines += [_line(row) for row in self.rows]
        for note in self.notes:
            lines += ["", note]
        if self.errors:
            lines += ["", "Errors:", "", *(f"- {error}" for error in self.errors)]
        return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
