-- What a STOP does is told to whoever looks on: the texts that it called off are found by the contact's conversations.

create index messages_called_off on messages (workspace_id, conversation_id) where error_code = 'contact_opted_out';

-- From the moment that one STOP holds for all numbers, what waits at the others is called off as well.
create function call_off_everywhere() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    with called_off as (
        update messages m
           set status = 'failed', error_code = 'contact_opted_out',
               error_message = 'Before it could be sent, the contact opted out.', updated_at = now()
         where m.workspace_id = new.id and m.status = 'queued' and m.direction = 'outbound'
           and is_opted_out(m.workspace_id, m.contact_id, m.number_id)
        returning m.workspace_id, m.conversation_id, m.id
    )
    update conversations v set last_message_status = 'failed'
      from called_off c
     where v.workspace_id = c.workspace_id and v.id = c.conversation_id and v.last_message_id = c.id;
    return null;
end $$;
create trigger calls_off after update of opt_out_scope on workspaces for each row
    when (new.opt_out_scope = 'workspace' and old.opt_out_scope <> new.opt_out_scope)
    execute function call_off_everywhere();
grant execute on function call_off_everywhere() to messagehub_people, messagehub_system;

-- A STOP that is remembered for a number without a contact is listed with the others, and an admin may lift it.
create index remembered_newest on remembered_opt_outs (workspace_id, created_at desc); -- the list

-- Answers how many were lifted: where a STOP holds for all numbers, a START does as well.
create function lift_remembered(phone text, number uuid) returns bigint
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    lifted bigint;
begin
    delete from remembered_opt_outs r
     where r.workspace_id = my_workspace() and i_am_admin() and r.address = phone
       and (r.number_id = number
            or (select w.opt_out_scope from workspaces w where w.id = my_workspace()) = 'workspace');
    get diagnostics lifted = row_count;
    return lifted;
end $$;
grant execute on function lift_remembered(text, uuid) to messagehub_people;

grant create on schema public to messagehub_system;
alter function call_off_everywhere() owner to messagehub_system;
alter function lift_remembered(text, uuid) owner to messagehub_system;
revoke create on schema public from messagehub_system;
