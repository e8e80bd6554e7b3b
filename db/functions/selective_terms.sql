-- The selective words (`is_selective`), or all if none is: the index is asked for these, and the rest is checked in what it finds.
create or replace function selective_terms(words text[]) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return coalesce(nullif(array(select word from unnest(words) as word where is_selective(word)), '{}'), words);
end $$;
grant execute on function selective_terms to messagehub_people, messagehub_system;
