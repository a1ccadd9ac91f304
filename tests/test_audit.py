"""Each audit error is found in a small broken base; our own base is clean."""
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pharmgpt.kb_cli import app
from pharmgpt.knowledge.audit import audit
from pharmgpt.knowledge.load import load

TERM = '[[term]]\nid = "{0}"\nname = "{1}"\nterms = {2}\n'
DRUG = '''name = "{name}"
brands = {brands}
classes = ["{drug_class}"]
indications = ["pain"]
mechanism = "does something"
source = "book"
{more}
'''
WHOLE_RANGE = '[[renal]]\nmeasure = "eGFR"\naction = "none"\nsource = "book"\n'
PREGNANCY = '[pregnancy]\naction = "none"\nsource = "book"\n'
RULE = '''[[interaction]]
id = "{id}"
a = "{a}"
b = "{b}"
severity = "{severity}"
action = "{action}"
effect = "{effect}"
mechanism = "m"
management = "n"
source = "book"
{more}
'''


def terms(*ids):
    return "".join(TERM.format(id, id, []) for id in ids)


class Base:
    """A sound little base, file by file, to be broken in one place."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "drugs").mkdir()
        self.write("sources.toml", '[[source]]\nid = "book"\ntitle = "Book"\npublisher = "Us"\n')
        self.write("classes.toml", terms("red", "blue"))
        self.write("effects.toml", TERM.format("bleeding", "bleeding", ["bleed"]) + TERM.format("rash", "rash", []))
        self.write("conditions.toml", terms("pain", "ulcer", "pregnancy"))
        self.write("parameters.toml", TERM.format("inr", "INR", []))
        self.write("interactions.toml", "")
        for name, drug_class in (("alpha", "red"), ("beta", "red"), ("gamma", "blue")):
            self.drug(name, drug_class=drug_class)

    def write(self, file, text):
        (self.folder / file).write_text(text, encoding="utf-8")

    def drug(self, name, more="", drug_class="red", brands="[]", renal=WHOLE_RANGE, pregnancy=PREGNANCY):
        self.write(f"drugs/{name}.toml", DRUG.format(name=name, brands=brands, drug_class=drug_class, more=renal + pregnancy + more))

    def rules(self, *rules):
        usual = dict(id="r", a="drug:alpha", b="drug:gamma", severity="major", action="avoid", effect="bleeding", more="")
        self.write("interactions.toml", "".join(RULE.format(**usual | rule) for rule in rules))

    def copy(self):
        """The base as it stands now: a base is read once a process, so each reading needs a folder of its own."""
        return Path(shutil.copytree(self.folder, tempfile.mkdtemp(dir=self.folder.parent), dirs_exist_ok=True))

    def problems(self, level="error"):
        return [(each.check, each.where, each.found) for each in audit(load(self.copy())).problems if each.level == level]


@pytest.fixture
def base(tmp_path):
    (tmp_path / "base").mkdir()
    return Base(tmp_path / "base")


def alternative(problem, *drugs):
    return f'[[alternatives]]\nproblem = "{problem}"\ndrugs = {list(drugs)}\nsource = "book"\n'


def contraindication(condition):
    return f'[[contraindications]]\ncondition = "{condition}"\nsource = "book"\n'


def renal(*bands):
    lines = []
    for low, high, action in bands:
        below = f"below = {high}\n" if high is not None else ""
        lines.append(f'[[renal]]\nmeasure = "eGFR"\nat_least = {low}\n{below}action = "{action}"\nsource = "book"\n')
    return "".join(lines)


def only(found, check, *words):
    """Exactly one problem, of this kind, that names these things."""
    (kind, where, text), = found
    assert kind == check and all(word in f"{where} {text}" for word in words), found


def test_our_own_base_is_clean():
    assert [vars(each) for each in audit(load()).errors] == []


def test_the_small_base_is_clean_before_it_is_broken(base):
    assert base.problems() == [] and base.problems("warning") == []


@pytest.mark.parametrize("more, kind", [
    ('[[contraindications]]\ncondition = "sadness"\nsource = "book"\n', "condition 'sadness'"),
    ('[[hazards]]\neffect = "sadness"\nsource = "book"\n', "effect 'sadness'"),
    ('[[monitoring]]\nparameter = "sadness"\nsource = "book"\n', "parameter 'sadness'"),
    (alternative("any", "sadness"), "drug 'sadness'")])
def test_an_unknown_id_in_a_drug(base, more, kind):
    base.drug("alpha", more)
    only(base.problems(), "unknown id", "alpha", kind)


def test_an_unknown_class_and_an_unknown_source(base):
    base.drug("alpha", drug_class="green")
    only(base.problems(), "unknown id", "alpha", "class 'green'")
    base.drug("alpha", '[[hazards]]\neffect = "rash"\nsource = "hearsay"\n')
    only(base.problems(), "missing source", "alpha.hazard.rash", "hearsay")


@pytest.mark.parametrize("more, found",
                         [({"effect": "sadness"}, "effect 'sadness'"), ({"more": 'monitoring = ["mood"]'}, "parameter 'mood'"),
                          ({"more": 'alternatives_a = ["delta"]'}, "drug 'delta'"),
                          ({"more": 'except_drugs = ["delta"]'}, "drug 'delta'")])
def test_an_unknown_id_in_a_rule(base, more, found):
    base.rules(more)
    only(base.problems(), "unknown id", "interaction.r", found)


def test_two_rules_with_one_id(base):
    base.rules({}, {"a": "drug:beta"})
    only(base.problems(), "duplicate id", "interaction.r", "2 rules")


def test_one_fact_stated_twice(base):
    base.drug("alpha", contraindication("ulcer") * 2)
    only(base.problems(), "duplicate id", "alpha.contraindication.ulcer")


def test_one_surface_term_for_two_entries_of_a_kind(base):
    base.write("effects.toml", TERM.format("bleeding", "bleeding", ["bad thing"]) + TERM.format("rash", "rash", ["Bad-Thing"]))
    only(base.problems(), "shared term", "bleeding and rash", "'bad thing'")


def test_one_brand_for_two_drugs(base):
    base.drug("alpha", brands='["Wonder"]')
    base.drug("beta", brands='["wonder"]')
    only(base.problems(), "shared term", "alpha and beta")


def test_one_term_for_two_kinds_is_no_error(base):
    base.write("conditions.toml", terms("pain", "rash", "pregnancy"))
    assert base.problems() == []


@pytest.mark.parametrize("bands, check, found", [
    ([(0, 30, "avoid"), (45, None, "none")], "renal gap", "from 30 to 45"),
    ([(0, 45, "avoid"), (30, None, "none")], "renal overlap", "hold at 30"),
    ([(10, None, "none")], "renal gap", "from 0 to 10"),
    ([(0, 30, "avoid")], "renal gap", "from 30 up"),
    ([(0, 30, "avoid"), (30, 300, "reduce"), (300, None, "none")], "renal range", "300")])
def test_renal_bands_that_do_not_cover_each_value_once(base, bands, check, found):
    base.drug("alpha", renal=renal(*bands))
    only(base.problems(), check, "alpha.renal", found)


def test_an_enzyme_strength_that_its_role_cannot_have(base):
    base.drug("alpha", '[[enzymes]]\nenzyme = "CYP3A4"\nrole = "inhibitor"\nstrength = "sensitive"\nsource = "book"\n')
    only(base.problems(), "enzyme strength", "alpha.enzyme.CYP3A4.inhibitor")


@pytest.mark.parametrize("selector",
                         ["drug:delta", "class:green", "hazard:rash", "cyp:CYP3A4:inhibitor:strong", "cyp:CYP3A4", "gamma", "drug:"])
def test_a_selector_that_matches_nothing(base, selector):
    base.rules({"a": selector})
    only(base.problems(), "selector", "interaction.r.a", selector)


def test_a_renal_alternative_that_is_avoided_there_too(base):
    bad = renal((0, 30, "avoid"), (30, None, "none"))
    base.drug("alpha", alternative("renal", "beta"), renal=bad)
    base.drug("beta", renal=renal((0, 15, "avoid"), (15, None, "none")))
    only(base.problems(), "alternative", "alpha.alternative.renal", "beta is itself avoided")


def test_a_pregnancy_alternative_that_is_avoided_there_too(base):
    base.drug("alpha", alternative("pregnancy", "beta"))
    base.drug("beta", pregnancy=PREGNANCY.replace("none", "avoid"))
    only(base.problems(), "alternative", "alpha.alternative.pregnancy", "beta")
    base.drug("beta", contraindication("pregnancy"))
    only(base.problems(), "alternative", "alpha.alternative.pregnancy", "beta")


def test_an_alternative_with_the_same_contraindication(base):
    base.drug("alpha", contraindication("ulcer") + alternative("contraindication", "beta"))
    base.drug("beta", contraindication("ulcer"))
    only(base.problems(), "alternative", "alpha.alternative.contraindication", "beta", "ulcer")


def test_a_drug_that_is_its_own_alternative(base):
    base.drug("alpha", alternative("any", "alpha"))
    only(base.problems(), "alternative", "offers itself")


def test_a_rule_whose_alternative_interacts_as_badly(base):
    base.rules({"more": 'alternatives_a = ["beta"]'}, {"id": "s", "a": "drug:beta", "severity": "contraindicated"})
    only(base.problems(), "alternative", "interaction.r.alternatives_a", "beta", "gamma")


def test_a_rule_that_offers_what_it_warns_of(base):
    base.rules({"a": "class:red", "severity": "moderate", "action": "monitor", "more": 'alternatives_a = ["beta"]'})
    only(base.problems(), "alternative", "interaction.r.alternatives_a", "beta is itself")


def test_an_interaction_alternative_that_meets_the_same_partners(base):
    base.drug("alpha", alternative("interaction", "delta"))
    base.drug("delta", drug_class="blue")
    base.drug("gamma", drug_class="green")
    base.write("classes.toml", terms("red", "blue", "green"))
    base.rules({}, {"id": "s", "a": "drug:delta"})
    only(base.problems(), "alternative", "alpha.alternative.interaction", "delta interacts as badly with each partner")


@pytest.mark.parametrize("first, second", [
    ({"severity": "major", "action": "monitor"}, {"severity": "moderate", "action": "avoid"}),
    ({"severity": "moderate", "action": "monitor"}, {"severity": "moderate", "action": "reduce"})])
def test_two_rules_as_narrow_as_each_other_that_contradict_on_one_pair(base, first, second):
    base.rules({"id": "one", "a": "class:red", **first}, {"id": "two", "b": "class:blue", **second})
    only(base.problems(), "contradiction", "one", "two", "alpha and gamma")


def test_a_rule_said_twice(base):
    base.rules({"id": "one"}, {"id": "two", "a": "drug:gamma", "b": "drug:alpha"})
    only(base.problems(), "duplicate rule", "interaction.two", "one says the same")


def test_a_condition_that_a_drug_is_both_given_for_and_forbidden_in(base):
    base.drug("alpha", contraindication("pain"))
    only(base.problems(), "indication", "alpha.contraindication.pain")


def test_two_rules_that_agree_or_speak_of_different_harms_are_no_contradiction(base):
    base.rules({"id": "one"}, {"id": "two", "a": "class:red", "severity": "moderate", "action": "monitor"},
               {"id": "three", "severity": "moderate", "action": "reduce", "effect": "rash"})
    assert base.problems() == []


def test_a_severity_that_its_action_denies(base):
    base.rules({"severity": "contraindicated", "action": "monitor"})
    only(base.problems(), "severity", "interaction.r", "contraindicated with action monitor")


def test_silence_about_kidneys_or_pregnancy_is_a_warning_and_coverage_is_counted(base):
    base.drug("alpha", renal="", pregnancy="")
    assert [found for _, _, found in base.problems("warning")] == ["no renal statement", "no pregnancy statement"]
    assert base.problems() == []
    assert audit(load(base.copy())).coverage["renal"] == (2, 3)


def test_the_command_fails_on_errors_and_names_them(base):
    sound = CliRunner().invoke(app, ["audit", "--base", str(base.copy())])
    assert sound.exit_code == 0 and "0 errors" in sound.output
    base.rules({"a": "class:green"})
    broken = CliRunner().invoke(app, ["audit", "--base", str(base.copy()), "--json"])
    assert broken.exit_code == 1 and json.loads(broken.stdout)["errors"][0]["where"] == "interaction.r.a"
