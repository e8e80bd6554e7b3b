-- A contact as the program reads it: all columns, with the other phone numbers and the tags.
create or replace function contact_json(c contacts) returns jsonb
    language sql stable
as $$
    select to_jsonb(c) || jsonb_build_object('other_numbers', addresses_of(c.workspace_id, c.id), 'tags', tags_of(c.workspace_id, c.id))
$$;
grant execute on function contact_json to messagehub_people, messagehub_system;
