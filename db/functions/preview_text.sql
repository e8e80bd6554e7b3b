-- The preview in the conversation list, where the database itself makes a message the newest. `messages::preview` in Rust does the
-- same; a test compares the two. White space as Unicode defines it, regardless of the locale.
create or replace function preview_text(content text, first_type text) returns text
    language sql immutable parallel safe
as $$
    select case
        when trim(both ' ' from regexp_replace(content, '[\u0009-\u000D\u0020\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+', ' ', 'g')) <> ''
        then left(trim(both ' ' from regexp_replace(content, '[\u0009-\u000D\u0020\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+', ' ', 'g')), 160)
        when first_type is null then ''
        when first_type like 'image/%' then '📷 Photo'
        when first_type like 'video/%' then '🎬 Video'
        when first_type like 'audio/%' then '🎤 Audio'
        else '📎 File' end
$$;
grant execute on function preview_text to messagehub_people, messagehub_system;
