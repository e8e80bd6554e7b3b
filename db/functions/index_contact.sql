-- Indexes a contact. It is indexed for the workspace's admins, for each number that it has a conversation with, and, before it
-- has any, for the member who created it. A merged contact is found as its survivor, by both phone numbers.
create or replace function index_contact(workspace uuid, contact uuid) returns void
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    c contacts;
begin
    -- By key alone: with `merged_into is null` a planner without statistics takes the index by name, and reads all of it.
    select o.* into c from contacts o where o.workspace_id = workspace and o.id = contact;
    if not found or c.merged_into is not null then
        delete from contact_tokens w where w.workspace_id = workspace and w.id = contact;
        return;
    end if;
    insert into contact_tokens as w (workspace_id, id, words)
    values (c.workspace_id, c.id,
            scoped_tokens(array(select search_scope(c.workspace_id)
                         union select search_scope(v.number_id) from conversations v where v.workspace_id = c.workspace_id and v.contact_id = c.id
                         union select search_scope(c.created_by)
                                where c.created_by is not null
                                  and not exists (select from conversations v where v.workspace_id = c.workspace_id and v.contact_id = c.id)),
                   person_tokens(coalesce(c.name, '')) || email_tokens(coalesce(c.email, '')) || address_tokens(c.phone_number)
                   || array(select word from contacts o, unnest(address_tokens(o.phone_number)) as word
                             where o.workspace_id = c.workspace_id and o.merged_into = c.id)))
        on conflict (workspace_id, id) do update set words = excluded.words;
end $$;
alter function index_contact owner to messagehub_system;
