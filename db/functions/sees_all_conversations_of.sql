-- Whether the caller may see every conversation of these contacts.
create or replace function sees_all_conversations_of(contacts_asked uuid[]) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return i_am_admin()
        or not exists (select from conversations v
                        where v.workspace_id = my_workspace() and v.contact_id = any (contacts_asked)
                          and v.number_id <> all (my_numbers()));
end $$;
alter function sees_all_conversations_of owner to messagehub_system;
grant execute on function sees_all_conversations_of to messagehub_people;
