use super::Language;

pub const RULES: Language = Language {
    classes: &[
        (
            "bericht",
            "sms|sms_jes|smsjes|smsen|bericht|berichten|berichtjes|berichtje|reclame|spam|advertentie*|aanbieding*|nieuwsbrief|meldingen|herinnering*|promotie*|mail|mails|appjes|teksten|marketing|notificaties",
        ),
        (
            "sturen",
            "stuur*|sturen|gestuurd|sms*|app|appen|bericht*|schrijf*|schrijven|contact*|benader*|benaderd|bel|bellen|lastig*|val|spam*|mail*|tekst*|lastigvallen",
        ),
    ],
    asks: &[
        "stop|stopt|stoppen|ophouden|hou|houd *2 met|op_met|alstublieft? *3 <bericht>|<sturen>",
        "stop|stopt|stopzetten *1 deze|die|de|alle|uw *1 <bericht>",
        "geen *2 <bericht> *2 meer",
        "wil|willen|wens|wensen|hoef *3 geen|niet *3 <bericht>|benaderd|ontvangen|<sturen>",
        "niet|niets|nooit *1 meer|langer *2 <sturen>|ontvangen|krijgen",
        "<sturen> *2 mij|me|ons *2 niet|niets|geen|nooit *1 meer|<bericht>",
        "meld *1 mij|me|ons *3 af",
        "schrijf *1 mij|me|ons *3 uit",
        "afmelden|uitschrijven|afmelding *2 voor|van|graag|$",
        "verwijder*|wis|haal|schrap|vergeet *2 mij|me|mijn|ons|dit *2 nummer|gegevens|lijst|bestand|telefoonnummer|contact|van|uit",
        "haal *1 mij|me *1 van|uit *2 lijst|bestand|systeem",
        "laat *1 mij|me|ons *1 met_rust",
        "val *1 mij|me|ons *1 niet",
        "verkeerd|fout|onjuist *1 nummer|persoon",
        "zeg *3 <bericht> *1 op",
        "opzeggen|annuleren|annuleer|beeindig|blokkeer *2 <bericht>",
        "<bericht> *1 opzeggen|stopzetten|annuleren|beeindigen",
        "niet *1 aangemeld|ingeschreven|toestemming",
        "nooit *2 aangemeld|ingeschreven|toestemming|gevraagd",
        "aangifte|rapporteer*|meld *2 spam|politie|dit|acm",
        "mijn *1 advocaat",
        "genoeg|zat *2 van *2 <bericht>",
        "geen *1 interesse *1 meer? *2 <bericht>|in|meer",
    ],
    unless: &[
        "stop *1 niet|nooit",
        "niet *1 stoppen|afmelden|uitschrijven",
        "geen *2 <bericht> *1 ontvangen|gekregen|gehad|gezien",
        "sorry|excuses *4 lastig*|stor*",
        "afspraak|reservering|bestelling|sportschool|school *4 afmelden|annuleren|opzeggen|afzeggen",
        "afmelden|annuleer|annuleren|opzeggen|afzeggen|verwijder* *4 afspraak|reservering|bestelling|wachtlijst|sportschool|school|les",
        "antwoord|stuur *1 stop",
        "per *1 ongeluk",
    ],
    alone: &[
        "afmelden|uitschrijven|stoppen|stopt|ophouden|hou_op|houd_op|geen_sms|geen_berichten|geen_berichten_meer|geen_reclame|verkeerd_nummer|laat_me_met_rust|genoeg|meld_me_af|schrijf_me_uit|niet_meer",
    ],
    whole: &["einde|annuleren|opzeggen|verwijder|verwijderen|beeindigen|weg"],
    fillers: &[
        "alstublieft|alsjeblieft|aub|svp|graag|bedankt|dank_u|dank_je|dankjewel|hallo|hoi|nu|direct|meteen|berichten|onmiddellijk",
    ],
    signatures: &["verzonden_vanaf|verstuurd_vanaf|verzonden_met"],
};
