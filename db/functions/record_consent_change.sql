-- Records an opt-out or opt-in in the activity of the contact's conversation.
create or replace function record_consent_change() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    insert into conversation_events (workspace_id, conversation_id, number_id, kind, cause, actor_id, actor_name)
    select v.workspace_id, v.id, v.number_id, case new.consent_kind when 'stop' then 'opted_out' else 'opted_in' end,
           new.source, new.actor_id, new.actor_name
      from conversations v
     where v.workspace_id = new.workspace_id and v.contact_id = new.contact_id and v.number_id = new.number_id;
    return null;
end $$;
alter function record_consent_change owner to messagehub_system;
grant execute on function record_consent_change to messagehub_people;

create or replace trigger consents_after_insert_record_activity after insert on consents for each row execute function record_consent_change();
