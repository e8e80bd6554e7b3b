-- An opt-out fails the queued messages to this contact. The trigger `returns_credit` returns their credits at the end of the
-- transaction.
create or replace function call_off_queued() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    with called_off as (
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
      from called_off c
     where v.workspace_id = c.workspace_id and v.id = c.conversation_id and v.last_message_id = c.id;
    return null;
end $$;
alter function call_off_queued owner to messagehub_system;
grant execute on function call_off_queued to messagehub_people;

create or replace trigger calls_off after insert on opt_outs for each row execute function call_off_queued();
