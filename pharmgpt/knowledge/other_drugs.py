"""Real drugs that a knowledge base may lack and whose names stand close to others': clonazepam is no slip of lorazepam, ampicillin none of
amoxicillin. Such a name is never taken for a misspelling; it stays unrecognised unless the base has it.
"""
OTHER_DRUGS = frozenset(name.replace("_", " ") for name in """
aceclofenac agomelatine alverine amrinone articaine bambuterol bendroflumethiazide benzathine benzydamine betaxolol bezafibrate bromazepam
bupivacaine butylscopolamine carbetocin carbimazole cefaclor cefotaxime cefoxitin cefprozil ceftazidime ceftibuten chlormethiazole
chlorothiazide chlorpropamide cilazapril cinnarizine ciprofibrate clemastine clodronate clonixin clorazepate cloxacillin cyproheptadine
cyproterone dexibuprofen dexketoprofen dextropropoxyphene diacerein dienogest diflunisal dihydralazine dihydrocodeine diosmin dosulepin
dydrogesterone ebastine enoxacin epirubicin eprosartan escin esmolol estazolam etamsylate ethionamide etofenamate etoricoxib fenoprofen
fenoterol flavoxate flucloxacillin flucytosine flumazenil flunitrazepam flupentixol flupirtine flurazepam flurbiprofen flutamide
gemifloxacin gestodene gliclazide gliquidone glucosamine guanethidine hydroquinidine ibutilide idarubicin iloprost indobufen isoprenaline
itopride josamycin ketanserin lacidipine lercanidipine levobunolol levocarnitine levomepromazine levosimendan lormetazepam lornoxicam
loxoprofen lumiracoxib maprotiline mebeverine melitracen melperone metamizole mianserin miglitol milrinone mizolastine moxonidine
nadroparin nefopam nicorandil nimesulide nimorazole nisoldipine nitrazepam nitrendipine nitrofurazone norfloxacin oxitriptan
oxytetracycline pefloxacin penicillin perazine periciazine phenindione phenprocoumon pirenzepine pivmecillinam prenalterol
prilocaine propiverine protriptyline proxyphylline quinagolide racecadotril ranitidine reboxetine remifentanil ropivacaine rosiglitazone
roxithromycin rupatadine sertindole streptomycin sufentanil sulfadiazine sulpiride sultamicillin tenoxicam terbutaline terfenadine
tianeptine tiapride ticarcillin tolbutamide tolperisone trimebutine trimetazidine trimipramine tropisetron urapidil vildagliptin
vinpocetine xipamide zofenopril zopiclone zotepine zuclopenthixol
""".split())
