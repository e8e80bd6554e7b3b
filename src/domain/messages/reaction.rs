//! Detects reactions of iPhones and Google Messages, which arrive as texts: `Liked “See you at nine”`,
//! `👍 to “See you at nine”`.
//!
//! They are recognized by form only: a verb of a list, then our text in quotation marks up to the end (or a phrase for
//! a file). With words after the quotation it is an ordinary text.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The words before the quotation, without accents, capitals and punctuation. `☺` stands for any emoji.
const PREFIXES: &[&str] = &[
    // English
    "liked",
    "loved",
    "laughed at",
    "emphasized",
    "emphasised",
    "disliked",
    "questioned",
    "reacted ☺ to",
    "reacted with ☺ to",
    "reacted to",
    "hearted",
    "thumbs up",
    "removed ☺ from",
    "☺ to",
    "removed a like from",
    "removed a love from",
    "removed a heart from",
    "removed a laugh from",
    "removed an exclamation from",
    "removed an exclamation mark from",
    "removed an exclamation point from",
    "removed a question mark from",
    "removed a question from",
    "removed a dislike from",
    "removed an emphasis from",
    "removed a ☺ from",
    "removed a reaction from",
    "removed a ☺ reaction from",
    // Spanish
    "le gusto",
    "le encanto",
    "no le gusto",
    "le disgusto",
    "le dio risa",
    "se rio de",
    "se rio con",
    "se rio por",
    "enfatizo",
    "destaco",
    "exclamo por",
    "exclamo ante",
    "pregunto por",
    "cuestiono",
    "dudo de",
    "me gusta",
    "me encanta",
    "me gusto",
    "le gusta",
    "le encanta",
    "indico que le gusta",
    "indico que le encanta",
    "indico que no le gusta",
    "ha indicado que le gusta",
    "ha indicado que le encanta",
    "ha indicado que no le gusta",
    "marco me gusta en",
    "marco me gusta",
    "reacciono con ☺ a",
    "reacciono ☺ a",
    "ha reaccionado con ☺ a",
    "reacciono a",
    "☺ a",
    "quito un me gusta de",
    "elimino un me gusta de",
    "quito un ☺ de",
    "elimino ☺ de",
    "quito ☺ de",
    "quito un corazon de",
    "elimino un corazon de",
    "quito una risa de",
    "elimino una risa de",
    // French
    "a aime",
    "a adore",
    "a ri de",
    "a ri a",
    "a ri",
    "n a pas aime",
    "a souligne",
    "a insiste sur",
    "a mis en avant",
    "a accentue",
    "a mis l accent sur",
    "s interroge sur",
    "s est interroge sur",
    "a questionne",
    "a remis en question",
    "a deteste",
    "aime",
    "j aime",
    "a reagi avec ☺ a",
    "a reagi par ☺ a",
    "a reagi ☺ a",
    "a reagi a",
    "a supprime un j aime de",
    "a retire un j aime de",
    "a supprime un coeur de",
    "a supprime ☺ de",
    "a retire ☺ de",
    // German
    "gefallt mir",
    "gefallt",
    "gefallt mir nicht",
    "gefallt nicht",
    "mag",
    "mochte",
    "liebt",
    "liebte",
    "findet toll",
    "lacht uber",
    "lachte uber",
    "hat gelacht uber",
    "betont",
    "betonte",
    "hob hervor",
    "hebt hervor",
    "hinterfragt",
    "hinterfragte",
    "fragezeichen zu",
    "stellt in frage",
    "reagierte mit ☺ auf",
    "hat mit ☺ reagiert auf",
    "hat mit ☺ auf",
    "reagiert mit ☺ auf",
    "☺ auf",
    "☺ zu",
    "☺ an",
    "hat",
    "hat uber",
    "hat auf",
    "hat ☺ entfernt von",
    "entfernte ein gefallt mir von",
    "hat ein gefallt mir entfernt von",
    "gefallt mir entfernt von",
    "hat gefallt mir entfernt von",
    // Portuguese
    "curtiu",
    "gostou de",
    "gostou",
    "amou",
    "adorou",
    "riu de",
    "riu com",
    "deu risada de",
    "achou graca de",
    "achou graca em",
    "enfatizou",
    "destacou",
    "deu enfase a",
    "nao curtiu",
    "nao gostou de",
    "questionou",
    "reagiu com ☺ a",
    "reagiu com ☺ para",
    "reagiu ☺ a",
    "reagiu a",
    "☺ para",
    "☺ em",
    "removeu uma curtida de",
    "removeu um gosto de",
    "removeu um coracao de",
    "removeu ☺ de",
    "removeu uma risada de",
    // Italian
    "piace",
    "mi piace",
    "le piace",
    "gli piace",
    "ha messo mi piace a",
    "ha messo un mi piace a",
    "ha apprezzato",
    "ha amato",
    "ha adorato",
    "ha riso a",
    "ha riso di",
    "ha riso per",
    "ha enfatizzato",
    "ha evidenziato",
    "ha dato enfasi a",
    "non ha apprezzato",
    "non piace",
    "non mi piace",
    "ha messo in dubbio",
    "ha messo non mi piace a",
    "ha dubitato di",
    "ha reagito con ☺ a",
    "ha reagito ☺ a",
    "ha reagito a",
    "ha rimosso un mi piace da",
    "ha rimosso mi piace da",
    "ha rimosso un cuore da",
    "ha rimosso ☺ da",
    // Dutch, Polish
    "vond leuk",
    "leuk",
    "hield van",
    "lachte om",
    "benadrukte",
    "vond niet leuk",
    "twijfelde aan",
    "reageerde met ☺ op",
    "☺ op",
    "☺ naar",
    "polubil",
    "polubila",
    "uwielbia",
    "zareagowal ☺ na",
    "zareagowala ☺ na",
    "☺ na",
    "☺ do",
    // Tagalog, Vietnamese
    "nag like sa",
    "ni like ang",
    "ni like",
    "nilike ang",
    "nag love sa",
    "ni love ang",
    "nag heart sa",
    "nag haha sa",
    "tumawa sa",
    "natawa sa",
    "nagustuhan ang",
    "nagustuhan",
    "nag react ng ☺ sa",
    "nag react sa",
    "☺ sa",
    "nag dislike sa",
    "nag emphasize sa",
    "nag question sa",
    "da thich",
    "thich",
    "da yeu thich",
    "yeu thich",
    "da cuoi",
    "da cuoi vi",
    "cuoi",
    "da nhan manh",
    "da khong thich",
    "khong thich",
    "da dat cau hoi",
    "da dat cau hoi ve",
    "da bay to cam xuc ☺ voi",
    "da tha ☺ vao",
    "da tha tim",
    "☺ voi",
    // Chinese, Japanese: the verb follows the quotation.
    "给",
    "对",
    "已对",
    "为",
    "對",
    "給",
    "赞了",
    "喜欢",
    "喜欢了",
    "爱了",
    "不喜欢",
    "大笑",
    "强调了",
    "强调",
    "质疑",
    "质疑了",
    "点赞了",
    "點讚了",
    "喜歡",
    "愛了",
    "☺ 给",
    "☺ 回应",
];

/// Words after the quotation, in languages whose verb comes last. They match as a prefix.
const SUFFIXES: &[&str] = &[
    "点了",
    "点赞",
    "點了",
    "點讚",
    "标记",
    "標記",
    "做出了",
    "表示",
    "添加了",
    "加了",
    "回应了",
    "大笑",
    "强调",
    "☺",
    "作出了",
    "竖起",
    "gelacht",
    "hervorgehoben",
    "reagiert",
    "geliked",
    "gemocht",
    "mit gefallt mir",
    "in frage gestellt",
    "markiert",
    "mit ☺ reagiert",
    "toll gefunden",
    "betont",
    "に いいね",
    "にいいね",
    "をいいね",
    "を好き",
    "に☺",
    "にリアクション",
    "に笑",
    "を強調",
    "を高く評価",
    "にハート",
    "에 좋아요",
    "을 좋아",
    "를 좋아",
    "에 ☺",
    "좋아함",
    "에 반응",
    "leuk",
    "to ☺",
];

/// Prefixes that are not verbs: they need an ending of `SUFFIXES`.
const NEEDS_ENDING: &[&str] = &[
    "给",
    "对",
    "已对",
    "为",
    "對",
    "給",
    "hat",
    "hat uber",
    "hat auf",
    "hat mit ☺ auf",
    "vond",
    "",
];

/// Phrases for a file instead of a quotation. They follow a verb of `PREFIXES`.
const MEDIA_PHRASES: &[&str] = &[
    "an image",
    "a photo",
    "a picture",
    "a movie",
    "a video",
    "an attachment",
    "an audio message",
    "a voice message",
    "a link",
    "a sticker",
    "a location",
    "a contact",
    "a file",
    "a gif",
    "an audio",
    "an animoji",
    "a memoji",
    "a digital touch message",
    "a message",
    "una imagen",
    "una foto",
    "un video",
    "una pelicula",
    "un archivo",
    "un archivo adjunto",
    "un adjunto",
    "un mensaje de audio",
    "un audio",
    "un enlace",
    "un sticker",
    "une image",
    "une photo",
    "une video",
    "un film",
    "une piece jointe",
    "un message audio",
    "un lien",
    "un autocollant",
    "ein bild",
    "ein foto",
    "ein video",
    "einen anhang",
    "ein anhang",
    "eine audionachricht",
    "einen film",
    "einen link",
    "einen sticker",
    "uma imagem",
    "uma foto",
    "um video",
    "um filme",
    "um anexo",
    "uma mensagem de audio",
    "um audio",
    "um link",
    "un immagine",
    "un allegato",
    "un messaggio audio",
    "un filmato",
    "un collegamento",
    "isang larawan",
    "isang video",
    "mot hinh anh",
    "mot anh",
    "een afbeelding",
    "een foto",
    "een video",
];

/// Characters that may precede the quotation: a verb, perhaps with a name.
const MAX_PREFIX_LENGTH: usize = 60;

pub fn is_reaction(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    opening_quotes(text).any(|at| quotes_own_text(&text[..at], &text[at..])) || names_media(text)
}

/// Positions of opening quotation marks: some verbs contain quotation marks (`Ha messo “Mi piace” a “…”`).
fn opening_quotes(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices()
        .take(MAX_PREFIX_LENGTH)
        .filter(|(_, c)| is_quote(*c))
        .map(|(at, _)| at)
        .take(5)
}

fn quotes_own_text(prefix: &str, quoted: &str) -> bool {
    let prefix = normalized(prefix);
    let needs_ending = NEEDS_ENDING.contains(&prefix.as_str());
    if !needs_ending && !PREFIXES.contains(&prefix.as_str()) {
        return false;
    }
    let mut marks = quoted.char_indices().filter(|(_, c)| is_quote(*c));
    let opening = marks.next();
    let Some((last, mark)) = marks.next_back() else {
        // A verb and an unclosed quotation: the carrier cut the text.
        return !needs_ending && opening.is_some_and(|(_, mark)| mark != '"' && mark != '\'');
    };
    let suffix = normalized(&quoted[last + mark.len_utf8()..]);
    if suffix.is_empty() {
        // The last quotation may be the verb itself, such as `gefällt mir`.
        return !needs_ending;
    }
    // After a verb and a quotation, further words are the sender's own.
    (needs_ending || prefix.starts_with("hat"))
        && SUFFIXES.iter().any(|ending| suffix.starts_with(ending))
        && suffix.chars().count() <= 40
}

fn names_media(text: &str) -> bool {
    if text.chars().count() > MAX_PREFIX_LENGTH + 20 {
        return false;
    }
    let text = normalized(text);
    let ends = MEDIA_PHRASES.iter().any(|phrase| {
        text.strip_suffix(phrase)
            .and_then(|prefix| prefix.strip_suffix(' '))
            .is_some_and(is_verb)
    });
    // `Liked 3 images`
    ends || text.rsplit_once(' ').is_some_and(|(rest, phrase)| {
        [
            "images",
            "photos",
            "videos",
            "attachments",
            "imagenes",
            "fotos",
            "bilder",
        ]
        .contains(&phrase)
            && rest.rsplit_once(' ').is_some_and(|(verb, count)| {
                count.chars().all(|c| c.is_ascii_digit()) && is_verb(verb)
            })
    })
}

/// `👍 a photo` has no verb.
fn is_verb(prefix: &str) -> bool {
    prefix != "☺" && !NEEDS_ENDING.contains(&prefix) && PREFIXES.contains(&prefix)
}

/// Lower case without accents and punctuation, single spaces, each run of emoji as `☺`.
fn normalized(text: &str) -> String {
    let mut normalized = String::new();
    let letters = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c) && !is_invisible(*c));
    for c in letters.nfc().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            if normalized.ends_with('☺') {
                normalized.push(' ');
            }
            normalized.push(c);
        } else if is_emoji(c) {
            if !normalized.ends_with('☺') {
                if !normalized.is_empty() && !normalized.ends_with(' ') {
                    normalized.push(' ');
                }
                normalized.push('☺');
            }
        } else if !normalized.is_empty() && !normalized.ends_with(' ') {
            normalized.push(' ');
        }
    }
    normalized.truncate(normalized.trim_end().len());
    normalized
}

fn is_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\u{201c}'..='\u{201f}' | '«' | '»' | '‹' | '›' | '「' | '」' | '『' | '』' | '＂'
    )
}

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{203c}' | '\u{2049}' | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// Google Messages puts them around the emoji and inside the quotation marks; some join emoji.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200a}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::is_reaction;
    use proptest::prelude::*;

    #[test]
    fn verb_and_quoted_own_text_is_a_reaction() {
        for reaction in [
            "Liked “Harbor Dental: see you Tue 9:00. Reply STOP to opt out.”",
            "Loved “He said \u{201c}stop\u{201d} and left”",
            "Laughed at “STOP”",
            "Emphasized “See you!”",
            "Disliked \"See you\"",
            "Questioned “Tuesday?”",
            "Removed a like from “Reply STOP to opt out.”",
            "Removed an exclamation from “Now”",
            "Reacted 😂 to “Reply STOP to unsubscribe.”",
            "Reacted 👍🏽 to an image",
            "Liked an image",
            "Loved a movie",
            "Liked 3 images",
            "Liked “a long text that a carrier cut",
            "\u{200b}👍\u{200b} to “\u{200a}Reply STOP to opt out.\u{200a}”",
            "❤️ to “Hi”",
            "👍 a “Responda BAJA”",
            "Le gustó “Responda BAJA para no recibir más”",
            "Se rió de «Hola»",
            "Reaccionó con 😂 a “Hola”",
            "A aimé « Répondez STOP »",
            "A aimé une image",
            "N’a pas aimé « Répondez STOP »",
            "Gefällt mir: „Antworten Sie mit STOP“",
            "Hat über „STOP“ gelacht",
            "Reagierte mit 😂 auf „STOP“",
            "Curtiu “Responda SAIR”",
            "Reagiu com ❤️ a “SAIR”",
            "Ha messo “Mi piace” a “Rispondi STOP”",
            "Ha riso a “STOP”",
            "给“回复TD退订”点了赞",
        ] {
            assert!(is_reaction(reaction), "{reaction}");
        }
    }

    #[test]
    fn own_words_are_no_reaction() {
        for text in [
            "“STOP”",
            "\"STOP\"",
            "Loved the visit, but please stop texting me",
            "Liked “the photo” but please stop texting me",
            "Liked it",
            "I liked an image",
            "👍",
            "👍 see you",
            "Please answer “STOP”",
            "给“老李”打电话",
            "Hat „Jo“ angerufen?",
            "Loved an image of the house, can we visit?",
            "",
        ] {
            assert!(!is_reaction(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_not(text in ".{0,400}") {
            is_reaction(&text);
        }

        #[test]
        fn text_after_the_quote_is_no_reaction(quoted in "[a-z][a-z ]{0,39}", own in "[a-z]{1,20}") {
            let text = format!("Liked “{quoted}” {own}");
            prop_assert!(!is_reaction(&text));
        }
    }
}
