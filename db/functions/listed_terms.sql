-- Search terms for contact lists, which match any part of an e-mail address too. Null if there are none.
create or replace function listed_terms(q text, q_numbers text[]) returns text[]
    language sql immutable strict parallel safe
as $$ select array(select case when term ~ '[|-]' then term else term || '|@' || term end from unnest(people_terms(q, q_numbers)) as term) $$;
grant execute on function listed_terms to messagehub_people, messagehub_system;
