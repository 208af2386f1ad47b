"""The table that a run prints, and that README keeps."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

HEAD = ("#", "what", "ours", "floor", "ratio", "target")
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


@dataclass(frozen=True)
class Row:
    """One measurement, already worded."""

    number: str
    what: str
    ours: str
    floor: str = "–"
    ratio: str = "–"
    target: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.number, self.what, self.ours, self.floor, self.ratio, self.target)


def markdown(rows: list[Row], load: float) -> str:
    """The rows as a Markdown table under the date of the run; ``load`` is what else the machine had to do."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells for row in rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    circumstances = f"two cores, with a load of {load:.1f} from others when it began"
    return f"Measured on {datetime.now(UTC):%-d %B %Y}, {circumstances}.\n\n{table}"


def keep(table: str, readme: Path) -> None:
    """Put the table between the marks in ``readme``."""
    text = readme.read_text("utf-8")
    part = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
    readme.write_text(part.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text), "utf-8")
