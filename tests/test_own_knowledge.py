"""A person's own knowledge: a folder laid over the base, a template to fill in, and the part of a base that a run trains on."""
import pytest
from typer.testing import CliRunner

from pharmgpt.kb_cli import app
from pharmgpt.knowledge import audit as audits
from pharmgpt.knowledge.load import KnowledgeError, load
from pharmgpt.knowledge.names import resolve
from pharmgpt.knowledge.rules import interactions, selected
from pharmgpt.knowledge.subset import named_set, subset
from pharmgpt.knowledge.template import write_template

KB = load()
OURS = audits.audit(KB)


def audit(kb):
    return audits.audit(kb).beside(OURS)


def filled(folder, name="examplumab"):
    file = write_template(name, folder)
    text = file.read_text(encoding="utf-8")
    for empty, full in (("classes = []", 'classes = ["statin"]'), ("indications = []", 'indications = ["high_cholesterol"]'),
                        ('mechanism = ""', 'mechanism = "does something"'), ("brands = []", 'brands = ["Examplify"]'),
                        ("hazards = []", 'hazards = ["myopathy"]'), ("# pregnancy =", "pregnancy =")):
        assert empty in text
        text = text.replace(empty, full, 1)
    file.write_text(text, encoding="utf-8")
    return load(extra=folder)


def test_a_fresh_template_loads_and_the_audit_says_what_is_missing(tmp_path):
    write_template("Exam Plumab", tmp_path)
    own = audit(load(extra=tmp_path))
    assert {problem.where for problem in own.problems} == {"exam_plumab"}
    assert {problem.found for problem in own.errors} == {"classes is empty", "indications is empty", "mechanism is empty"}


def test_a_filled_template_is_a_drug_of_the_base_with_the_rules_of_its_class(tmp_path):
    kb = filled(tmp_path)
    assert len(kb.drugs) == len(KB.drugs) + 1 and resolve(kb, "Examplify").drug_id == "examplumab"
    assert audit(kb).problems == ()
    assert [finding.rule for finding in interactions(kb, "examplumab", "simvastatin")] == ["statin_statin"]


def test_a_drug_laid_over_the_base_replaces_ours_and_joins_the_training_set(tmp_path):
    kb = filled(tmp_path / "one", "metformin")
    assert kb.drugs["metformin"].brands == ("Examplify",) and len(kb.drugs) == len(KB.drugs)
    assert "examplumab" in named_set(filled(tmp_path / "two", "examplumab"), "classroom").drugs


def test_rules_and_terms_laid_over_the_base_are_added_or_replace_those_of_their_id(tmp_path):
    (tmp_path / "effects.toml").write_text('[[term]]\nid = "blue_hair"\nname = "blue hair"\n')
    ours = next(rule for rule in KB.interactions if rule.id == "warfarin_fluconazole")
    (tmp_path / "interactions.toml").write_text("\n".join(
        f'[[interaction]]\nid = "{id}"\na = "drug:warfarin"\nb = "drug:{b}"\nseverity = "minor"\naction = "none"\neffect = "blue_hair"\n'
        'mechanism = "It dyes."\nmanagement = "Wear a hat."\nsource = "warfarin_label"\n'
        for id, b in (("warfarin_fluconazole", "fluconazole"), ("warfarin_hat", "metformin"))))
    kb = load(extra=tmp_path)
    assert ours.severity == "major" and kb.effects["blue_hair"].name == "blue hair" and len(kb.interactions) == len(KB.interactions) + 1
    assert [(each.rule, each.severity) for each in interactions(kb, "warfarin", "metformin")] == [("warfarin_hat", "minor")]
    assert {each.rule: each.severity for each in interactions(kb, "warfarin", "fluconazole")}["warfarin_fluconazole"] == "minor"


def test_what_cannot_be_written_or_read_is_refused_with_the_fix(tmp_path):
    write_template("examplumab", tmp_path)
    for name, reason in (("examplumab", "is there already"), ("12-3", "is no name")):
        with pytest.raises(KnowledgeError, match=reason):
            write_template(name, tmp_path)
    with pytest.raises(KnowledgeError, match="no such folder"):
        load(extra=tmp_path / "nowhere")


def test_the_command_writes_a_file_and_says_what_to_do_next(tmp_path):
    result = CliRunner().invoke(app, ["new", "Examplumab", "--out", str(tmp_path)])
    assert result.exit_code == 0 and "--extra" in result.output and (tmp_path / "drugs" / "examplumab.toml").exists()
    assert CliRunner().invoke(app, ["show", "examplumab", "--extra", str(tmp_path)]).exit_code == 0


# A part of a base

def test_a_part_points_at_nothing_outside_it_and_is_clean():
    part = named_set(KB, "classroom")
    assert len(part.drugs) == 62 and part.content_hash != KB.content_hash and audit(part).errors == ()
    assert all(set(each.drugs) <= part.drugs.keys() for drug in part.drugs.values() for each in drug.alternatives)


def test_a_part_says_of_its_pairs_what_the_whole_says():
    part = named_set(KB, "classroom")
    for a in part.drugs:
        for b in part.drugs:
            assert [each.rule for each in interactions(part, a, b)] == [each.rule for each in interactions(KB, a, b)]


def test_a_rule_that_no_longer_speaks_of_two_drugs_is_left_out():
    part = subset(KB, ("warfarin", "metformin"))
    assert not part.interactions and selected(part, "class:anticoagulant") == {"warfarin"}


def test_unknown_sets_and_drugs_are_named():
    with pytest.raises(KnowledgeError, match="no set 'class'.*classroom"):
        named_set(KB, "class")
    with pytest.raises(KnowledgeError, match="no drug 'foo'"):
        subset(KB, ("foo",))
    assert named_set(KB, "") is KB
