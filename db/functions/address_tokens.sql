-- The words under which a phone number or sender name is found: every suffix of the digits, and the whole number with its plus.
create or replace function address_tokens(address text) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    if address ~ '^\+?[0-9]+$' then
        return suffixes_of(array[translate(address, '+', '')]) || array[address];
    end if;
    return person_tokens(address);
end $$;
grant execute on function address_tokens to messagehub_people, messagehub_system;
