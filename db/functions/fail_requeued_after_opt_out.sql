-- A message that returns to the queue fails if its contact has opted out meanwhile.
create or replace function fail_requeued_after_opt_out() returns trigger
    language plpgsql
as $$ begin
    if is_opted_out(new.workspace_id, new.contact_id, new.number_id) then
        new.status := 'failed';
        new.error_code := 'contact_opted_out';
        new.error_message := 'The contact opted out before this was sent.';
    end if;
    return new;
end $$;
grant execute on function fail_requeued_after_opt_out to messagehub_people, messagehub_system;

create or replace trigger messages_before_update_fail_opted_out before update on messages for each row
    when (new.status = 'queued' and old.status in ('sending', 'unconfirmed'))
    execute function fail_requeued_after_opt_out();
