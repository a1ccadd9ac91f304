"""A commented file for a drug of one's own: what `pharmgpt kb new` writes, to be filled in and laid over the base.

It loads as it stands, so that `kb audit` can say what is still missing; nothing in it is a fact until its author makes it one.
"""
import re
from pathlib import Path

from pharmgpt.knowledge.load import KnowledgeError

TEMPLATE = '''# {name}: fill in what you are sure of and delete the rest. Check with: pharmgpt kb audit --extra {folder}
# Ids (classes, conditions, effects, parameters) are those of classes.toml, conditions.toml, effects.toml and parameters.toml; put
# new ones into files of the same name beside drugs/ in this folder, as [[term]] tables with id, name and terms.

name = "{name}"
brands = []                                  # brand names that stand for this drug alone
spellings = []                               # INN or USAN, and misspellings that people type
classes = []                                 # main class first, such as ["statin"]
indications = []                             # conditions it is given for, such as ["high_cholesterol"]
mechanism = ""                               # a few words, such as "blocks HMG-CoA reductase"
source = "{id}_label"                        # of every fact that names no other; the drug's own label needs no entry in sources.toml

renal = [                                    # every value from 0 up lies in one band; action: avoid | reduce | monitor | none
    {{ measure = "eGFR", action = "none" }},
    # {{ measure = "CrCl", below = 30, action = "reduce", dose = "at most 10 mg a day", effect = "myopathy" }},
    # {{ measure = "CrCl", at_least = 30, action = "none" }},
]
# hepatic = {{ action = "monitor", effect = "liver_injury", note = "check liver tests first" }}
# pregnancy = {{ action = "avoid", effect = "fetal_harm", note = "stop when pregnancy is planned" }}
# lactation = {{ action = "monitor", note = "no data in milk" }}
contraindications = []                       # "pregnancy" or {{ condition = "liver_disease", effect = "liver_injury" }}
boxed_warnings = []                          # effects
serious_effects = []
common_effects = []
hazards = []                                 # effects that add up with another drug's: "bleeding", "qt_prolongation", "sedation" …
monitoring = []                              # parameters, such as ["egfr", "potassium"]

enzymes = [                                  # strength: substrates sensitive | moderate; inhibitors and inducers strong | moderate | weak
    # {{ enzyme = "CYP3A4", role = "substrate", strength = "sensitive", effect = "myopathy", source = "fda_ddi_table" }},
]
alternatives = [                             # problem: renal | pregnancy | interaction | contraindication | any
    # {{ problem = "interaction", drugs = ["pravastatin"] }},
]
'''


def write_template(drug: str, folder: Path) -> Path:
    """Write folder/drugs/<id>.toml and return its path; raises KnowledgeError for a name without letters or a file that is there."""
    id = re.sub(r"[^a-z0-9]+", "_", drug.lower()).strip("_")
    if not re.search(r"[a-z]", id):
        raise KnowledgeError(f"{drug!r} is no name for a drug; give one with letters, such as `pharmgpt kb new examplumab`")
    file = folder / "drugs" / f"{id}.toml"
    if file.exists():
        raise KnowledgeError(f"{file}: is there already; edit it, or remove it to start anew")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(TEMPLATE.format(name=drug.strip().lower(), id=id, folder=folder), encoding="utf-8")
    return file
