-- Indexes a contact. It is indexed for the workspace's admins, for each number that it has a conversation with, and, before it
-- has any, for the member who created it. A merged contact is found as its survivor, by both phone numbers.
create or replace function index_contact(workspace uuid, contact uuid) returns void
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$ begin
    insert into contact_tokens as w (workspace_id, id, words)
    select c.workspace_id, c.id,
           scoped_tokens(array(select search_scope(c.workspace_id)
                        union select search_scope(v.number_id) from conversations v where v.workspace_id = c.workspace_id and v.contact_id = c.id
                        union select search_scope(c.created_by)
                               where c.created_by is not null
                                 and not exists (select from conversations v where v.workspace_id = c.workspace_id and v.contact_id = c.id)),
                  person_tokens(coalesce(c.name, '')) || email_tokens(coalesce(c.email, '')) || address_tokens(c.phone_number)
                  || array(select word from contacts o, unnest(address_tokens(o.phone_number)) as word
                            where o.workspace_id = c.workspace_id and o.merged_into = c.id))
      from contacts c
     where c.workspace_id = workspace and c.id = contact and c.merged_into is null
        on conflict (workspace_id, id) do update set words = excluded.words;
    if not found then
        delete from contact_tokens w where w.workspace_id = workspace and w.id = contact;
    end if;
end $$;
alter function index_contact owner to messagehub_system;
