-- Deferred to the end of the transaction, so that credit accounts are locked last.
create or replace function return_credit_after_opt_out() returns trigger
    language plpgsql
as $$ begin
    perform return_credit(new.workspace_id, new.id);
    return null;
end $$;
grant execute on function return_credit_after_opt_out to messagehub_people, messagehub_system;

drop trigger if exists messages_after_update_return_credit on messages;
create constraint trigger messages_after_update_return_credit after update on messages deferrable initially deferred for each row
    when (new.status = 'failed' and new.error_code = 'contact_opted_out' and old.status <> 'failed')
    execute function return_credit_after_opt_out();
