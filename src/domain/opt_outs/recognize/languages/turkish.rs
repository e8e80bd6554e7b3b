use super::Language;

pub const RULES: Language = Language {
    classes: &[
        (
            "mesaj",
            "mesaj*|sms*|reklam*|kampanya*|bildirim*|tanitim*|ileti*|hatirlatma*|spam*",
        ),
        (
            "yapma",
            "atma|atmayin|atmayiniz|gonderme|gondermeyin|gondermeyiniz|yollama|yollamayin|yollamayiniz|yazma|yazmayin|yazmayiniz",
        ),
    ],
    requests: &[
        "<mesaj> *2 <yapma>|istemiyorum|istemiyoruz|istemem|almak_istemiyorum|kesin|durdur*|iptal|birak*|kapat*|yeter",
        "bana|bize|artik|bir_daha|buraya|bu_numaraya|daha_fazla *2 <yapma>|ulasmayin|rahatsiz|aramayin",
        "rahatsiz *0 etme|etmeyin|etmeyiniz",
        "yazmayi|gondermeyi|atmayi|yollamayi *1 birak*|kes*|durdur*",
        "numarami|numaramizi|beni|bizi|bu_numarayi|kaydimi|adimi *3 sil*|cikar*|kaldir*",
        "abonelik*|abonelig*|uyelik*|uyelig* *1 iptal|cik*|sil*|son",
        "listeden|listenizden|gruptan *1 cik*|sil*",
        "yanlis *0 numara*|kisi",
        "beni|bizi *1 rahat *0 birak*",
        "sikayet *2 edecegim|ederim|edecegiz|ediyorum *2",
    ],
    exceptions: &[
        "fatura*|randevu*|siparis*|paket*|urun*|kargo*|adres* *4 iptal|sil*|cikar*|<yapma>",
        "gelmiyor|gelmedi|alamiyorum|almadim",
        "durdurmayin|kesmeyin|silmeyin|birakmayin",
        "yanlislikla",
    ],
    acceptances: &[
        "aramayin|aramayiniz|arama *2 mesaj|sms *0 at*|gonder*|yaz*",
        "^ mesaj|sms *0 atin|gonderin|yazin|at|atabilirsiniz",
        "yeni *0 numaram",
    ],
    overriding_requests: &[],
    clause_requests: &[
        "dur|durdur|durdurun|yeter|istemiyorum|artik_istemiyorum|abonelik_iptal|abonelikten_cik|mesaj_atmayin|yazmayin|sms_iptal|yanlis_numara|cikar|beni_cikarin",
    ],
    text_requests: &["iptal|iptal_et|bitir|sil|cikis|hayir_istemiyorum"],
    fillers: &["lutfen|tesekkurler|tesekkur_ederim|sagolun|merhaba|selam|artik|hemen|bana|ya"],
    signatures: &["iphoneumdan_gonderildi"],
};
