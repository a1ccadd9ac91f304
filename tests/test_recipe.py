"""Recipes: what is refused and how it is told, what --set changes, and that what is written reads back the same."""
import pytest
from pydantic import BaseModel, ConfigDict, PositiveInt

from pharmgpt.run.recipe import RecipeError, differing_keys, presets, read_recipe, read_toml_text


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    width: PositiveInt = 8
    tied: bool = False


class Training(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    shape: Shape = Shape()
    judge: Shape = Shape(width=32, tied=True)
    steps: PositiveInt | None = None
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    extra: tuple[str, ...] = ()


SECTIONS = {"pretrain": Training, "sft": Training}


def read(tmp_path, text: str, *overrides: str, seed: int | None = None):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(str(path), SECTIONS, overrides, seed)


def refused(tmp_path, text: str, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, text, *overrides)
    return str(caught.value)


def test_what_is_not_said_has_its_default(tmp_path):
    recipe = read(tmp_path, "[pretrain]\nsteps = 5\n")
    assert (recipe.name, recipe.seed, recipe["pretrain"].steps, recipe["sft"]) == ("mine", 0, 5, Training())


def test_an_unknown_key_is_refused_with_its_nearest_neighbour(tmp_path):
    message = refused(tmp_path, "[pretrain]\nstpes = 5\n")
    assert "mine.toml" in message and "'pretrain.stpes'" in message and "did you mean 'steps'?" in message


def test_an_unknown_nested_key_is_named_in_full(tmp_path):
    assert "'pretrain.shape.heads'" in refused(tmp_path, "[pretrain.shape]\nheads = 5\n")


def test_an_unknown_section_is_refused_with_its_nearest_neighbour(tmp_path):
    message = refused(tmp_path, "[pretrian]\nsteps = 5\n")
    assert "unknown key 'pretrian'" in message and "did you mean 'pretrain'?" in message


def test_a_word_like_no_key_is_answered_with_all_keys(tmp_path):
    assert "known: name, pretrain, seed, sft" in refused(tmp_path, "zzzz = 1\n")


@pytest.mark.parametrize(("text", "key", "found"), [
    ('[pretrain]\nsteps = "many"\n', "pretrain.steps", "'many'"),
    ("[pretrain]\nsteps = 0\n", "pretrain.steps", "0"),
    ("[pretrain.shape]\nwidth = -3\n", "pretrain.shape.width", "-3"),
    ("pretrain = 4\n", "pretrain", "4"),
    ("seed = -1\n", "seed", "-1"),
    ("seed = true\n", "seed", "True"),
    ('seed = "x"\n', "seed", "'x'"),
])
def test_a_wrong_value_is_refused_with_key_and_what_was_found(tmp_path, text, key, found):
    message = refused(tmp_path, text)
    assert f"{key}:" in message and f"found {found}" in message


def test_a_toml_error_names_file_and_line(tmp_path):
    message = refused(tmp_path, "seed = 1\n[pretrain\n")
    assert "mine.toml" in message and "line 2" in message


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"seed = 1\n\xff\xfe")
    with pytest.raises(RecipeError, match="not UTF-8"):
        read_recipe(str(path), SECTIONS)


def test_an_unknown_recipe_is_answered_with_the_presets():
    with pytest.raises(RecipeError, match="classroom.*tiny"):
        read_recipe("clasroom", SECTIONS)
    assert {"classroom", "tiny"} <= set(presets())


def test_set_changes_one_key_and_leaves_the_others(tmp_path):
    recipe = read(tmp_path, "[pretrain]\nsteps = 5\nrate = 0.5\n", "pretrain.steps=7", "sft.shape.width=4", "seed=9")
    assert (recipe.seed, recipe["pretrain"].steps, recipe["pretrain"].rate, recipe["sft"].shape.width) == (9, 7, 0.5, 4)


def test_one_key_of_a_table_leaves_the_sections_own_defaults_of_the_others(tmp_path):
    assert read(tmp_path, "", "pretrain.judge.width=16")["pretrain"].judge == Shape(width=16, tied=True)
    assert read(tmp_path, "[pretrain.judge]\ntied = false\n")["pretrain"].judge == Shape(width=32, tied=False)


def test_set_reads_toml_and_takes_what_is_not_toml_as_text(tmp_path):
    recipe = read(tmp_path, "", 'pretrain.extra=["a b.txt"]', "pretrain.shape.tied=true", "pretrain.rate=2e-4", "name=my line")
    found = recipe["pretrain"]
    assert (found.extra, found.shape.tied, found.rate, recipe.name) == (("a b.txt",), True, 2e-4, "my line")


def test_the_seed_given_by_hand_wins(tmp_path):
    assert read(tmp_path, "seed = 1\n", "seed=2", seed=3).seed == 3


@pytest.mark.parametrize(("override", "says"), [
    ("pretrain.steps", "key=value"), ("pretrian.steps=3", "did you mean 'pretrain'"), ("pretrain.stpes=3", "did you mean 'steps'"),
    ("pretrain.steps.x=3", "'steps' holds 5"), ("pretrain=3", "pretrain"), ("=3", "unknown key"),
])
def test_a_wrong_override_is_refused(tmp_path, override, says):
    assert says in refused(tmp_path, "[pretrain]\nsteps = 5\n", override)


def test_a_recipe_written_and_read_back_is_the_same(tmp_path):
    recipe = read(tmp_path, 'name = "a \\"b\\" ü"\nseed = 4\n'
                            '[pretrain]\nextra = ["x\\\\y", "z"]\nrate = 1e-9\n[pretrain.shape]\ntied = true\n')
    (tmp_path / "again.toml").write_text(recipe.to_toml(), encoding="utf-8")
    again = read_recipe(str(tmp_path / "again.toml"), SECTIONS)
    assert again == recipe and again.to_toml() == recipe.to_toml()


def test_a_null_is_left_out_of_the_toml_and_reads_back_as_null(tmp_path):
    recipe = read(tmp_path, "")
    assert recipe["pretrain"].steps is None and "steps" not in recipe.to_toml()
    assert "steps" not in read_toml_text(recipe.to_toml())["pretrain"]


def test_a_section_hash_sees_its_sections_and_the_seed_only(tmp_path):
    one = read(tmp_path, "[pretrain]\nsteps = 5\n")
    other = read(tmp_path, "[pretrain]\nsteps = 6\n")
    assert one.section_hash(["sft"]) == other.section_hash(["sft"])
    assert one.section_hash(["pretrain"]) != other.section_hash(["pretrain"])
    assert one.section_hash(["sft"]) != read(tmp_path, "seed = 1\n").section_hash(["sft"])
    assert one.section_hash(["sft", "pretrain"]) == one.section_hash(["pretrain", "sft"])


def test_a_default_spelled_out_changes_no_hash(tmp_path):
    assert read(tmp_path, "[sft]\nrate = 0.001\n").section_hash(["sft"]) == read(tmp_path, "").section_hash(["sft"])


def test_differing_keys_show_both_values():
    old, new = {"seed": 0, "sft": {"steps": 4, "shape": {"width": 8}}}, {"seed": 0, "sft": {"steps": 5, "shape": {"width": 8}}, "x": 1}
    assert differing_keys(old, new) == ["sft.steps: 4 there, 5 here", "x: None there, 1 here"]
