-- Records changes of status and assignee in the conversation's activity. Runs as the system role, because a foreign key also
-- clears the assignee when a member leaves.
create or replace function record_conversation_change() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    actor constant uuid := current_user_id();
    actor_name_now constant text := coalesce((select u.name from users u where u.id = actor), '');
begin
    -- The whole workspace is being deleted.
    if not exists (select from workspaces w where w.id = new.workspace_id) then
        return null;
    end if;
    if old.assignee_id is distinct from new.assignee_id then
        insert into conversation_events (workspace_id, conversation_id, number_id, kind, actor_id, actor_name,
                                         assignee_id, assignee_name, previous_id, previous_name)
        select new.workspace_id, new.id, new.number_id, case when new.assignee_id is null then 'unassigned' else 'assigned' end,
               actor, actor_name_now, n.id, n.name, o.id, o.name
          from (select coalesce(new.assignee_id, old.assignee_id) as id) as t
          join users n on n.id = t.id
          left join users o on o.id = old.assignee_id and new.assignee_id is not null;
    end if;
    if old.status <> new.status or (new.status = 'snoozed' and old.snoozed_until is distinct from new.snoozed_until) then
        insert into conversation_events (workspace_id, conversation_id, number_id, kind, cause, actor_id, actor_name, until)
        values (new.workspace_id, new.id, new.number_id,
                case when new.status <> 'open' then new.status when old.status = 'snoozed' then 'unsnoozed' else 'reopened' end,
                case when actor is not null then null
                     when old.status = 'snoozed' and old.snoozed_until <= now()
                          and old.last_message_id is not distinct from new.last_message_id then 'time'
                     else 'text' end,
                actor, actor_name_now, new.snoozed_until);
    end if;
    return null;
end $$;
alter function record_conversation_change owner to messagehub_system;
grant execute on function record_conversation_change to messagehub_people;

create or replace trigger conversations_after_update_record_activity after update of status, assignee_id, snoozed_until on conversations for each row
    when (old.status <> new.status or old.assignee_id is distinct from new.assignee_id
          or (new.status = 'snoozed' and old.snoozed_until is distinct from new.snoozed_until))
    execute function record_conversation_change();
