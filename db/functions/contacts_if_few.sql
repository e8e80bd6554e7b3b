-- The contacts that match a search or filter if they are few, to be sorted by the caller. Null if they are many or nothing
-- narrows the list; then walking the list in its order soon fills a page. Those returned match `q`; the tag and the opt-out are
-- checked again by the caller's query, with the caller's rights. An agent who sees few contacts gets those.
create or replace function contacts_if_few(q text, q_numbers text[], tag uuid, opted_out boolean) returns uuid[]
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    most constant integer := 1000;
    -- With a million contacts, sorting these takes as long as walking the list to a full page.
    most_seen constant integer := 5000;
    workspace constant uuid := my_workspace();
    terms constant text[] := listed_terms(q, q_numbers);
    asked constant tsquery := people_query(q, q_numbers);
    found uuid[];
begin
    if q is not null and asked is null then
        return '{}'::uuid[];
    end if;
    if tag is not null then
        found := array(select o.contact_id from contact_tags o where o.workspace_id = workspace and o.tag_id = tag limit most + 1);
        if cardinality(found) <= most then
            return case when q is null then found else array(select f from unnest(found) as f where contact_matches(workspace, f, asked)) end;
        end if;
    end if;
    if opted_out then
        found := array(select o.contact_id from opt_outs o where o.workspace_id = workspace limit most + 1);
        if cardinality(found) <= most then
            return case when q is null then found else array(select f from unnest(found) as f where contact_matches(workspace, f, asked)) end;
        end if;
    end if;
    -- One index scan for each scope: a tsquery with many alternatives is slow. Short prefixes are in half of all names.
    if exists (select from unnest(terms) as term where is_selective(term)) then
        found := array(
            select distinct h.id
              from unnest(my_search_scopes()) as s (scope)
             cross join lateral (select w.id
                                   from (select n.workspace_id, n.id from contact_tokens n
                                          where n.words @@ scoped_query(array[s.scope], terms) offset 0) w
                                  where w.workspace_id = workspace limit most_seen + 1) h
             limit most_seen + 1);
        if cardinality(found) <= most_seen then
            return found;
        end if;
    end if;
    if not i_am_admin() then
        found := array(
            select v.contact_id from unnest(my_numbers()) as n (number)
             cross join lateral (select v.contact_id from conversations v
                                  where v.workspace_id = workspace and v.number_id = n.number
                                  limit most_seen + 1) v
             limit most_seen + 1);
        found := found || array(
            select c.id from contacts c
             where c.workspace_id = workspace and c.created_by = current_user_id() and not c.texted and c.merged_into is null
             limit most_seen + 1);
        if cardinality(found) <= most_seen then
            return case when q is null then found else array(select f from unnest(found) as f where contact_matches(workspace, f, asked)) end;
        end if;
    end if;
    return null;
end $$;
alter function contacts_if_few owner to messagehub_system;
grant execute on function contacts_if_few to messagehub_people;
