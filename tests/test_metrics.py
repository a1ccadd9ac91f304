"""metrics.jsonl: a line a step, cut cleanly on a resume; progress in plain lines where nobody watches a terminal."""
import io
import json

import pytest
from rich.console import Console

from pharmgpt.run.metrics import MetricLog, read_metrics


@pytest.fixture
def shown():
    return io.StringIO()


@pytest.fixture
def log(tmp_path, shown):
    return MetricLog(tmp_path / "sft" / "metrics.jsonl", "sft", 4, Console(file=shown, width=100))


def test_every_record_is_one_json_line_in_order(log):
    log.write({"step": 1, "loss": 2.5})
    log.write({"step": 2, "loss": 2.25})
    assert [json.loads(line) for line in log.path.read_text().splitlines()] == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 2.25}]
    assert read_metrics(log.path) == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 2.25}]


def test_a_resume_drops_the_lines_that_it_will_repeat(log):
    for step in (0, 1, 2, 3):
        log.write({"step": step})
    log.truncate(2)
    assert [record["step"] for record in read_metrics(log.path)] == [0, 1, 2]


def test_starting_anew_drops_every_line_so_that_step_0_is_not_said_twice(log):
    log.write({"step": 0, "ln_vocab": 6.2})
    log.truncate(0)
    assert read_metrics(log.path) == []


def test_a_line_cut_by_a_kill_is_dropped(log):
    log.write({"step": 1})
    with open(log.path, "a", encoding="utf-8") as file:
        file.write('{"step": 2, "lo')
    assert read_metrics(log.path) == [{"step": 1}]
    log.truncate(5)
    log.write({"step": 2})
    assert read_metrics(log.path) == [{"step": 1}, {"step": 2}]


def test_a_log_that_is_not_there_is_empty(tmp_path, log):
    log.truncate(3)
    assert read_metrics(tmp_path / "nowhere.jsonl") == []


def test_plain_lines_are_few_and_name_stage_step_and_loss(log, shown):
    for step in (1, 2, 3, 4):
        log.write({"step": step, "loss": 2.5, "seconds": 0.1})
    log.close()
    assert shown.getvalue() == "sft 1/4  loss 2.5\n"


def test_a_terminal_gets_a_bar_with_the_newest_numbers(tmp_path):
    shown = io.StringIO()
    log = MetricLog(tmp_path / "metrics.jsonl", "sft", 4, Console(file=shown, width=140, force_terminal=True))
    log.write({"step": 3, "loss": 1.25})
    log.close()
    assert "sft" in shown.getvalue() and "3/4" in shown.getvalue() and "loss 1.25" in shown.getvalue()
