"""`pharmgpt lesson`: what is printed, drawn and given to programs; wrong settings; and that it needs no torch."""
import json
import re
import subprocess
import sys

import pytest

LESSONS = ("pretraining", "sft", "reward", "ppo")


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_says_what_to_predict_shows_its_epochs_and_reads_its_numbers(command, name):
    done = command("lesson", name, "--epochs", "4")
    assert done.code == 0
    assert all(part in done.out for part in ("Predict first:", "4/4", "Reading", "A warning would be", "Not medical advice"))
    assert max(map(len, done.out.splitlines())) <= 132


@pytest.mark.parametrize("name", LESSONS)
def test_as_published_names_the_wrong_line_the_right_one_and_how_to_know(command, name):
    done = command("lesson", name, "--as-published", "--epochs", "4")
    assert done.code == 0 and all(word in done.out for word in ("\n     wrong ", "\n     right ", "\n     seen ", "repaired"))
    assert max(map(len, done.out.splitlines())) <= 132


def test_the_reward_lesson_prints_the_texts_columns_every_20_epochs(command):
    said = command("lesson", "reward").out
    assert all(column in said for column in ("loss", "margin", "acc.", "r(pref)", "r(dispref)"))
    assert re.findall(r"(\d+)/100", said) == ["0", "20", "40", "60", "80", "100"]


def test_json_holds_every_epoch_as_plain_numbers(command):
    told = json.loads(command("lesson", "reward", "--json", "--seed", "3", "--lr", "0.05", "--epochs", "7").out)
    assert told["config"] == {"seed": 3, "epochs": 7, "lr": 0.05} and [row["epoch"] for row in told["epochs"]] == list(range(8))
    assert told["epochs"][0]["loss"] == pytest.approx(0.693147) and told["reading"] and "ot medical advice" in told["note"]


def test_seed_epochs_lr_and_kl_change_what_is_trained(command):
    def last(*options):
        return json.loads(command("lesson", "ppo", "--json", "--epochs", "3", *options).out)["epochs"][-1]

    usual = last()
    assert all(last(*options) != usual for options in (("--seed", "1"), ("--lr", "0.5"), ("--kl", "0")))


@pytest.mark.parametrize(("options", "says"), [
    (("--lr", "0"), "--lr 0.0: input should be greater than 0"),
    (("--lr", "-1"), "--lr -1.0"),
    (("--plot", "curve.pdf"), "ends in .png or .html"),
    (("--plot", "nowhere/curve.html"), "there is no folder nowhere"),
    (("--epochs", "0"), "--epochs"),
    (("--seed", "-1"), "--seed"),
])
def test_a_setting_that_cannot_be_is_exit_code_2_and_says_why(command, options, says):
    done = command("lesson", "reward", *options)
    assert done.code == 2 and says in done.err and "Traceback" not in done.err


def test_steps_that_are_too_long_are_exit_code_1_and_one_line(command):
    done = command("lesson", "pretraining", "--lr", "1e308")
    assert done.code == 1 and "--lr 1e+308" in done.err and len(done.err.strip().splitlines()) == 1


def test_a_plot_as_html_is_one_page_with_its_curves(command, tmp_path):
    page = tmp_path / "curves.html"
    assert f"drawn: {page}" in command("lesson", "pretraining", "--as-published", "--epochs", "3", "--plot", page).out
    html = page.read_text(encoding="utf-8")
    assert "as published" in html and "repaired" in html and "Not medical advice" in html and 'src="http' not in html


def test_a_plot_as_png_is_a_picture(command, tmp_path):
    pytest.importorskip("matplotlib", reason="an extra: pip install 'pharmgpt[png]'")
    picture = tmp_path / "curves.png"
    assert command("lesson", "reward", "--epochs", "3", "--plot", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_png_says_what_to_install(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = command("lesson", "reward", "--epochs", "3", "--plot", tmp_path / "curves.png")
    assert done.code == 2 and "pharmgpt[png]" in done.err


def test_a_plot_in_the_terminal_stands_below_the_reading(command):
    pytest.importorskip("plotille", reason="a dependency that this environment was made before")
    said = command("lesson", "ppo", "--epochs", "3", "--plot", "terminal").out
    assert said.index("Reading") < said.index("Legend") and "best expert" in said


def test_trace_without_a_run_asks_the_simulators_and_says_how_to_get_the_rest(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = command("lesson", "trace").out
    assert [said.index(f"{stage}, simulated") for stage in LESSONS] == sorted(said.index(f"{stage}, simulated") for stage in LESSONS)
    assert "lactic acidosis" in said and "pharmgpt run tiny" in said and "Not medical advice" in said


def test_trace_of_a_folder_that_is_no_run_is_exit_code_2(command, tmp_path):
    done = command("lesson", "trace", "--run", tmp_path)
    assert done.code == 2 and "recipe.toml" in done.err


def test_trace_puts_the_real_stages_beside_the_simulators(command, finished):
    told = json.loads(command("lesson", "trace", "--run", finished, "--json").out)
    assert [stop["stage"] for stop in told["simulators"]] == list(LESSONS)
    assert [stop["stage"] for stop in told["stages"]] == ["pretrain", "sft", "reward", "ppo"]
    assert {"r_chosen", "r_rejected"} <= told["stages"][2]["numbers"].keys() and "judge" in told["stages"][3]["numbers"]
    said = command("lesson", "trace", "--run", finished).out
    assert said.count(str(finished)) == 4 and said.count("[judge ") == 3


@pytest.mark.parametrize("arguments", [("pretraining",), ("sft", "--as-published"), ("reward", "--json"), ("ppo",), ("claims",),
                                       ("trace",)])
def test_no_lesson_imports_torch(arguments, tmp_path):
    code = ("import sys\nfrom pharmgpt.cli import main\nsys.argv = ['pharmgpt', 'lesson', *sys.argv[1:]]\n"
            "try:\n    main()\nfinally:\n    assert not {'torch', 'scipy', 'plotly'} & sys.modules.keys()")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
