-- The attachments of a message in order, as the API shows them. Runs with the caller's rights. A source_url that begins with a slash
-- is a file of the program itself (demo); an address given by a member is returned as it is; all others are served by us.
create or replace function media_of(workspace uuid, message uuid, kind text) returns jsonb
    language plpgsql stable
as $$ begin
    if kind = 'text' then
        return '[]'::jsonb; -- most messages: no query
    end if;
    return coalesce(
        (select jsonb_agg(jsonb_build_object(
                    'id', d.id, 'content_type', d.content_type, 'size', d.size, 'width', d.width, 'height', d.height,
                    'url', case when d.source_url like '/%' or (d.uploaded_by is not null and d.source_url is not null) then d.source_url
                                else '/api/workspaces/' || workspace || '/media/' || d.id end,
                    'error', d.failure)
                    order by d.position)
           from message_media d
          where d.workspace_id = workspace and d.message_id = message), '[]'::jsonb);
end $$;
grant execute on function media_of to messagehub_people, messagehub_system;
