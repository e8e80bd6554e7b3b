-- A regular expression class of scripts without spaces (Thai, Lao, Burmese, Khmer, Japanese, Chinese), symbols and emoji.
create or replace function unspaced_scripts() returns text
    language sql immutable parallel safe
as $$ select '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\u2600-\u27bf\U0001f000-\U0001faff\U00020000-\U000323af]' $$;
grant execute on function unspaced_scripts to messagehub_people, messagehub_system;
