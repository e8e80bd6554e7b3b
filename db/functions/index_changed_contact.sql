-- Indexes a contact when its name, phone number or e-mail address changes, or when it is merged.
create or replace function index_changed_contact() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    perform index_contact(new.workspace_id, new.id);
    if new.merged_into is not null then
        perform index_contact(new.workspace_id, new.merged_into);
    end if;
    return null;
end $$;
alter function index_changed_contact owner to messagehub_system;

-- A contact that is inserted as texted gets a conversation in the same transaction, which indexes it.
create or replace trigger contacts_after_insert_index after insert on contacts
    for each row when (not new.texted) execute function index_changed_contact();
create or replace trigger contacts_after_update_reindex after update of name, phone_number, email, merged_into on contacts
    for each row when ((old.name, old.phone_number, old.email, old.merged_into)
                       is distinct from (new.name, new.phone_number, new.email, new.merged_into))
    execute function index_changed_contact();
