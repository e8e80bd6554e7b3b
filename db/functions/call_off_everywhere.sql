-- When the scope of opt-outs becomes the workspace, queued messages of other numbers to opted-out contacts fail as well.
create or replace function call_off_everywhere() returns trigger
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
alter function call_off_everywhere owner to messagehub_system;
grant execute on function call_off_everywhere to messagehub_people;

create or replace trigger calls_off after update of opt_out_scope on workspaces for each row
    when (new.opt_out_scope = 'workspace' and old.opt_out_scope <> new.opt_out_scope)
    execute function call_off_everywhere();
