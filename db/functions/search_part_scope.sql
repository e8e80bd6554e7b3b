-- The scope of a message's tokens: its number and a part of the number's messages, about 2,000 in a row. The GIN index knows no
-- order: without parts a word in a million old messages would be collected from all of them for a page of the newest fifty. Search
-- asks one part after the other. The part is in capital letters, with which no token begins. Which part a message is in only
-- affects the cost: how far a part reaches is read from the table.
create or replace function search_part_scope(number uuid, part integer) returns text
    language plpgsql immutable strict parallel safe
as $$ begin
    return right(number::text, 8) || case when part > 0 then translate(to_hex(part), '0123456789abcdef', 'ABCDEFGHIJKLMNOP') else '' end;
end $$;
grant execute on function search_part_scope to messagehub_people, messagehub_system;
