-- Marks the contact as texted. The lock waits for a merge that is under way, so that the conversation goes to the surviving
-- contact. If the contact was deleted meanwhile no conversation is made, and the caller stores the message once more.
create or replace function mark_contact_texted() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    survivor uuid;
    was_texted boolean;
begin
    select coalesce(c.merged_into, c.id), c.texted into survivor, was_texted from contacts c
     where c.workspace_id = new.workspace_id and c.id = new.contact_id
       for no key update;
    if not found then
        return null;
    end if;
    if not was_texted then
        update contacts c set texted = true where c.workspace_id = new.workspace_id and c.id = new.contact_id;
    end if;
    if survivor <> new.contact_id then
        update contacts c set texted = true where c.workspace_id = new.workspace_id and c.id = survivor and not c.texted;
    end if;
    new.contact_id := survivor;
    return new;
end $$;
alter function mark_contact_texted owner to messagehub_system;

-- Not for the rows that `receive_texts` only proposes, to update the one that exists.
create or replace trigger conversations_before_insert_mark_contact before insert on conversations
    for each row when (new.updated_at <> 'epoch') execute function mark_contact_texted();
