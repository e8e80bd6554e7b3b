-- A page of the messages that match a search, newest first: indexed ones, and those that the worker has not indexed
-- yet, of which the newest 20,000 are read.
create or replace function find_messages(q text, before uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_sort = off -- reads messages_by_transaction, also on a table without statistics
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := my_numbers();
    terms constant text[] := (query_tokens(q))[:12];
    asked constant tsquery := scoped_query(array['!'], terms);
    reached search_progress;
    new_ones uuid[];
begin
    if workspace is null or terms = '{}' or numbers = '{}' then
        return;
    end if;
    select * into reached from search_progress;
    new_ones := array(
        select n.id
          from (select m.id, m.number_id, m.content
                  from messages m
                 where (m.inserted_by, m.workspace_id, m.id) > (reached.indexed_by, reached.workspace, reached.id)
                   and m.inserted_by <= pg_snapshot_xmax(pg_current_snapshot())
                   and m.workspace_id = workspace
                 order by m.inserted_by desc, m.workspace_id desc, m.id desc
                 limit 20000) n
         where n.id < coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
           and case when n.number_id = any (numbers) then scoped_tokens_of('!', n.content) @@ asked end);
    if new_ones = '{}' then
        return query select find_indexed_messages(q, before, many);
        return;
    end if;
    return query
        select f.id
          from (select n as id from unnest(new_ones) as n
                union
                select i as id from find_indexed_messages(q, before, many) as i) f
         order by f.id desc limit many;
end $$;
alter function find_messages owner to messagehub_system;
grant execute on function find_messages to messagehub_people;
