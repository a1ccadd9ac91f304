"""A medication list as people type it → drugs, each with how its name was recognised; nothing is dropped.

Edit distance alone would take clonazepam for lorazepam and ampicillin for amoxicillin. OTHER_DRUGS names real drugs that stand close to
ones we may cover: such a name is not a misspelling, so it stays unrecognised unless the base has it.
"""
import difflib
import re
from dataclasses import dataclass

from pharmgpt.knowledge.names import How, Resolution, find_drugs, fold, resolve
from pharmgpt.knowledge.schema import KnowledgeBase, Term

OTHER_DRUGS = frozenset(name.replace("_", " ") for name in """
acarbose acebutolol aceclofenac acetazolamide acitretin acyclovir alfuzosin alogliptin alprazolam amiloride aminophylline ampicillin
aripiprazole ascorbic_acid baclofen benazepril bendroflumethiazide betaxolol bezafibrate bisoprolol bromazepam bumetanide buprenorphine
bupropion buspirone canagliflozin candesartan captopril carbimazole carvedilol cefaclor cefadroxil cefalexin cefazolin cefdinir cefixime
cefpodoxime ceftriaxone cefuroxime cephalexin cetirizine chlordiazepoxide chloroquine chlorothiazide chlorpromazine chlorpropamide
chlorthalidone ciclosporin cilazapril cimetidine cinnarizine clemastine clindamycin clobazam clomipramine clonazepam clonidine clorazepate
clotrimazole cloxacillin clozapine colchicine cyclophosphamide cyclosporine dapagliflozin dapsone desipramine desloratadine desvenlafaxine
dexamethasone dexibuprofen dextroamphetamine diclofenac dicloxacillin dicyclomine diflunisal dihydrocodeine diphenhydramine dipyridamole
disopyramide dofetilide donepezil doxazosin doxepin doxorubicin doxylamine dronedarone dulaglutide duloxetine edoxaban enalapril
enoxaparin eplerenone eprosartan ertugliflozin erythromycin escitalopram esmolol esomeprazole estazolam ethosuximide etodolac etoricoxib
ezetimibe famotidine febuxostat felodipine fenofibrate fenoprofen fentanyl flecainide flucloxacillin flucytosine fludrocortisone
flunitrazepam fluphenazine flurazepam flurbiprofen flutamide fluvastatin fluvoxamine folic_acid fosinopril fosphenytoin gemfibrozil
gemifloxacin glibenclamide gliclazide glimepiride gliquidone glyburide griseofulvin haloperidol heparin hydralazine hydrocodone
hydrocortisone hydromorphone hydroxychloroquine hydroxyzine ibandronate imipramine indapamide indomethacin insulin_aspart insulin_degludec
insulin_detemir insulin_glulisine insulin_lispro irbesartan isoniazid isosorbide_dinitrate isradipine itraconazole ivabradine ketamine
ketoconazole ketoprofen ketorolac labetalol lacosamide lamotrigine lansoprazole lercanidipine letrozole levetiracetam levocetirizine
levofloxacin liothyronine liraglutide lomitapide loratadine lormetazepam lovastatin lumiracoxib mefenamic_acid melatonin meloxicam
memantine mercaptopurine mesalamine methadone methimazole methocarbamol methyldopa methylphenidate methylprednisolone metoclopramide
metolazone metronidazole mexiletine miconazole midazolam miglitol minocycline minoxidil mirtazapine misoprostol montelukast moxifloxacin
mycophenolate nabumetone nadolol nateglinide nebivolol nefazodone nicardipine nifedipine nimodipine nisoldipine nitrazepam nitrendipine
nitrofurazone nitroglycerin norfloxacin nortriptyline nystatin ofloxacin olanzapine olmesartan ondansetron oseltamivir oxaprozin oxazepam
oxcarbazepine oxybutynin oxycodone oxymorphone oxytetracycline pantoprazole paroxetine penicillin perindopril pethidine phenelzine
phenobarbital phenoxymethylpenicillin phenprocoumon phenytoin pindolol pioglitazone piroxicam pitavastatin posaconazole prasugrel prazosin
prednisolone pregabalin primidone probenecid procainamide prochlorperazine promethazine propafenone propranolol propylthiouracil
protriptyline pyrazinamide quetiapine quinapril quinidine rabeprazole raloxifene ranitidine ranolazine repaglinide reserpine rifampicin
rifampin risedronate risperidone ropinirole rosiglitazone roxithromycin sacubitril salbutamol saxagliptin selegiline semaglutide
simeticone sirolimus solifenacin sotalol streptomycin sucralfate sulfadiazine sulfasalazine sulindac sumatriptan tacrolimus tadalafil
tamoxifen tamsulosin tapentadol telithromycin telmisartan temazepam terazosin terbinafine tetracycline theophylline thiamine ticagrelor
ticlopidine timolol tinidazole tizanidine tolbutamide tolvaptan topiramate torasemide torsemide trandolapril tranylcypromine trazodone
triamterene triazolam trimethoprim trimipramine valacyclovir vancomycin vardenafil venlafaxine verapamil vigabatrin vildagliptin
voriconazole zafirlukast zaleplon zidovudine ziprasidone zolpidem zonisamide zopiclone
""".split())

SEPARATORS = re.compile(r"[,;+\n]|\s&\s")
DOSE_WORDS = re.compile(
    r"(?:\d[\d.,/]*|mg|mcg|µg|g|ml|iu|units?|tablets?|tabs?|capsules?|caps?|daily|once|twice|times?|three|a|per|day|week|weekly|every|"
    r"hours?|hourly|od|bd|bid|tds|tid|qid|qds|qd|prn|po|oral|orally|nightly|at|night|in|the|morning|evening|low|high|dose|xl|xr|er|sr|cr)",
    re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One item of a list. `drug_id` is None where the name is not recognised; then `candidates` are the nearest drugs."""

    text: str
    drug_id: str | None
    how: How | None
    candidates: tuple[str, ...] = ()


def read_list(kb: KnowledgeBase, text: str) -> list[Entry]:
    """Entries between commas, semicolons, plus signs or lines, doses allowed ("warfarin 5 mg daily")."""
    pieces = (piece.strip() for piece in SEPARATORS.split(text))
    return [entry for piece in pieces if piece for entry in _entries(kb, piece)]


def recognise(kb: KnowledgeBase, name: str) -> Resolution:
    """`resolve`, but the name of another real drug is never taken for a misspelling."""
    found = resolve(kb, name)
    return Resolution(None) if found.how == "close" and is_other_drug(name) else found


def is_other_drug(name: str) -> bool:
    return fold(name) in OTHER_DRUGS


def nearest(kb: KnowledgeBase, name: str, count: int = 3) -> tuple[str, ...]:
    """Display names that look most like an unrecognised one."""
    known = {fold(each): drug.name for drug in kb.drugs.values() for each in (drug.name, *drug.brands, *drug.spellings)}
    close = difflib.get_close_matches(fold(name), known, n=4 * count, cutoff=0.6)
    return tuple(dict.fromkeys(known[each] for each in close))[:count]


def find_term(entries: dict[str, Term], name: str) -> tuple[str | None, tuple[str, ...]]:
    """A vocabulary id by id, name or synonym; else the nearest names."""
    known = {fold(each): term for term in entries.values() for each in (*term.terms, term.name, term.id)}
    if term := known.get(fold(name)):
        return term.id, ()
    close = difflib.get_close_matches(fold(name), known, n=3, cutoff=0.6)
    return None, tuple(dict.fromkeys(known[each].name for each in close))


def _entries(kb: KnowledgeBase, piece: str) -> list[Entry]:
    whole = recognise(kb, piece)
    if whole.drug_id:
        return [Entry(piece, whole.drug_id, whole.how)]
    if is_other_drug(" ".join(word for word in re.findall(r"[^\W\d]+", piece) if not DOSE_WORDS.fullmatch(word))):
        return [Entry(piece, None, None)]
    parts = [part for part in re.split(r"\s+and\s+", piece, flags=re.IGNORECASE) if part.strip()]
    if len(parts) > 1:
        return [entry for part in parts for entry in _entries(kb, part)]
    return [_with_dose(kb, piece) or Entry(piece, None, None, whole.candidates or nearest(kb, piece))]


def _with_dose(kb: KnowledgeBase, piece: str) -> Entry | None:
    """"warfarin 5 mg daily": one drug, and nothing beside it but dose words."""
    mentions = find_drugs(kb, piece)
    if len(mentions) != 1 or mentions[0].how == "close" and is_other_drug(piece[mentions[0].start:mentions[0].end]):
        return None
    rest = piece[:mentions[0].start] + " " + piece[mentions[0].end:]
    words = re.findall(r"\d[\d.,/]*|[^\W\d]+", rest)
    return Entry(piece, mentions[0].drug_id, mentions[0].how) if all(DOSE_WORDS.fullmatch(word) for word in words) else None
