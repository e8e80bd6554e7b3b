-- needed by migrations
-- The sort key of a contact: no case, no accents, contacts without a name last. Stored in a generated column, because row-level
-- security does not let a query enter an index by a function's result.
create or replace function name_key(name text, phone_number text) returns text
    language plpgsql immutable parallel safe
as $$ begin
    return case when name is null then U&'\FFFF' else '' end
        || translate(lower(coalesce(name, phone_number)), 'áàâäãåāăąéèêëēėęíìîïīıóòôöõøōőúùûüūůűñńçćčýÿšśžźżłđðř',
                                                          'aaaaaaaaaeeeeeeeiiiiiioooooooouuuuuuunncccyysszzzlddr');
end $$;
grant execute on function name_key to messagehub_people, messagehub_system;
