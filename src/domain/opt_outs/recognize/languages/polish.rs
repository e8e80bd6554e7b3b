use super::Language;

pub const RULES: Language = Language {
    classes: &[
        (
            "wiadomosc",
            "sms*|wiadomosc*|reklam*|powiadomi*|ofert*|spam*|promocj*|newsletter*|informacj*|mail*|smsy|esemes*|przypomnie*|marketing*",
        ),
        (
            "pisac",
            "pisz*|pisa*|wysyla*|przysyla*|wysla*|nekaj*|nekac|smsuj*|kontaktuj*|kontaktowa*|dzwon*|spam*|zawraca*|wypisywa*|niepoko*|meczy*|meczcie|przesyla*",
        ),
    ],
    asks: &[
        "nie *1 chce|chcemy|zycze|zyczymy|zgadzam|wyrazam|potrzebuje|chcialbym|chcialabym *3 <wiadomosc>|otrzymywac|dostawac|kontakt*|zgody_na|<pisac>",
        "nie *1 <pisac> *2 wiecej|juz|do_mnie|mi|tu|nigdy|do_nas|ze_mna",
        "nie *1 <pisac> $",
        "prosze|prosimy *2 nie|przestac|przestancie|zaprzestac|wypisac|usunac|skasowac *3 <pisac>|<wiadomosc>|numer|mnie|z_listy|kontakt*",
        "przesta* *2 <pisac>|<wiadomosc>|mi|do",
        "przestancie|przestan $",
        "wypisz*|wypisac|wypisuje *2 mnie|sie|z *2",
        "rezygnuj* *2 z *2 <wiadomosc>|subskrypcj*|otrzymywania|uslugi",
        "usun*|skasuj*|wykresl*|zapomnij* *2 moj|mnie|ten|nasz *2 numer|dane|z_listy|z_bazy|kontakt",
        "usun*|skasuj*|wykresl* *1 mnie",
        "zly|bledny|nie_ten|niewlasciwy *1 numer",
        "pomylka|pomylili|pomyliliscie|pomylil* *2 numer*|$",
        "daj*|dajcie *1 mi|nam *1 spokoj",
        "zostaw* *1 mnie *1 w_spokoju",
        "koniec|stop|dosc|zadnych *2 <wiadomosc>",
        "wycofuj*|cofam|odwoluje *2 zgode|zgody",
        "anuluj*|zakoncz*|wylacz*|zablokuj*|odwolaj* *2 <wiadomosc>|subskrypcj*",
        "zglosze|zglaszam|zglosic *3 spam|policj*|uke|uodo|was|to",
        "nigdy *2 nie *2 zapis*|zgadzal*|wyrazal*|prosil*",
        "moj *1 prawnik|adwokat",
        "to_spam|nekanie|rodo",
    ],
    unless: &[
        "nie *1 przesta*|wypisuj*|usuwaj*",
        "nie *1 dostal*|otrzymal*|przyszl*|mam *2 <wiadomosc>",
        "przepraszam *4 <pisac>|przeszkadz*",
        "wizyt*|rezerwacj*|zamowieni*|termin* *3 anuluj*|odwol*|usun*",
        "odwol*|anuluj*|usun*|wypisz* *4 wizyt*|rezerwacj*|zamowieni*|termin*|recept*|zab|plomb*|zajec",
        "odpisz|wyslij *1 stop",
    ],
    alone: &[
        "rezygnuje|wypisz|wypisz_mnie|wypisac|wypis|przestancie|przestan|dosc|nie_chce|usun_mnie|zly_numer|pomylka|koniec_smsow|nie_pisz|nie_piszcie|rezygnacja",
    ],
    whole: &["koniec|anuluj|usun|zakoncz|odwolaj"],
    fillers: &["prosze|dziekuje|dzieki|dzien_dobry|czesc|witam|juz|teraz|natychmiast|wiecej|mi|to"],
    signatures: &["wyslano_z|wyslane_z"],
};
