-- Indexes the contact of a new, moved or deleted conversation: the numbers for which a contact is indexed follow its
-- conversations.
create or replace function learn_conversations() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    if tg_op <> 'INSERT' then
        perform learn_contact(old.workspace_id, old.contact_id);
    end if;
    if tg_op <> 'DELETE' then
        perform learn_contact(new.workspace_id, new.contact_id);
    end if;
    return null;
end $$;
alter function learn_conversations owner to messagehub_system;

create or replace trigger learn_conversations after insert or delete or update of contact_id, number_id on conversations
    for each row execute function learn_conversations();
