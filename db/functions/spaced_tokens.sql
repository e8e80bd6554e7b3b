-- Text as words separated by spaces. What an apostrophe or hyphen joins gives its parts and the whole: don't as don, t, dont.
create or replace function spaced_tokens(content text) returns text
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text;
    more text := '';
begin
    if octet_length(content) = length(content) then
        folded := fold_ascii(content);
    else
        folded := fold_text(content);
        if folded ~ unspaced_scripts() then
            more := character_pairs(folded, false);
            folded := regexp_replace(folded, unspaced_scripts(), ' ', 'g');
        end if;
    end if;
    if strpos(folded, '-') > 0 then
        more := more || (select coalesce(string_agg(' ' || replace(joined[1], '-', ''), ''), '')
                           from regexp_matches(folded, '[^ -]+(?:-[^ -]+)+', 'g') as joined);
        folded := replace(folded, '-', ' ');
    end if;
    return folded || more;
end $$;
grant execute on function spaced_tokens to messagehub_people, messagehub_system;
