use super::Language;

/// Hindi in Devanagari and in Latin letters.
pub const RULES: Language = Language {
    classes: &[
        (
            "मैसेज",
            "मैसेज|मेसेज|संदेश|एसएमएस|विज्ञापन|message|messages|msg|msgs|sms|text|texts|mesage|massage",
        ),
        ("मत", "मत|न|ना|mat|na|mt"),
        (
            "भेजो",
            "भेजो|भेजे|भेजें|भेजिए|भेजना|भेजिये|करो|करें|करना|करिए|कीजिए|कीजिये|bhejo|bheje|bhejen|bhejna|bhejiye|bhejo|karo|karna|kare|karen|kariye|kijiye",
        ),
    ],
    requests: &[
        "<मैसेज> *2 <मत> *0 <भेजो>",
        "<मैसेज> *1 भेजना|करना|bhejna|karna *1 बंद|band|bandh|छोड़|रोक|stop",
        "<मैसेज> *0 बंद|band *0 <भेजो>",
        "<मैसेज> *1 नहीं|nahi|nahin *0 चाहिए|चाहता|चाहती|chahiye|chahie",
        "मेरा|मेरे|mera|mere|यह|ye *0 नंबर|नम्बर|number|नाम|naam *2 हटा*|मिटा*|निकाल*|डिलीट|hata*|nikal*|delete|remove",
        "मुझे|mujhe *1 लिस्ट|सूची|list *1 से|se *1 हटा*|निकाल*|hata*|nikal*",
        "<मत> *0 भेजो|भेजें|भेजना|bhejo|bhejna",
        "परेशान|तंग|pareshan|tang *0 <मत>|करना_बंद",
        "गलत|galat|ग़लत *0 नंबर|नम्बर|number",
    ],
    exceptions: &[
        "बिल|रसीद|पार्सल|कागज*|bill|parcel *4 <मत>",
        "<मैसेज> *1 नहीं|nahi *0 आ|आया|आए|मिल|मिला|aa|aaya|mila|aaye",
        "आइटम|ऑर्डर|पता|item|order *3 हटा*|hata*",
        "बंद|band *1 <मत> *0 <भेजो>",
    ],
    acceptances: &["फोन|कॉल|phone|call *0 <मत> *0 <भेजो>"],
    overriding_requests: &[],
    clause_requests: &[
        "बंद_करो|बंद_करें|रोको|band_karo|bandh_karo|मत_भेजो|mat_bhejo|नहीं_चाहिए|nahi_chahiye|बस_करो|bas_karo|गलत_नंबर|galat_number|स्टॉप",
    ],
    text_requests: &["बंद|हटाओ|रद्द|hatao"],
    fillers: &[
        "कृपया|प्लीज|धन्यवाद|नमस्ते|जी|मुझे|अब|kripya|ji|mujhe|ab|namaste|dhanyavad|shukriya|भाई|bhai|yaar",
    ],
    signatures: &[],
};
