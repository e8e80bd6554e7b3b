-- Indexes a contact when its name, phone number or e-mail address changes, or when it is merged.
create or replace function learn_contacts() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    perform learn_contact(new.workspace_id, new.id);
    if new.merged_into is not null then
        perform learn_contact(new.workspace_id, new.merged_into);
    end if;
    return null;
end $$;
alter function learn_contacts owner to messagehub_system;

create or replace trigger learn_contacts after insert on contacts
    for each row execute function learn_contacts();
create or replace trigger relearn_contacts after update of name, phone_number, email, merged_into on contacts
    for each row when ((old.name, old.phone_number, old.email, old.merged_into)
                       is distinct from (new.name, new.phone_number, new.email, new.merged_into))
    execute function learn_contacts();
