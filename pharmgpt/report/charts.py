"""The page's charts: plotly figures as HTML fragments. One colour a stage everywhere; text and lines take the page's own colours in CSS."""
import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from pharmgpt.report.collect import Score
from pharmgpt.report.summary import Fall

COLOURS = {"pretrain": "#64748b", "experts": "#6b7f1f", "sft": "#2563b8", "reward": "#8b4fa8", "ppo": "#d0541b"}
GOLD, GREY = "#b58900", "#8a8f98"
POINTS = 400  # a curve: more cannot be seen, and each costs bytes
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def plotly_script() -> Markup:
    """The whole library, to stand inside the page once."""
    return Markup(get_plotlyjs())


def pretrain_chart(records: Sequence[dict]) -> Markup | None:
    if not _series(records, "loss")[0]:
        return None
    figure = _figure(rows=1, cols=2, titles=("nats per token", "bits per byte"))
    _loss(figure, records, "pretrain")
    _line(figure, records, "bits_per_byte", "training", COLOURS["pretrain"], col=2, faint=True, legend=False)
    _line(figure, records, "dev_bits_per_byte", "unread text", COLOURS["pretrain"], col=2, dots=True, legend=False)
    start = records[0]
    _level(figure, start.get("ln_vocab"), "even guessing, ln V")
    _level(figure, start.get("unigram_entropy"), "token frequencies alone")
    return _html(figure, "pretrain", 340)


def sft_chart(records: Sequence[dict]) -> Markup | None:
    if not _series(records, "loss")[0]:
        return None
    figure = _figure(titles=("nats per answer token",))
    _loss(figure, records, "sft")
    return _html(figure, "sft", 320)


def reward_chart(records: Sequence[dict]) -> Markup | None:
    if not _series(records, "loss")[0]:
        return None
    figure = _figure(rows=1, cols=3, titles=("loss", "right preferences", "scores of the two answers"))
    _loss(figure, records, "reward")
    _level(figure, math.log(2), "no opinion")
    _line(figure, records, "accuracy", "training", COLOURS["reward"], col=2, faint=True, legend=False)
    _line(figure, records, "dev_accuracy", "held-back pairs", COLOURS["reward"], col=2, dots=True, legend=False)
    _level(figure, 0.5, "chance", col=2)
    _line(figure, records, "r_chosen", "chosen", "#2e7d4f", col=3)
    _line(figure, records, "r_rejected", "rejected", "#b3393f", col=3)
    figure.update_yaxes(tickformat=".0%", col=2)
    return _html(figure, "reward", 340)


def ppo_chart(records: Sequence[dict], fall: Fall | None) -> Markup | None:
    """Reward and gold above on their own axes, KL below: what the judge says, what is true, and what it cost."""
    if not _series(records, "reward")[0] and not _series(records, "gold")[0]:
        return None
    figure = _figure(rows=2, specs=[[{"secondary_y": True}], [{}]], row_heights=[0.7, 0.3], shared_xaxes=True, vertical_spacing=0.07)
    _line(figure, records, "reward", "reward (left)", COLOURS["reward"], secondary_y=False)
    _line(figure, records, "dev_reward", "reward, dev questions", COLOURS["reward"], dots=True, secondary_y=False)
    _line(figure, records, "gold", "gold (right)", GOLD, secondary_y=True)
    _line(figure, records, "dev_gold", "gold, dev questions", GOLD, dots=True, secondary_y=True)
    _line(figure, records, "kl", "KL", COLOURS["ppo"], row=2, legend=False)
    figure.update_yaxes(title_text="learned reward, z-units", title_font_color=COLOURS["reward"], row=1, secondary_y=False)
    figure.update_yaxes(title_text="gold", title_font_color=GOLD, row=1, secondary_y=True, showgrid=False, tickmode="auto")
    figure.update_yaxes(title_text="KL, nats an answer", rangemode="tozero", row=2)
    figure.update_xaxes(title_text="iteration", row=2)
    if fall is not None:
        figure.add_vline(fall.step, line={"color": GREY, "dash": "dot"}, row=1, col=1)
        figure.add_annotation(x=fall.step, y=1, xref="x", yref="y domain", yanchor="bottom", showarrow=False,
                              text=f"from here reward rises while gold falls by {fall.gold_drop:.2f}")
    return _html(figure, "ppo", 520)


def frontier_chart(records: Sequence[dict]) -> Markup | None:
    """Reward and gold over √KL, the axes of Gao et al. 2022."""
    rows = [{**r, "step": math.sqrt(max(r["kl"], 0.0))} for r in records if isinstance(r.get("kl"), (int, float))]
    if not _series(rows, "reward")[0]:
        return None
    figure = _figure(specs=[[{"secondary_y": True}]])
    for key, name, colour, right in (("reward", "reward (left)", COLOURS["reward"], False), ("gold", "gold (right)", GOLD, True)):
        _line(figure, rows, key, name, colour, dots=True, joined=False, secondary_y=right)
    figure.update_xaxes(title_text="√KL, with KL in nats an answer")
    figure.update_yaxes(title_text="learned reward, z-units", title_font_color=COLOURS["reward"], secondary_y=False)
    figure.update_yaxes(title_text="gold", title_font_color=GOLD, secondary_y=True, showgrid=False, tickmode="auto")
    return _html(figure, "frontier", 320)


def mechanics_chart(records: Sequence[dict]) -> Markup | None:
    """What to look at when PPO misbehaves."""
    panels = (("unsafe", "unsafe share"), ("length", "tokens an answer"), ("ended", "answers that end"),
              ("entropy", "entropy, nats a token"), ("clip_fraction", "clip fraction"), ("explained_variance", "explained variance"))
    present = [(key, title) for key, title in panels if _series(records, key)[0]]
    if not present:
        return None
    figure = _figure(rows=-(-len(present) // 3), cols=3, titles=tuple(title for _, title in present), vertical_spacing=0.2)
    for place, (key, _) in enumerate(present):
        _line(figure, records, key, key, COLOURS["ppo"], row=place // 3 + 1, col=place % 3 + 1, legend=False)
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(margin_t=36)
    return _html(figure, "mechanics", 180 * -(-len(present) // 3) + 60)


def family_chart(rows: Sequence[Mapping]) -> Markup | None:
    """Gold by family with 95 % intervals; `rows` as page.families gives them, best first."""
    if not rows:
        return None
    figure = _figure()
    for stage, shift in (("sft", -0.14), ("ppo", 0.14)):
        known = [(place + shift, row["name"], row[stage]) for place, row in enumerate(rows) if row[stage] is not None]
        if known:
            figure.add_trace(_dots(stage, known))
    figure.update_yaxes(range=[len(rows) - 0.4, -0.6], tickvals=list(range(len(rows))), ticktext=[row["name"] for row in rows])
    figure.update_xaxes(title_text="gold, seen drugs")
    figure.add_vline(0, line={"color": GREY, "width": 1})
    return _html(figure, "families", 130 + 30 * len(rows))


def _dots(stage: str, known: Sequence[tuple[float, str, Score]]) -> go.Scatter:
    """One stage's values as dots with their intervals."""
    bounds = [score.ci95 or (score.value, score.value) for _, _, score in known]
    values = [score.value for _, _, score in known]
    error = {"type": "data", "symmetric": False, "thickness": 1.4, "width": 0, "color": COLOURS[stage],
             "array": [high - value for value, (_, high) in zip(values, bounds, strict=True)],
             "arrayminus": [value - low for value, (low, _) in zip(values, bounds, strict=True)]}
    symbol = "circle-open" if stage == "sft" else "circle"
    marker = {"color": COLOURS[stage], "size": 9, "symbol": symbol, "line": {"width": 2, "color": COLOURS[stage]}}
    return go.Scatter(x=values, y=[place for place, _, _ in known], name=stage.upper(), mode="markers", marker=marker, error_x=error,
                      text=[name for _, name, _ in known], hovertemplate="%{text}: %{x:.2f}")


def _loss(figure: go.Figure, records: Sequence[dict], stage: str) -> None:
    _line(figure, records, "loss", "training", COLOURS[stage], faint=True)
    _line(figure, records, "dev_loss", "held back", COLOURS[stage], dots=True)


def _figure(rows: int = 1, cols: int = 1, titles: Sequence[str] | None = None, **options) -> go.Figure:
    figure = make_subplots(rows=rows, cols=cols, subplot_titles=titles, **options)
    figure.update_layout(template="none", font={"family": FONT, "size": 13}, margin={"l": 56, "r": 56, "t": 64, "b": 56},
                         paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", hovermode="closest",
                         legend={"orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "x": 0})
    figure.update_xaxes(showgrid=False, zeroline=False, ticks="outside", ticklen=4, tickcolor=GREY, linecolor=GREY, showline=True)
    figure.update_yaxes(gridcolor="#e5e7eb", zeroline=False, automargin=True)
    figure.update_annotations(font_size=13)
    return figure


def _line(figure: go.Figure, records: Sequence[dict], key: str, name: str, colour: str, *, row: int = 1, col: int = 1, faint: bool = False,
          dots: bool = False, joined: bool = True, legend: bool = True, secondary_y: bool | None = None) -> None:
    x, y = _thinned(*_series(records, key))
    if not x:
        return
    mode = "lines" if not dots and len(x) > 1 else "lines+markers" if joined else "markers"
    trace = go.Scatter(x=x, y=y, name=name, mode=mode, opacity=0.45 if faint else 1, showlegend=legend, marker={"size": 7},
                       line={"color": colour, "width": 1.5 if faint or dots else 2, "dash": "dot" if dots and joined else "solid"})
    figure.add_trace(trace, row=row, col=col, **({} if secondary_y is None else {"secondary_y": secondary_y}))


def _level(figure: go.Figure, value: float | None, name: str, col: int = 1) -> None:
    if value is not None:
        figure.add_hline(value, line={"color": GREY, "dash": "dash", "width": 1}, annotation_text=name, annotation_position="top right",
                         annotation_font_size=11, row=1, col=col)


def _series(records: Sequence[dict], key: str) -> tuple[list[float], list[float]]:
    """Steps and finite values of the records that hold the key."""
    held = [(r.get("step", 0), r[key]) for r in records if isinstance(r.get(key), (int, float)) and math.isfinite(r[key])]
    return [step for step, _ in held], [value for _, value in held]


def _thinned(x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    """Means of equal runs of points, so that a long log stays light and no spike is picked or dropped by luck."""
    size = -(-len(x) // POINTS)
    if size <= 1:
        return x, [round(value, 5) for value in y]
    runs = range(0, len(x), size)
    return [x[start] for start in runs], [round(sum(y[start:start + size]) / len(y[start:start + size]), 5) for start in runs]


def _html(figure: go.Figure, name: str, height: int) -> Markup:
    """The name makes the same run give the same bytes: plotly's own ids are random."""
    figure.update_layout(height=height)
    config = {"displayModeBar": False, "responsive": True}
    return Markup(figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"chart-{name}", config=config))
