-- needed by migrations
-- E.164, a short code, a sender name, or another sender id that a network uses: 1 to 120 characters, no control characters.
create or replace function is_address(address text) returns boolean
    language plpgsql immutable strict parallel safe
as $$ begin
    return char_length(address) between 1 and 120 and address !~ '[\x01-\x1f\x7f\u0080-\u009f]';
end $$;
grant execute on function is_address to messagehub_people, messagehub_system;
