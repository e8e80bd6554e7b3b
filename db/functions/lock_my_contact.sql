-- `lock_contacts` for one contact of the transaction's workspace.
create or replace function lock_my_contact(contact uuid) returns bigint
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$ begin
    return lock_contacts(my_workspace(), array[contact]);
end $$;
alter function lock_my_contact owner to messagehub_system;
grant execute on function lock_my_contact to messagehub_people;
