"""The table of ``search.md`` as dots: ``python -m benchmarks.search_plot`` writes ``search.png``.

Needs the extra ``bench``: pip install 'fhirserver[bench]'.
"""

from pathlib import Path

RESULTS = Path(__file__).with_name("search.md")
COLOURS = ("#8da0cb", "#4575b4", "#d73027", "#1a9850")


def table(text: str) -> tuple[list[str], list[tuple[str, list[float]]]]:
    """The sizes, and for each search its milliseconds at each size."""
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    head, *body = rows
    sizes = [cell for cell in head[2:] if not cell.startswith("growth")]
    return sizes, [(row[0], [float(cell) for cell in row[2 : 2 + len(sizes)]]) for row in body]


def main() -> None:
    import matplotlib as mpl
    from matplotlib import pyplot

    mpl.use("Agg")
    sizes, searches = table(RESULTS.read_text())
    figure, axes = pyplot.subplots(figsize=(9, 0.27 * len(searches) + 1.2))
    for row, (_, times) in enumerate(reversed(searches)):
        axes.plot([min(times), max(times)], [row, row], color="#cccccc", linewidth=2, zorder=1)
        for time, size, colour in zip(times, sizes, COLOURS, strict=False):
            axes.scatter(
                time, row, s=36, color=colour, label=f"{size} people" if row == 0 else None, zorder=2
            )
    axes.set_yticks(range(len(searches)), [name for name, _ in reversed(searches)])
    axes.set_xscale("log")
    axes.set_xlabel("median milliseconds over HTTP")
    axes.grid(axis="x", color="#eeeeee")
    axes.legend(loc="upper right")
    figure.tight_layout()
    figure.savefig(RESULTS.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
