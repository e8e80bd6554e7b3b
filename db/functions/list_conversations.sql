-- A page of the conversations that the caller may see, newest first (by the steps of the index, and exactly inside a step), or those
-- who wait for an answer, longest first. The statement is assembled from the conditions that are asked for: each has an index of
-- its own, of which one scan for each number and status reads no more than a page. Only an admin who filters by nothing else scans
-- all numbers at once.
create or replace function list_conversations(asked_status text, asked_number uuid, nobodys boolean, asked_assignee uuid, with_contacts uuid[],
                                   only_unread boolean, only_waiting boolean, only_failed boolean, by_wait boolean, asked_tag uuid,
                                   q text, q_numbers text[], before_at timestamptz, before_id uuid, many integer)
    returns table (id uuid, place bigint)
    language plpgsql stable security definer set search_path = public, pg_temp
    set jit = off
    rows 50
as $$
#variable_conflict use_column
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := array(select n from unnest(my_numbers()) as n where asked_number is null or n = asked_number);
    statuses constant text[] := case when asked_status is null then array['open', 'pending', 'snoozed', 'done'] else array[asked_status] end;
    of_all constant boolean := asked_number is null and not nobodys and asked_assignee is null and not only_unread and not only_waiting
                               and not only_failed and not by_wait and with_contacts is null and i_am_admin();
    at constant text := case when by_wait then 'waiting_since' else 'last_message_at' end;
    in_order constant text := case when by_wait then 'v.waiting_since, v.id' else 'v.listed_at desc, v.last_message_at desc, v.id desc' end;
    conditions text := '';
    found text;
begin
    if workspace is null or numbers = '{}' then
        return;
    end if;
    if only_waiting or by_wait then
        conditions := conditions || ' and v.waiting_since is not null';
    end if;
    if nobodys then
        conditions := conditions || ' and v.assignee_id is null';
    end if;
    if asked_assignee is not null then
        conditions := conditions || ' and v.assignee_id = $4';
    end if;
    if only_unread then
        conditions := conditions || ' and v.is_unread';
    end if;
    if only_failed then
        conditions := conditions || ' and v.is_failed';
    end if;
    if asked_tag is not null then
        conditions := conditions || ' and has_tag(v.workspace_id, v.contact_id, $6)';
    end if;
    if q is not null then
        conditions := conditions || ' and contact_matches(v.workspace_id, v.contact_id, $7)';
    end if;
    if before_at is not null then
        conditions := conditions || case when by_wait then ' and (v.waiting_since, v.id) > ($8, $9)'
                                         else ' and v.listed_at <= list_step($8) and (v.last_message_at, v.id) < ($8, $9)' end;
    end if;
    found := case
        -- Few contacts: all their conversations, sorted.
        when with_contacts is not null then
            -- `offset 0` keeps the planner from reading all conversations instead of using the index for each contact.
            'select v.id, v.' || at || ' as at from unnest($5) as k (contact)
              cross join lateral (select v.* from conversations v
                                   where v.workspace_id = $1 and v.contact_id = k.contact offset 0) v
              where v.status = any ($3) and v.number_id = any ($2)' || conditions
        when of_all then
            'select t.id, t.at from unnest($3) as s (status)
              cross join lateral (select v.id, v.last_message_at as at from conversations v
                                   where v.workspace_id = $1 and v.status = s.status' || conditions || '
                                   order by ' || in_order || ' limit $10) t'
        else
            'select t.id, t.at from unnest($2) as n (number) cross join unnest($3) as s (status)
              cross join lateral (select v.id, v.' || at || ' as at from conversations v
                                   where v.workspace_id = $1 and v.number_id = n.number and v.status = s.status' || conditions || '
                                   order by ' || in_order || ' limit $10) t'
        end;
    return query execute
        'select f.id, row_number() over (order by ' || case when by_wait then 'f.at, f.id' else 'f.at desc, f.id desc' end || ') as place
           from (' || found || ') as f order by place limit $10'
        using workspace, numbers, statuses, asked_assignee, with_contacts, asked_tag, people_query(q, q_numbers), before_at, before_id, many;
end $$;
alter function list_conversations owner to messagehub_system;
grant execute on function list_conversations to messagehub_people;
