-- Search terms for people: words, and phone numbers, each with its possible readings separated by `|` (`src/phone/search.rs`).
create or replace function people_terms(q text, numbers text[]) returns text[]
    language sql immutable strict parallel safe
as $$ select (query_tokens(q))[:12] || numbers[:6] $$;
grant execute on function people_terms to messagehub_people, messagehub_system;
