-- The preview of a stored message.
create or replace function preview_of(workspace uuid, message uuid, content text) returns text
    language sql stable
as $$
    select preview_text(content, (select f.content_type from message_media f
                                   where f.workspace_id = workspace and f.message_id = message
                                   order by f.position limit 1))
$$;
grant execute on function preview_of to messagehub_people, messagehub_system;
