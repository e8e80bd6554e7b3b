-- Opted out means not texted: whatever records an opt-out also fails what is queued.
create or replace function fail_queued_after_opt_out() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    perform fail_opted_out_messages(new.workspace_id, array[new.contact_id]);
    return null;
end $$;
alter function fail_queued_after_opt_out owner to messagehub_system;
grant execute on function fail_queued_after_opt_out to messagehub_people;

create or replace trigger opt_outs_after_insert_fail_queued after insert on opt_outs for each row execute function fail_queued_after_opt_out();
