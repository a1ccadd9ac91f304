"""A sheet's curves: in the terminal, as a PNG or as one HTML page. Each library is imported when it is asked for.

The terminal comes from plotille and the page from plotly; PNG needs matplotlib, which is large, so it is an extra.
"""
from collections.abc import Sequence
from pathlib import Path

from pharmgpt.lessons.sheets import Panel

TERMINAL = "terminal"
MARKERS = "ox+*"


class ChartError(ValueError):
    """A picture that cannot be made: the message says why and what to do."""


def draw(panels: Sequence[Panel], target: str) -> str:
    """Draw into `target` ("terminal", or a path ending in .png or .html) and return what to print."""
    if target == TERMINAL:
        return "\n\n".join(as_text(panel) for panel in panels)
    writers = {".html": write_html, ".png": write_png}
    path = Path(target)
    if path.suffix not in writers:
        raise ChartError(f'--plot {target!r}: use "terminal", or a path that ends in .png or .html')
    if not path.parent.is_dir():
        raise ChartError(f"--plot {target}: there is no folder {path.parent}; make it first")
    writers[path.suffix](panels, path)
    return f"drawn: {path}"


def as_text(panel: Panel, width: int = 72, height: int = 14) -> str:
    import plotille

    figure = plotille.Figure()
    figure.width, figure.height, figure.x_label, figure.y_label = width, height, "epoch", "value"
    figure.register_label_formatter(float, lambda value, chars, delta, left=False: f"{value:{'<' if left else '>'}{chars}.2f}"[:chars])
    for marker, (name, points) in zip(MARKERS, panel.series.items(), strict=False):
        figure.plot(*zip(*points, strict=True), label=name, marker=marker)
    epochs = [epoch for points in panel.series.values() for epoch, _ in points]
    if min(epochs) < max(epochs):
        figure.set_x_limits(min(epochs), max(epochs))
    for name, level in panel.levels.items():
        figure.plot([min(epochs), max(epochs)], [level, level], label=f"{name} = {level:.3f}")
    return f"{panel.title}\n{figure.show(legend=True)}"


def write_html(panels: Sequence[Panel], path: Path) -> None:
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(panels), cols=1, subplot_titles=[panel.title for panel in panels])
    for row, panel in enumerate(panels, 1):
        for name, points in panel.series.items():
            figure.add_scatter(x=[x for x, _ in points], y=[y for _, y in points], name=name, row=row, col=1)
        for name, level in panel.levels.items():
            figure.add_hline(level, line={"dash": "dash", "width": 1}, annotation_text=name, row=row, col=1)
    figure.update_xaxes(title_text="epoch")
    figure.update_layout(height=360 * len(panels), template="plotly_white", title="Not medical advice")
    figure.write_html(path, include_plotlyjs=True, div_id="lesson")


def write_png(panels: Sequence[Panel], path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ChartError("--plot to PNG needs matplotlib: pip install 'pharmgpt[png]', or draw to .html or terminal") from None

    figure = Figure(figsize=(8, 3.6 * len(panels)), layout="constrained")
    figure.suptitle("Not medical advice", fontsize=8)
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        for name, points in panel.series.items():
            axes.plot(*zip(*points, strict=True), label=name)
        for name, level in panel.levels.items():
            axes.axhline(level, color="grey", linestyle="--", linewidth=1, label=f"{name} = {level:.3f}")
        axes.set(title=panel.title, xlabel="epoch")
        axes.legend()
    figure.savefig(path)
