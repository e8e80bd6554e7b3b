-- Contact names are stored in NFC, whichever code writes them: é is one character, and length limits count what people see.
create or replace function normalize_contact_name() returns trigger
    language plpgsql
as $$ begin
    new.name := normalize(new.name, nfc);
    return new;
end $$;

create or replace trigger contacts_before_write_normalize_name before insert or update of name on contacts
    for each row when (new.name is not null) execute function normalize_contact_name();
