-- Indexes the contact of a new, moved or deleted conversation: the numbers for which a contact is indexed follow its
-- conversations.
create or replace function index_conversation_contact() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    if tg_op <> 'INSERT' then
        perform index_contact(old.workspace_id, old.contact_id);
    end if;
    if tg_op <> 'DELETE' then
        perform index_contact(new.workspace_id, new.contact_id);
    end if;
    return null;
end $$;
alter function index_conversation_contact owner to messagehub_system;

create or replace trigger conversations_after_change_index_contact after insert or delete or update of contact_id, number_id on conversations
    for each row execute function index_conversation_contact();
