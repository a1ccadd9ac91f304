"""A person's own texts and the exam: what is left out, and that nothing else is."""
from pharmgpt.corpus.importers.ledger import Ledger
from pharmgpt.corpus.leaks import ExamRuns, without_leaks

LONG = "Our renal desk was asked whether metformin may go on in a woman of seventy whose eGFR has fallen to 28 since spring."
SHORT = "Can I use metformin if my eGFR is 28?"


def test_thirteen_words_in_a_row_are_a_leak_and_twelve_are_not():
    exam, words = ExamRuns([LONG]), LONG.split()
    assert exam.met_in("Yesterday: " + " ".join(words[3:16]).upper() + "!")
    assert not exam.met_in(" ".join(words[3:15]) + " otherwise " + " ".join(words[16:]))


def test_a_short_question_leaks_when_it_is_met_whole_whatever_its_case_and_marks():
    exam = ExamRuns([SHORT])
    assert exam.met_in("She wrote: “can I use METFORMIN, if my eGFR is 28” and waited.")
    assert not exam.met_in("Can I use metformin if my eGFR is 29?") and not ExamRuns(["Use metformin?"]).met_in("Use metformin?")


def test_what_leaks_is_left_out_and_counted_and_the_rest_is_kept_in_order():
    ledger = Ledger(read=4, kept=4)
    records = ["one", SHORT, "two about warfarin", "three"]
    kept = list(without_leaks(records, str, ExamRuns([SHORT]), ledger, lambda text: "warfarin" not in text))
    assert kept == ["one", "three"] and (ledger.read, ledger.kept) == (4, 2)
    assert dict(ledger.dropped) == {"holds a sentence of the exam": 1, "names a drug held out for the exam": 1}
