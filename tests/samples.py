"""Small good files of everything that a person can hand in, written for tests that spoil them (inputs.py)."""
from pharmgpt.text.records import Document, Element, Message, PreferencePair, Question

RECIPE = """name = "mine"
seed = 3
[knowledge]
set = "classroom"
[corpus]
documents = 400
[tokenizer]
vocab_size = 512
[pretrain]
steps = 8
extra = ["texts"]
[pretrain.model]
d_model = 32
n_heads = 2
head_dim = 16
[sft]
steps = 8
[preferences]
questions = 8
[reward]
steps = 8
[ppo]
iterations = 4
[ppo.kl]
target_nats = 6.0
[ppo.update]
epochs = 1
[exam]
samples = 4
"""
SETTINGS = ("pretrain.steps=200", "ppo.kl.target_nats=2.5", "name=mine", 'sft.extra=["a.jsonl", "b"]', "knowledge.set=classroom", "seed=4")
DRUG = """name = "{0}"
brands = ["{1}"]
spellings = []
classes = ["{2}"]
indications = ["clots"]
mechanism = "blocks an enzyme"
source = "{0}_label"
renal = [{{ measure = "eGFR", below = 30, action = "avoid", effect = "bleeding" }}, {{ measure = "eGFR", at_least = 30, action = "none" }}]
hepatic = {{ action = "monitor", effect = "bleeding", note = "check" }}
pregnancy = {{ action = "avoid", effect = "bleeding" }}
contraindications = [{{ condition = "ulcer", effect = "bleeding" }}]
hazards = ["bleeding"]
monitoring = ["inr"]
enzymes = [{{ enzyme = "CYP2C9", role = "substrate", strength = "sensitive", effect = "bleeding", source = "table" }}]
alternatives = [{{ problem = "renal", drugs = ["{3}"] }}]
"""
RULE = """[[interaction]]
id = "{0}"
a = "{1}"
b = "{2}"
severity = "major"
action = "avoid"
effect = "bleeding"
mechanism = "{{a}} and {{b}} add up."
management = "Avoid {{b}}."
monitoring = ["inr"]
alternatives_b = ["ibuprofen"]
source = "table"
"""
BASE = {
    "drugs/warfarin.toml": DRUG.format("warfarin", "Coumadin", "anticoagulant", "ibuprofen"),
    "drugs/ibuprofen.toml": DRUG.format("ibuprofen", "Advil", "nsaid", "warfarin"),
    "classes.toml": "".join(f'[[term]]\nid = "{id}"\nname = "{id}"\n' for id in ("anticoagulant", "nsaid")),
    "effects.toml": '[[term]]\nid = "bleeding"\nname = "bleeding"\nterms = ["blood loss"]\n'
                    'broader = ["harm"]\n[[term]]\nid = "harm"\nname = "harm"\n',
    "conditions.toml": "".join(f'[[term]]\nid = "{id}"\nname = "{id}"\nbroader = []\n' for id in ("clots", "ulcer", "pregnancy")),
    "parameters.toml": '[[term]]\nid = "inr"\nname = "INR"\nterms = ["clotting time"]\n',
    "sources.toml": '[[source]]\nid = "table"\ntitle = "A table"\npublisher = "FDA"\nyear = 2023\nurl = "https://fda.gov"\n',
    "interactions.toml": RULE.format("pair", "drug:warfarin", "drug:ibuprofen") + RULE.format("hazards", "hazard:bleeding", "class:nsaid"),
    "limits.toml": '[[limit]]\nid = "older"\nwho = "class:nsaid"\nmeasure = "age_years"\nat_least = 65\n'
                   'severity = "moderate"\naction = "avoid"\n'
                   'effect = "bleeding"\nmanagement = "Avoid {drug}."\nsource = "table"\n',
    "combinations.toml": '[[combination]]\nid = "two"\ndrugs = ["warfarin", "ibuprofen"]\nbrands = ["Twofold"]\nsource = "table"\n',
    "sets.toml": 'both = ["warfarin", "ibuprofen"]\none = ["warfarin"]\n',
}
LABEL = {"set_id": "1", "version": "3", "effective_time": "20240101", "openfda": {"generic_name": ["X"]},
         "boxed_warning": ["WARNING: BLEEDING Stopping early raises the risk of clots [see Warnings (5.1)] ."],
         "warnings": ["5 WARNINGS Serious bleeding can occur in anyone ( 5.2 ) .", "Stop before surgery, and call."],
         "warnings_table": ["<table><tr><td>Dose</td></tr></table>"]}
FLAT = {"drug_name": "X", "sections": {"warnings": "Bleeding can be fatal in anyone.", "dosage": "Take one a day with food."},
        "openfda_meta": {}}
ASK, ANSWER = {"role": "user", "content": "Is it safe?"}, {"role": "assistant", "content": "No, it is not."}
WORSE = {"role": "assistant", "content": "Yes, always."}
CHATS = ({"messages": [ASK, ANSWER]}, {"messages": [{"role": "system", "content": "Be careful."}, ASK, ANSWER, ASK, WORSE]},
         {"id": 1, "conversations": [{"from": "human", "value": "Is it safe?"}, {"from": "gpt", "value": "It is."}]},
         {"instruction": "Shorten.", "input": "A long text.", "output": "Text."}, {"prompt": "Is it?", "completion": [ANSWER]})
PAIRS = ({"prompt": [ASK], "chosen": [ANSWER], "rejected": [WORSE], "chosen_score": 4, "rejected_score": 1.5},
         {"prompt": "Is it safe?", "chosen": "No, it is not.", "rejected": "Yes, always."}, {"chosen": [ASK, ANSWER], "rejected": [ASK,
                                                                                                                                   WORSE]},
         {"chosen": "\n\nHuman: Is it?\n\nAssistant: No.", "rejected": "\n\nHuman: Is it?\n\nAssistant: Yes."})
GRADED = tuple({"question_id": 7, "question": "Is it safe?", "answer": answer, "score_1_to_4": grade} for answer, grade in (("No.", 4),
                                                                                                                            ("Yes.", 1)))
QUESTIONS = ({"question": "Is it safe?", "answer": "No, it is not."}, {"QUESTION": "Is it so?", "LONG_ANSWER": "It was not safe.",
                                                                       "CONTEXTS": ["…"]})
PUBMEDQA = {"18847643": {"QUESTION": "Is it safe?", "CONTEXTS": ["…"], "final_decision": "no", "LONG_ANSWER": "It was not safe."},
            "2": {"QUESTION": "Is it so?", "CONTEXTS": [], "LONG_ANSWER": "It was so in trauma."}}
QA_PAIR = '<QAPair pid="{0}"><Question qid="{0}">What is {0}?</Question><Answer>A cough &amp; cold drug, {0}.</Answer></QAPair>'
SECTION = ('<component><section><code code="34071-1" displayName="WARNINGS SECTION"/><title>WARNINGS</title><text><paragraph>It may be '
           '<content styleCode="bold">fatal</content>.</paragraph><list><item>stop it</item></list>'
           '<table><tr><td>Dose</td><td>Advice</td></tr>'
           '</table></text><component><section><code code="42229-5" displayName="SPL"/><text>Inner words of a text.</text>'
           '</section></component>'
           '</section></component>')
SPL_HEAD = ('<?xml version="1.0" encoding="UTF-8"?><document xmlns="urn:hl7-org:v3"><code code="1" displayName="HUMAN LABEL"/><title/>'
            '<component><structuredBody>')
TABLE = (["drug_a", "drug_b", "severity", "effect", "source"], ["Warfarin", "aspirin", "Severe", "Haemorrhage", "BNF"],
         ["Lithium", "Ibuprofen", "", "Toxicity", "BNF"], ["ASPIRIN", "warfarin", "Contraindicated", "Bruising", "ANSM"])
DOCUMENTS = (Document("a.1", "Metformin is taken with food.", "note", drugs=("metformin",)), Document("a.2", "A second text of ours.",
                                                                                                      "note"))
TALK = (Message("user", "Is it safe?"), Message("assistant", "No."))
ASKED = Question("q.1", "renal", TALK[:1], (Element("decision", ("avoid",), 1.0),), "avoid", "", "train", "seen", asked={"value": "28"})
PAIR = PreferencePair("p.1", TALK[:1], "No.", "Yes.", "imported", gold_chosen=3.0)
TEXTS = ({"text": "One two three four."}, {"text": "Stop it at once – “today”."}, {"id": "a.1", "text": "Our own text.", "genre": "note",
                                                                                   "drugs": ["x"]})
PROSE = ["Henoch-Schönlein purpura – stop it.", "Two lines of prose, with commas.", "And a third."]
