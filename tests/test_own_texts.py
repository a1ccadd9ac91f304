"""A person's own conversations and pairs on their way into a run: read, checked against that run's exam, counted."""
import json
from functools import partial

from pharmgpt import pipeline, stages
from pharmgpt.corpus.importers.own import own_conversations
from pharmgpt.text.records import Question


def write_chats(path, *talks):
    path.write_text("".join(json.dumps({"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": say}]}) + "\n"
                            for ask, say in talks))
    return path


def test_exam_questions_and_held_drugs_stay_out_of_what_teaches_answering(finished, tmp_path):
    line = pipeline.open_line(finished)
    held = line.kb.drugs[line.split().held[0]].name
    asked = next(question for question in line.records("questions-exam", Question) if len(question.messages[-1].content.split()) > 8)
    chats = write_chats(tmp_path / "chats.jsonl", ("How is warfarin watched?", "By the INR."), (asked.messages[-1].content, "Yes."),
                        (f"What about {held}?", "Ask the ward pharmacist."))
    kept = stages.own_records(line, tmp_path, partial(own_conversations, [chats]), lambda talk: stages.spoken(talk.messages), True)
    assert [talk.messages[-1].content for talk in kept] == ["By the INR."]
    told = json.loads((tmp_path / "extra.json").read_text())
    assert (told["read"], told["kept"]) == (3, 1)
    assert told["dropped"] == {"holds a sentence of the exam": 1, "names a drug held out for the exam": 1}


def test_a_changed_file_of_ones_own_makes_its_stage_stale(finished, tmp_path):
    line = pipeline.open_line(finished)
    chats = write_chats(tmp_path / "chats.jsonl", ("How is warfarin watched?", "By the INR."))
    sft = line.recipe["sft"].model_copy(update={"extra": (str(chats),)})
    line.recipe.sections["sft"] = sft
    before = stages.outside_inputs(line, "sft")
    write_chats(chats, ("How is warfarin watched?", "By the INR, weekly at first."))
    assert str(chats) in before and stages.outside_inputs(line, "sft") != before
