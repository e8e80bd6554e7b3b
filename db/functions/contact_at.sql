-- The contact with this phone number, whether or not the caller may see it. For code that must find every contact, such as an
-- import.
create or replace function contact_at(address text) returns uuid
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return (select coalesce(c.merged_into, c.id) from contacts c where c.workspace_id = my_workspace() and c.phone_number = address);
end $$;
alter function contact_at owner to messagehub_system;
grant execute on function contact_at to messagehub_people;
