-- Lower case in every script, regardless of the locale of the database: in the locale C the default collation lowers only ASCII. The
-- collation is chosen when this file is applied.
do $$ begin
    execute format('create or replace function lower_case(content text) returns text language sql immutable strict parallel safe
                        as %L',
                   format('select lower(content collate %I)',
                          coalesce((select c.collname from pg_collation c
                                     where c.collname in ('und-x-icu', 'C.utf8', 'C.UTF-8')
                                       and c.collencoding in (-1, pg_char_to_encoding('UTF8'))
                                     order by c.collname = 'und-x-icu' desc limit 1), 'default')));
end $$;
grant execute on function lower_case to messagehub_people, messagehub_system;
