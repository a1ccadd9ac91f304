"""Twenty preferences between two answers to one pharmaceutical question, each with the flaw of the answer that lost.

Flaws are of five kinds, and the better answer is as often the longer one as the shorter, so that length alone is no judge. Where the better
answer permits, a judge that learnt only to like "avoid" is wrong. The last five are held out of training.
Not medical advice.
"""
from typing import Literal, NamedTuple

Flaw = Literal["vague reassurance", "wrong decision", "no reason", "no way out", "needless alarm"]


class Pair(NamedTuple):
    prompt: str
    chosen: str
    rejected: str
    flaw: Flaw


PAIRS = (
    Pair("Can I use metformin if my eGFR is 28?",
         "Avoid metformin. eGFR is below 30. Risk of lactic acidosis. Use insulin instead.",
         "It is fine, just keep an eye on the kidneys.", "vague reassurance"),
    Pair("Can I use metformin if my eGFR is 85?",
         "Yes use metformin. eGFR is above 45. No dose change. Check eGFR each year.",
         "Kidneys are delicate, so never touch metformin and ask for something else.", "needless alarm"),
    Pair("Can I take ibuprofen with warfarin?",
         "Avoid ibuprofen. Risk of bleeding. Use acetaminophen instead. Check INR.",
         "Most people take both and feel fine, so do not worry about it.", "vague reassurance"),
    Pair("Can I take naproxen with apixaban?",
         "Avoid naproxen. Risk of bleeding. Use acetaminophen instead.",
         "Avoid naproxen, because I say so.", "no reason"),
    Pair("Can I take lisinopril in pregnancy?",
         "Avoid lisinopril. Risk of fetal harm. Use labetalol instead. Check blood pressure.",
         "Blood pressure tablets are harmless in pregnancy, so just go on with what you have and tell the midwife some day.",
         "vague reassurance"),
    Pair("Can I take valproate in pregnancy?",
         "Avoid valproate. Risk of fetal harm. Ask about lamotrigine instead. Take folic acid.",
         "Stop every tablet at once and never take any drug again as long as you live, whatever your doctor may say.", "needless alarm"),
    Pair("Can I take citalopram with amiodarone?",
         "Avoid taking both. Risk of long QT. Use sertraline instead. Check the ECG.",
         "Two heart and mood tablets together are fine, just go on.", "vague reassurance"),
    Pair("Can I take clarithromycin with simvastatin?",
         "Avoid taking both. Risk of muscle damage. Stop simvastatin until the course ends.",
         "Yes go on with both, it is only for a week.", "wrong decision"),
    Pair("Can I take morphine with diazepam?",
         "Avoid taking both. Risk of slow breathing. If needed use lowest dose. Watch breathing.",
         "Yes take both, they help you to relax and sleep so well that nothing will trouble you through the night.", "wrong decision"),
    Pair("Can I take oxycodone with lorazepam?",
         "Avoid taking both. Risk of slow breathing. Watch breathing.",
         "It depends on many things, and every person is different, so it is hard to say anything about it.", "no reason"),
    Pair("Can I take ibuprofen with lithium?",
         "Avoid ibuprofen. Risk of high lithium levels. Use acetaminophen instead. Check lithium level.",
         "Avoid ibuprofen and bear the pain.", "no way out"),
    Pair("Can I take sildenafil with nitroglycerin?",
         "Avoid taking both. Risk of low blood pressure.",
         "Probably fine, just sit down if you feel faint and have somebody near you who can bring you a glass of water.",
         "vague reassurance"),
    Pair("Can I take spironolactone with lisinopril?",
         "Use the lowest dose. Risk of high potassium. Check potassium and eGFR.",
         "It is up to you, many people do well on both, and a banana a day is good for the heart.", "vague reassurance"),
    Pair("Can I take amoxicillin with acetaminophen?",
         "Yes take both. No dose change.",
         "Never mix an antibiotic with anything at all, because you cannot know what will happen.", "needless alarm"),
    Pair("Can I use nitrofurantoin if my eGFR is 20?",
         "Avoid nitrofurantoin. eGFR is below 30. Risk of nerve damage.",
         "Yes it is fine, just take it with food.", "wrong decision"),
    # held out from here on
    Pair("Can I take diclofenac with rivaroxaban?",
         "Avoid diclofenac. Risk of bleeding. Use acetaminophen instead.",
         "Just take it with food.", "vague reassurance"),
    Pair("Can I use gabapentin at full dose if my eGFR is 25?",
         "Use the lowest dose. eGFR is below 30. Risk of slow breathing.",
         "Yes go on, the kidneys have nothing to do with it and the full dose works better for the pain.", "wrong decision"),
    Pair("Can I use doxycycline in pregnancy?",
         "Avoid doxycycline. Risk of harm to teeth and bone of the baby. Ask about amoxicillin instead.",
         "Avoid doxycycline.", "no way out"),
    Pair("Can I use linagliptin if my eGFR is 25?",
         "Yes use linagliptin. No dose change.",
         "Avoid linagliptin. Risk of lactic acidosis. Use insulin instead.", "wrong decision"),
    Pair("Can I take tramadol with sertraline?",
         "Avoid taking both. Risk of serotonin syndrome. Use acetaminophen instead.",
         "It depends, just see how you feel.", "vague reassurance"),
)
HELD_OUT = 5
