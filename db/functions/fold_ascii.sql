-- `fold_text` for ASCII text, in a single expression. Most messages are ASCII.
create or replace function fold_ascii(content text) returns text
    language sql immutable strict parallel safe
as $$
    select translate(lower(case when content ~ '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]' -- rare; in translate() each character would cost every message
                                then regexp_replace(content, '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]', ' ', 'g') else content end collate "C"),
                     E'\'`.,!?\n\t\r":;/()&@#*_+=%$<>[]{}|~^\\', '--                                ')
$$;
grant execute on function fold_ascii to messagehub_people, messagehub_system;
