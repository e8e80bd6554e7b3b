-- Text as it is compared: no case, accents, vowel points or invisible characters; every digit an ASCII digit; words separated by
-- spaces; apostrophes and hyphens inside words become `-`. `src/fold.rs` does the same for highlighting; a test compares the two.
create or replace function fold_text(content text) returns text
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text;
begin
    if octet_length(content) = length(content) then
        return fold_ascii(content);
    end if;
    -- Accents and vowel points (Latin, Cyrillic, Hebrew, Arabic), tatweel, soft hyphens, direction marks, emoji variants and
    -- tags.
    folded := normalize(regexp_replace(normalize(replace(content, '´', ''''), nfkd),
        '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u00ad\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0020-\U000e007f]',
        '', 'g'), nfkc);
    folded := translate(lower_case(folded),
                        'øłđðıħŧŋςґکیىةٱہھە٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९০১২৩৪৫৬৭৮৯๐๑๒๓๔๕๖๗๘๙'
                        || E'\'`\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02be\u02bf\u2032\u05f3\u05f4\u05be\u2010\u2012\u2013\u2212\u2027\u00b7\u30fb\u058a',
                        'olddihtnσгكييهاههه' || repeat('0123456789', 5) || repeat('-', 22));
    folded := replace(replace(replace(replace(folded, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th');
    return regexp_replace(folded,
        '[\u0001-\u002c\u002e\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u055a-\u055f\u0589\u05c0\u05c3\u05c6\u060c\u060d\u061b-\u061f\u066a-\u066d\u06d4\u0964\u0965\u2000-\u25ff\u27c0-\u2bff\u3000-\u3004\u3008-\u303f\ufe30-\ufe4f\uff00-\uffef]',
        ' ', 'g');
end $$;
grant execute on function fold_text to messagehub_people, messagehub_system;
