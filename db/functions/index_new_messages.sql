-- Indexes the next messages that are not in `message_tokens` yet, at most so many, and returns how many it read: 0 when all are
-- indexed, or while another server does this.
--
-- A message may be committed after others with higher ids. So the order is that of transactions, and a batch ends before the oldest
-- transaction that is still running: nothing can appear below that any more.
create or replace function index_new_messages(most integer) returns integer
    language plpgsql
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_sort = off -- reads messages_by_transaction, also on a table without statistics
    set jit = off
as $$
declare
    reached search_progress;
    -- In a restored database the position may be ahead of this cluster's transactions. Then what was copied is finished first.
    is_restored boolean;
    edge xid8 := pg_snapshot_xmin(pg_current_snapshot());
    number_read integer;
begin
    select * into reached from search_progress for update skip locked;
    if not found then
        return 0;
    end if;
    is_restored := reached.indexed_by > pg_snapshot_xmax(pg_current_snapshot());
    if is_restored then
        edge := '18446744073709551615';
    end if;
    with batch as materialized (
        select m.inserted_by, m.workspace_id, m.id, m.number_id, m.content
          from messages m
         where (m.inserted_by, m.workspace_id, m.id) > (reached.indexed_by, reached.workspace, reached.id)
           and m.inserted_by < edge
         order by m.inserted_by, m.workspace_id, m.id
         limit most
    ), indexed as (
        insert into message_tokens (workspace_id, id, number_id, nth, words)
        select t.workspace_id, t.id, t.number_id, t.nth, t.words
          from (select b.workspace_id, b.id, b.number_id, b.nth, scoped_tokens_of(search_part_scope(b.number_id, b.nth / 2048), b.content) as words
                  from (select b.workspace_id, b.id, b.number_id, b.content,
                               n.last + (row_number() over (partition by b.workspace_id, b.number_id order by b.id))::integer as nth
                          from batch b
                          join (select d.workspace_id, d.number_id, last_token_position(d.workspace_id, d.number_id) as last
                                  from (select distinct workspace_id, number_id from batch where content <> '') d) n
                            on n.workspace_id = b.workspace_id and n.number_id = b.number_id
                         where b.content <> ''
                           and not exists (select from message_tokens t where t.workspace_id = b.workspace_id and t.id = b.id)) b) t
         where t.words <> ''
            on conflict do nothing -- `reindex_message` was faster
    ), moved as (
        update search_progress p
           set indexed_by = b.inserted_by, workspace = b.workspace_id, id = b.id
          from (select * from batch order by inserted_by desc, workspace_id desc, id desc limit 1) as b
    )
    select count(*) into number_read from batch;
    if is_restored and number_read = 0 then
        update search_progress set indexed_by = '0';
        return 1;
    end if;
    return number_read;
end $$;
grant execute on function index_new_messages to messagehub_system;
