-- When the scope of opt-outs becomes the workspace, queued messages of other numbers to opted-out contacts fail as well.
create or replace function fail_queued_after_scope_change() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    with failed_messages as (
        update messages m
           set status = 'failed', error_code = 'contact_opted_out',
               error_message = 'Before it could be sent, the contact opted out.', updated_at = now()
         where m.workspace_id = new.id and m.status = 'queued' and m.direction = 'outbound'
           and is_opted_out(m.workspace_id, m.contact_id, m.number_id)
        returning m.workspace_id, m.conversation_id, m.id
    )
    update conversations v set last_message_status = 'failed'
      from failed_messages c
     where v.workspace_id = c.workspace_id and v.id = c.conversation_id and v.last_message_id = c.id;
    return null;
end $$;
alter function fail_queued_after_scope_change owner to messagehub_system;
grant execute on function fail_queued_after_scope_change to messagehub_people;

create or replace trigger workspaces_after_update_fail_queued after update of opt_out_scope on workspaces for each row
    when (new.opt_out_scope = 'workspace' and old.opt_out_scope <> new.opt_out_scope)
    execute function fail_queued_after_scope_change();
