-- Whoever made a contact sees it until somebody texts with it. From then on, like any other, only with a number that it texts
-- with: what was taken from an agent does not stay with them in the contact's notes.

-- Whether nobody has texted with this contact yet, from any number. It runs as the system role, for the answer depends on
-- conversations that whoever asks may not see.
create function is_untexted(contact uuid) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return not exists (select from conversations
                        where workspace_id = my_workspace() and contact_id = contact);
end $$;
grant execute on function is_untexted(uuid) to messagehub_people;
grant create on schema public to messagehub_system;
alter function is_untexted(uuid) owner to messagehub_system;
revoke create on schema public from messagehub_system;

drop policy people_see on contacts;
create policy people_see on contacts for select to messagehub_people
    using (workspace_id = (select my_workspace())
           and ((select i_am_admin())
                or exists (select from conversations c where c.workspace_id = contacts.workspace_id and c.contact_id = contacts.id)
                or (created_by = (select current_user_id()) and is_untexted(id))));
