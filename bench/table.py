"""A table of measurements, with each row's ratio to the row it is compared with."""

from __future__ import annotations


class Table:
    """Rows of (what, figure); `base` is the row that ratios refer to, the first one unless told."""

    def __init__(self, title: str, unit: str, *, smaller_is_better: bool = False) -> None:
        self.title = title
        self.unit = unit
        self.smaller_is_better = smaller_is_better
        self.rows: list[tuple[str, float | None, str, bool]] = []

    def add(self, what: str, figure: float | None, note: str = "", *, base: bool = False) -> None:
        """figure None: could not be measured, and `note` says why.  `base`: ratios below refer to this row."""
        self.rows.append((what, figure, note, base))

    def markdown(self) -> str:
        """The table as it stands in the README."""
        lines = [f"### {self.title}", "", f"| | {self.unit} | ratio |", "|---|---:|---:|"]
        base = next((figure for _, figure, _, _ in self.rows if figure), None)
        for what, figure, note, is_base in self.rows:
            if is_base:
                base = figure
            if figure is None:
                lines.append(f"| {what} | not measured: {note} | |")
                continue
            ratio = f"{figure / base:.2f}" if base else ""
            shown = f"{figure:,.0f}" if figure >= 100 else f"{figure:,.1f}"
            lines.append(f"| {what}{' (' + note + ')' if note else ''} | {shown} | {ratio} |")
        return "\n".join(lines) + "\n"


class Tables:
    """Several that were measured together."""

    def __init__(self, tables: list[Table]) -> None:
        self.tables = tables

    def markdown(self) -> str:
        """One below the other."""
        return "\n".join(table.markdown() for table in self.tables)
