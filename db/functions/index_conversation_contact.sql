-- The numbers for which a contact is found follow its conversations. With a new conversation the worker indexes it: a first text need
-- not wait for that. A moved or deleted conversation changes what may be found, and is indexed at once.
create or replace function index_conversation_contact() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    if tg_op = 'INSERT' then
        insert into contacts_to_index (workspace_id, contact_id) values (new.workspace_id, new.contact_id);
        return null;
    end if;
    perform index_contact(old.workspace_id, old.contact_id);
    if tg_op = 'UPDATE' then
        perform index_contact(new.workspace_id, new.contact_id);
    end if;
    return null;
end $$;
alter function index_conversation_contact owner to messagehub_system;

create or replace trigger conversations_after_change_index_contact after insert or delete or update of contact_id, number_id on conversations
    for each row execute function index_conversation_contact();
