-- Fails the queued messages to those of the contacts that have opted out. Their credits return at the end of the transaction
-- (`return_credit_after_opt_out`). Runs as the system role: an opt-out may hold for numbers that the member who records it does not
-- see. Members may do so in the workspace of their transaction only.
create or replace function fail_opted_out_messages(workspace uuid, contacts_to_check uuid[]) returns void
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$ begin
    if current_setting('role') = 'messagehub_people' and workspace is distinct from my_workspace() then
        return;
    end if;
    with failed_messages as (
        update messages m
           set status = 'failed', error_code = 'contact_opted_out',
               error_message = 'The contact opted out before this was sent.', updated_at = now()
          from conversations v
         where v.workspace_id = workspace and v.contact_id = any (contacts_to_check)
           and m.workspace_id = v.workspace_id and m.conversation_id = v.id and m.direction = 'outbound' and m.status = 'queued'
           and is_opted_out(v.workspace_id, v.contact_id, v.number_id)
        returning m.workspace_id, m.conversation_id, m.id
    )
    update conversations v set last_message_status = 'failed'
      from failed_messages c
     where v.workspace_id = c.workspace_id and v.id = c.conversation_id and v.last_message_id = c.id;
end $$;
alter function fail_opted_out_messages owner to messagehub_system;
grant execute on function fail_opted_out_messages to messagehub_people;
