"""Benchmarks: the arithmetic of their figures, who is left out and how that is said; the peers themselves are not needed."""
import ast
import io
import json
import subprocess
import sys
import time

import pytest
import torch
from rich.console import Console
from test_architecture import ROOT, imported

from benchmarks import ceiling, ours, scale, speed, workload
from benchmarks.ceiling import Layer, Product, mix_speed, operands, products, step_flops
from benchmarks.rounds import Contender, Round, Spread, Worker, interleave, paired_ratio
from benchmarks.startup import Command, start, startup_table
from benchmarks.tables import Table, publish
from benchmarks.workload import Answering, Training
from pharmgpt import bench_cli
from pharmgpt.model.device import EAGER
from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.text.chat import render_prompt

MICRO = ModelConfig(vocab_size=400, d_model=16, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=16, d_ff=32, max_positions=64)
WORKER = "import sys, time; sys.path.insert(0, 'benchmarks/peers'); from worker import Turns; turns = Turns()\n"
ENDLESS = WORKER + "while True: turns.lap(3)"


class Done(Exception):
    """The test has seen enough rounds."""


def contender(name, code, *arguments):
    return Contender(name, (sys.executable, "-c", code, *map(str, arguments)))


def laps(rounds):
    """A lap that notes its work, and ends the stage after `rounds` of them."""
    works = []

    def lap(work):
        works.append(work)
        if len(works) == rounds:
            raise Done
    return works, lap


def test_a_ratio_is_taken_within_each_round_before_its_spread():
    mine = [Round(1.0, 100), Round(2.0, 100), Round(1.0, 100)]  # 100, 50, 100 a second
    theirs = [Round(2.0, 100), Round(5.0, 100), Round(1.0, 25)]  # 50, 20, 25
    assert paired_ratio(mine, theirs) == Spread(2.5, 2.0, 4.0)  # 2, 2.5, 4; the ratio of the medians would be 4
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio(mine, theirs[:2])


def test_contenders_take_turns_and_answer_for_the_work_of_each_round(tmp_path):
    order = tmp_path / "order"
    code = WORKER + "while True:\n    open(sys.argv[1], 'a').write(sys.argv[2]); turns.lap(float(sys.argv[3]))"
    measured = interleave([contender("one", code, order, "a", 5), contender("other", code, order, "b", 7)], 3)
    assert order.read_text().startswith("ab" * 4)  # the first pair is the warm-up
    assert [each.work for each in measured.rounds["one"]] == [5] * 3 and [each.work for each in measured.rounds["other"]] == [7] * 3
    assert not measured.missing and measured.warm_ups.keys() == {"one", "other"}


def test_the_wait_for_ones_turn_is_not_counted():
    with Worker(contender("slow", WORKER + "while True: time.sleep(.05); turns.lap(1)")) as worker:
        worker.warm_up()
        first = worker.round()
        time.sleep(0.5)
        second = worker.round()
    assert 0.05 <= first.seconds < 0.4 and 0.05 <= second.seconds < 0.4


def test_what_a_library_prints_does_not_mix_with_answers():
    code = WORKER + "while True: print('{\"seconds\": 0}', flush=True); turns.lap(3)"
    assert [each.work for each in interleave([contender("loud", code)], 2).rounds["loud"]] == [3, 3]


def test_a_peer_without_interpreter_is_named_and_the_others_are_measured():
    measured = interleave([contender("here", ENDLESS), Contender("gone", ("/nowhere/bin/python", "hf.py"))], 2)
    assert list(measured.rounds) == ["here"] and len(measured.rounds["here"]) == 2
    assert measured.missing == ["gone: no interpreter at /nowhere/bin/python; `make bench` installs the peers"]


@pytest.mark.parametrize("laps_before", [0, 2])
def test_a_worker_that_dies_is_left_out_whole_and_its_last_words_are_given(laps_before):
    code = WORKER + f"for _ in range({laps_before}): turns.lap(1)\nimport no_such_peer"
    measured = interleave([contender("here", ENDLESS), contender("dying", code)], 3)
    assert list(measured.rounds) == ["here"] and len(measured.rounds["here"]) == 3
    assert measured.missing == ["dying: ended with code 1: ModuleNotFoundError: No module named 'no_such_peer'"]


def test_of_a_long_farewell_the_error_is_given():
    code = WORKER + "sys.exit('Traceback\\ntorch.exc.BuildError: no compiler\\nSet VERBOSE=1 for more')"
    assert interleave([contender("dying", code)], 1).missing == ["dying: ended with code 1: torch.exc.BuildError: no compiler"]


def test_a_missing_peer_stands_below_the_table_and_ours_has_no_ratio_to_nobody():
    contest = speed.Contest("T", "tokens/s", speed.ours("train", "{}"), [speed.Peer(Contender("gone", ("/nowhere/python",)), 1.6)])
    table = speed.contest_table(contest, interleave([contender(speed.OURS, ENDLESS), contest.peers[0].contender], 2))
    assert [(row["who"], row["ours / theirs"], row["aim"]) for row in table.rows] == [("PharmGPT", None, None)]
    assert table.notes[0].startswith("not measured: gone: no interpreter")


def test_a_peers_row_holds_how_many_times_as_fast_we_are_and_the_aim():
    contest = speed.Contest("T", "tokens/s", speed.ours("train", "{}"), [speed.Peer(Contender("HF", ("python",)), 1.6)])
    measured = interleave([], 0)._replace(rounds={"PharmGPT": [Round(1, 30)], "HF": [Round(1, 10)]}, warm_ups={"PharmGPT": 1, "HF": 2})
    mine, theirs = speed.contest_table(contest, measured).rows
    assert theirs["ours / theirs"] == Spread(3, 3, 3) and theirs["aim"] == "≥ 1.6" and mine["tokens/s"] == Spread(30, 30, 30)


def test_json_lies_beside_the_table_with_the_same_numbers_and_the_machine(tmp_path):
    console = Console(record=True, width=100, file=io.StringIO())
    table = Table("Speed", [{"who": "we", "tokens/s": Spread(12345.6, 11000, 13000.4), "aim": None}], ["not measured: them"])
    path = publish("speed", [table], EAGER, console, tmp_path / "results")
    shown, left = console.export_text(), json.loads(path.read_text())
    assert path == tmp_path / "results" / "speed.json" and "12,346 (11,000–13,000)" in shown and "not measured: them" in shown
    assert left["tables"] == [{"title": "Speed", "notes": ["not measured: them"], "rows": [
        {"who": "we", "tokens/s": {"median": 12345.6, "low": 11000, "high": 13000.4}, "aim": None}]}]
    assert {"cpu", "cores", "torch", "dtype", "amx", "gpu", "commit"} <= left["machine"].keys() and left["machine"]["dtype"] == "fp32"


def test_a_step_of_the_classroom_model_holds_72_gflop_of_products():
    # 3 layers of 4 · 256² + 3 · 256 · 704 weights and a head of 256 · 2048: 2,932,736; 4096 tokens; 2 operations, 3 products
    work = workload.classroom_training(1)
    assert work.tokens == 4096 and step_flops(work.model, work.tokens) == 6 * 4096 * 2_932_736 == 72_074_919_936
    assert Product(Layer(256, 704), "dW", 4096, 6).flops == 2 * 4096 * 256 * 704
    matrices = sum(parameter.numel() for parameter in Transformer(work.model).parameters() if parameter.ndim == 2)
    assert matrices == 2_932_736  # the head is tied to the embeddings


def test_layers_of_grouped_queries_are_counted_in_their_own_shapes():
    model = ModelConfig(vocab_size=100, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=16, d_ff=48)
    assert dict(ceiling.layers(model)) == {Layer(32, 64): 2, Layer(32, 32): 4, Layer(64, 32): 2, Layer(32, 48): 4, Layer(48, 32): 2,
                                           Layer(32, 100): 1}


def test_the_mix_is_all_work_over_all_time_not_a_mean_of_speeds():
    fast, slow = Product(Layer(10, 10), "forward", 5, 3), Product(Layer(10, 10), "dX", 5, 1)  # 1000 operations each
    assert mix_speed({fast: 1.0, slow: 7.0}) == 4000 / 10


@pytest.mark.parametrize("way", ["forward", "dX", "dW"])
def test_the_timed_products_are_those_of_a_linear_layer(way):
    a, b = operands(Product(Layer(3, 5), way, 7, 1), torch.float32, "cpu")
    assert (a @ b).shape == {"forward": (7, 5), "dX": (7, 3), "dW": (5, 3)}[way]
    assert a.shape[0] * a.shape[1] * b.shape[1] == 7 * 3 * 5


def test_the_ceiling_sees_every_product_between_rounds_of_the_real_training(monkeypatch):
    monkeypatch.setattr(ceiling, "COPIED_BYTES", 4096)
    work = Training(MICRO, rows=2, row_tokens=32, steps=2)
    seen = ceiling.look(work, EAGER, ceiling.Length(rounds=3, steps=2, repeats=1))
    assert len(seen) == 3 and seen[0].products.keys() == {(product, torch.float32) for product in products(MICRO, 64)}
    first, second = ceiling.tables(work, EAGER, seen)
    assert sum(row["% of the work"] for row in first.rows) == pytest.approx(100)
    value = {row["what"]: row["value"] for row in second.rows}
    assert value["share of the mix"].median == pytest.approx(sorted(
        100 * step_flops(MICRO, 64) / one.step / mix_speed({key[0]: took for key, took in one.products.items()}) for one in seen)[1])


def test_our_workers_count_the_work_of_a_round(tmp_path):
    works, lap = laps(2)
    with pytest.raises(Done):
        ours.train(Training(MICRO, rows=2, row_tokens=32, steps=3), EAGER, tmp_path / "train", lap)
    assert works == [3 * 64] * 2
    works, lap = laps(2)
    with pytest.raises(Done):
        ours.generate_rounds(Answering(MICRO, 4, prompt_tokens=8, new_tokens=5), EAGER, tmp_path, lap)
    assert works == [20, 20]
    works, lap = laps(2)
    with pytest.raises(Done):
        ours.ppo_rounds(Answering(MICRO, 4, prompt_tokens=8, new_tokens=8, epochs=2), EAGER, tmp_path / "ppo", lap)
    assert all(4 * 8 < work <= 4 * 16 for work in works)


def test_prompts_have_exactly_the_tokens_asked_for():
    tokenizer = workload.tokenizer_of(2048)
    assert {len(render_prompt(question.messages, tokenizer)) for question in workload.questions(tokenizer, 64, 8)} == {64}


def test_both_sides_are_given_the_same_numbers():
    work = workload.classroom_training(4)
    given = json.loads(workload.as_argument(work, EAGER))
    assert given == {"model": work.model.model_dump(), "rows": 32, "row_tokens": 128, "steps": 4, "device": "cpu", "dtype": "fp32"}
    train = next(speed.contests(EAGER, ROOT / "python", speed.QUICK))
    assert {each.command[-1] for each in (train.ours, *(peer.contender for peer in train.peers))} == {
        workload.as_argument(workload.classroom_training(speed.QUICK.steps), EAGER)}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "peers").glob("*.py")), ids=lambda path: path.name)
def test_peers_import_only_what_their_own_environment_has(path):
    tops = {name.split(".")[0] for name in imported(ast.parse(path.read_text(encoding="utf-8")))}
    assert tops <= sys.stdlib_module_names | {"torch", "transformers", "tokenizers", "datasets", "trl", "hf", "worker"}


def test_along_an_axis_only_what_it_names_changes():
    base = workload.classroom_training(1)
    axes = scale.axes(base, scale.FULL)
    assert {point.work.tokens for point in axes["tokens a row"]} == {4096}
    assert [point.work.tokens for point in axes["rows a batch"]] == [1024, 2048, 4096, 8192]
    wide = axes["width"][-1].work.model
    assert (wide.d_model, wide.n_heads, wide.head_dim, wide.d_ff) == (512, 8, 64, 1408)
    assert all(any(point.work == base for point in points) for points in axes.values())  # the classroom model lies on each


def test_a_command_that_fails_is_named_below_the_table(monkeypatch):
    commands = (Command("help", ("--help",), "soon"), Command("wrong", ("frobnicate",), "never"))
    monkeypatch.setattr("benchmarks.startup.COMMANDS", commands)
    table = startup_table(1)
    assert [(row["command"], row["loads torch"]) for row in table.rows] == [("help", "no")]
    assert "not measured: wrong: " in table.notes[-1]
    once = start(commands[0])
    assert 0.01 < once.first <= once.seconds


def test_bench_without_a_checkout_says_where_benchmarks_come_from(command, monkeypatch, tmp_path):
    monkeypatch.setattr(bench_cli, "BENCHMARKS", tmp_path / "benchmarks")
    done = command("bench")
    assert done.code == 2 and "come with the source checkout" in done.err and "Traceback" not in done.err


def test_bench_runs_all_three_short(command, monkeypatch):
    calls = []

    def note(arguments, **_):
        calls.append(arguments[1:])
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(bench_cli.subprocess, "run", note)
    assert command("bench").code == 0
    assert calls == [["-m", f"benchmarks.{name}", "--quick"] for name in ("speed", "ceiling", "scale")]
