-- The tsquery for a contact list, within the caller's scopes. Null if there is nothing to look for.
create or replace function people_query(q text, q_numbers text[]) returns tsquery
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return scoped_query(my_search_scopes(), listed_terms(q, q_numbers));
end $$;
alter function people_query owner to messagehub_system;
grant execute on function people_query to messagehub_people;
