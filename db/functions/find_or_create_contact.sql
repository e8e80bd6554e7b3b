-- The contact with this phone number, created if there is none. Runs as the system role: a member who may text from a number may
-- not see everybody who was texted from other numbers, so only the id is returned.
create or replace function find_or_create_contact(new_id uuid, phone text) returns uuid
    language sql volatile security definer set search_path = public, pg_temp
as $$
    insert into contacts (workspace_id, id, phone_number, created_by)
    select my_workspace(), new_id, phone, current_user_id()
     where my_workspace() is not null
        on conflict (workspace_id, phone_number) do update set phone_number = excluded.phone_number
    returning coalesce(merged_into, id)
$$;
alter function find_or_create_contact owner to messagehub_system;
grant execute on function find_or_create_contact to messagehub_people;
