use super::Language;

/// Tagalog as it is texted, with English words.
pub const RULES: Language = Language {
    classes: &[
        (
            "text",
            "text|texts|txt|itext|magtext|nagtext|tetext|tetxt|itxt|katext|pagtext|pagtetext|magtetext|kakatext|pangangtext|sms|message|messages|mensahe|msg|mag_text|mag_message|pagmemessage|pagme_message|magmessage|imessage|promo|promos|ad|ads|spam|alerts|notifications|anunsyo|reminder|reminders|padala|padalhan|pagpapadala|magpadala|ipadala|nagpapadala|pinapadala|pinapadalhan|contact|kontakin|icontact|makontak|guluhin|istorbohin|abalahin|kulitin|pang_iistorbo|pangungulit|pag_text|send|magsend|pagsend|isend|mag_send|tatawag_o|pagme|marketing|natatanggap|tumanggap|makatanggap|tatanggap|makatanggap|maka_receive|makareceive|mareceive|matanggap|sumulat|bother",
        ),
        (
            "wag",
            "wag|huwag|hwag|wg|wag_na|huwag_na|wag_mo_na|wag_nyo_na",
        ),
        (
            "tigil",
            "itigil|tigil|tigilan|tigilin|ihinto|hinto|huminto|tumigil|pakitigil|pakihinto|tama_na|tamana|pakitigilan|pahinto|patigil",
        ),
        (
            "alis",
            "tanggal*|pakitanggal|tinatanggal|alisin|pakialis|paalis|patanggal|ipatanggal|ipaalis|burahin|pakibura|paki_bura|paki_delete|pakidelete|idelete|i_delete|ideleted|iremove|i_remove|paki_remove|pakiremove|paki_tanggal|paki_alis|alisan|buburahin|kalimutan_na",
        ),
        (
            "ayaw",
            "ayaw|ayoko|ayaw_ko|ayokong|hindi_ko_gusto|di_ko_gusto|hindi_na_ako|ayaw_na|di_na_ako|hindi_ako|di_ako|hindi_ko_kailangan|di_ko_kailangan|hindi_namin|ayaw_namin|hindi_ko_na|di_ko_na|hindi_na_namin",
        ),
    ],
    requests: &[
        "stop *0 nyo|niyo|na|po|mo|ang|yung|sa *3 <text>",
        "delete|remove *0 nyo|niyo|na|po|mo *3 number|numero|ako|pangalan",
        "paano|pano *4 ititigil|titigil|itigil|mahinto|maihinto|tanggalin|matanggal *4 <text>",
        "pwede|puwede|maaari *3 tanggalin|alisin|burahin|matanggal *3 number|numero|ako|pangalan",
        "<wag> *5 <text>",
        "<tigil> *4 <text>",
        "<tigil> *2 nyo|niyo|ninyo|mo *3 ako|ito|yan|pag|$",
        "<ayaw> *4 <text>",
        "<ayaw> *1 interesado|interested|interesada *2 <text>|sa|dyan|$",
        "<alis> *4 number|numero|num|ako|pangalan|cp|cellphone|contact|kami *4",
        "<alis> *3 sa *2 list|listahan|lista|database",
        "alisin|tanggalin|burahin|pakialis|pakitanggal *2 ako|akong",
        "mali|maling *2 number|numero|num|tao|cp",
        "hindi|di *1 po? *1 ito *2 number|numero",
        "hindi|di *1 akin|kanya *1 itong|ang *1 number",
        "tantanan|lubayan|layuan|tigilan *2 ako|kami",
        "hayaan *1 nyo|mo? *1 na? *1 ako",
        "irereport|isusumbong|ireport|idedemanda|kakasuhan|irereklamo|i_report|nireport|irereklamo *2 ko? *1 kayo|kita|to|ito|number|sa|ko|$",
        "nakakainis|nakakaabala|nakakaistorbo|nakakarindi|nakakairita *4 <text>",
        "paano|pano *4 unsubscribe|mag_unsubscribe|matigil|maalis|itigil|mawala|ihinto|stop",
        "pa_unsubscribe|paunsubscribe|mag_unsubscribe|magunsubscribe|iunsubscribe|i_unsubscribe|unsub",
        "hindi|di *2 ako *2 nagsign|nag_sign|nagregister|nag_subscribe|nagsubscribe|nag_register|pumayag",
        "wala *2 akong? *1 pahintulot|consent",
        "abogado *1 ko",
        "pakicancel|icancel|ikansel|kanselahin|pacancel|i_cancel *4 <text>|subscription",
    ],
    exceptions: &[
        "<wag> *4 ipadala|magpadala|isend|send|padala *2 ang|yung|blue|red|resibo|bill|papel|rider|order",
        "<wag> *3 <text> *4 sa_trabaho|sa_gabi|pag_gabi|hanggang|bago|muna",
        "hindi|di|wala *4 nakakatanggap|nakatanggap|natatanggap|natanggap|dumarating",
        "bakit *3 hindi|wala|di",
        "<wag> *2 tumawag|tawagan *2 text|itext|magtext",
        "tumigil|tumitigil|huminto *1 na? *1 po? *1 ako|ang",
        "<alis> *5 sibuyas|item|address|ngipin|braces|pustiso",
        "<wag> *2 kalimutan*|kalimut*|mag_alala|magalala|mahiya|<tigil>|itigil",
        "huwag|wag *2 itigil|ihinto|tumigil|tigilan|cancel*|burahin|alisin|tanggalin",
        "pasensya|sorry|pasensiya *4 istorbo|abala|<text>",
        "hindi|di|wala *2 ko|akong|ako|pa|pong *1 natanggap|natatanggap|nareceive|dumating|nakuha",
        "bus|jeep *2 stop",
        "<alis>|icancel|pakicancel *5 appointment|booking|ngipin|order|schedule|reservation|pasta|waitlist",
        "reply|mag_reply|magreply|itext|text *1 ang|ng *1 stop",
        "kung|kapag|pag *2 nag_text|nagreply|itext|text *2 stop",
        "dito *2 na_lang|nalang",
    ],
    acceptances: &[
        "text *0 na? *0 lang|nalang",
        "^ itext|text|i_text *0 nyo|niyo|mo|na_lang *1 ako",
        "gusto *2 pa *2 <text>",
        "bago|bagong *0 number|numero",
    ],
    overriding_requests: &[],
    clause_requests: &[
        "tama_na|tamana|itigil|itigil_na|tigil|tigil_na|tigilan|hinto|ihinto|ihinto_na|ayoko_na|ayaw_ko_na|ayoko|ayaw_ko|ayaw_na|wag_na|huwag_na|mali_number|maling_number|maling_numero|stop_na|itigil_nyo|itigil_niyo|itigil_ninyo|tigilan_nyo_ako|tantanan_nyo_ako|pakitigil",
    ],
    text_requests: &[
        "alisin|tanggalin|burahin|kanselahin|umalis|pakialis|pakitanggal|icancel|cancel_na|tapos_na",
    ],
    fillers: &[
        "po|opo|na|nga|naman|salamat|salamat_po|paki|please_po|na_po|na_nga|nyo|niyo|ninyo|kayo|mo|lang|ho|pls_po|pala|talaga|yan|ito|to",
    ],
    signatures: &[],
};
