-- Ids of webhook calls for admins, newest first, before `before_id`; `resume_at` as in `list_messages`. The provider's message id
-- and the rare outcomes have indexes.
create or replace function list_webhooks(asked_number uuid, asked_kind text, asked_outcome text, asked_sid text, before_id uuid, many integer)
    returns table (ids uuid[], resume_at uuid)
    language plpgsql stable security definer set search_path = public, pg_temp
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    last_id constant uuid := coalesce(before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    indexed text := '';
begin
    ids := '{}';
    if workspace is null or not i_am_admin() then
        return next;
        return;
    end if;
    if asked_sid is not null then
        indexed := ' and w.provider_sid = $4';
    end if;
    if asked_outcome is not null then
        indexed := indexed || format(' and w.outcome = %L', asked_outcome);
    end if;
    execute format(
        'select array(select w.id
                        from (select w.id, w.number_id, w.kind from webhooks w
                               where w.workspace_id = $1 and w.id < $5%s
                               order by w.id desc limit max_rows_scanned()) w
                       where ($2 is null or w.number_id = $2) and ($3 is null or w.kind = $3)
                       order by w.id desc limit $6)', indexed)
       into ids using workspace, asked_number, asked_kind, asked_sid, last_id, many;
    if cardinality(ids) < many then
        execute format(
            'select w.id from webhooks w
              where w.workspace_id = $1 and w.id < $3%s
              order by w.id desc offset max_rows_scanned() - 1 limit 1', replace(indexed, '$4', '$2'))
           into resume_at using workspace, asked_sid, last_id;
    end if;
    return next;
end $$;
alter function list_webhooks owner to messagehub_system;
grant execute on function list_webhooks to messagehub_people;
