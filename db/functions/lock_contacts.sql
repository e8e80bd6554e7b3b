-- Locks contacts and all their conversations until the end of the transaction; returns how many of the contacts exist and are not
-- merged. Conversations are locked before contacts, as everywhere. The second pass locks conversations that were created while
-- this transaction waited for the contacts; from then on new ones wait.
create or replace function lock_contacts(workspace uuid, contacts_to_lock uuid[]) returns bigint
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    locked bigint;
begin
    perform from conversations v where v.workspace_id = workspace and v.contact_id = any (contacts_to_lock) order by v.id for update;
    perform from contacts c where c.workspace_id = workspace and c.id = any (contacts_to_lock) order by c.id for no key update;
    perform from conversations v where v.workspace_id = workspace and v.contact_id = any (contacts_to_lock) order by v.id for update;
    select count(*) into locked from contacts c
     where c.workspace_id = workspace and c.id = any (contacts_to_lock) and c.merged_into is null;
    return locked;
end $$;
alter function lock_contacts owner to messagehub_system;
