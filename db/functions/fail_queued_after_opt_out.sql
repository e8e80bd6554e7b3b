-- An opt-out fails the queued messages to this contact. The trigger `returns_credit` returns their credits at the end of the
-- transaction.
create or replace function fail_queued_after_opt_out() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    with failed_messages as (
        update messages m
           set status = 'failed', error_code = 'contact_opted_out',
               error_message = 'Before it could be sent, the contact opted out.', updated_at = now()
          from conversations v
         where v.workspace_id = new.workspace_id and v.contact_id = new.contact_id
           and m.workspace_id = v.workspace_id and m.conversation_id = v.id and m.direction = 'outbound' and m.status = 'queued'
           and is_opted_out(v.workspace_id, v.contact_id, v.number_id)
        returning m.workspace_id, m.conversation_id, m.id
    )
    update conversations v set last_message_status = 'failed'
      from failed_messages c
     where v.workspace_id = c.workspace_id and v.id = c.conversation_id and v.last_message_id = c.id;
    return null;
end $$;
alter function fail_queued_after_opt_out owner to messagehub_system;
grant execute on function fail_queued_after_opt_out to messagehub_people;

create or replace trigger opt_outs_after_insert_fail_queued after insert on opt_outs for each row execute function fail_queued_after_opt_out();
