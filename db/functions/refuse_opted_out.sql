-- A message that returns to the queue fails if its contact has opted out meanwhile.
create or replace function refuse_opted_out() returns trigger
    language plpgsql
as $$ begin
    if is_opted_out(new.workspace_id, new.contact_id, new.number_id) then
        new.status := 'failed';
        new.error_code := 'contact_opted_out';
        new.error_message := 'Before it could be sent, the contact opted out.';
    end if;
    return new;
end $$;
grant execute on function refuse_opted_out to messagehub_people, messagehub_system;

create or replace trigger stays_off before update on messages for each row
    when (new.status = 'queued' and old.status in ('sending', 'unconfirmed'))
    execute function refuse_opted_out();
