-- Records an opt-out or opt-in in the activity of the contact's conversation.
create or replace function tell_of_consent() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    insert into conversation_events (workspace_id, conversation_id, number_id, kind, cause, actor_id, actor_name)
    select v.workspace_id, v.id, v.number_id, case new.wish when 'stop' then 'opted_out' else 'opted_in' end,
           new.source, new.actor_id, new.actor_name
      from conversations v
     where v.workspace_id = new.workspace_id and v.contact_id = new.contact_id and v.number_id = new.number_id;
    return null;
end $$;
alter function tell_of_consent owner to messagehub_system;
grant execute on function tell_of_consent to messagehub_people;

create or replace trigger tells after insert on consents for each row execute function tell_of_consent();
