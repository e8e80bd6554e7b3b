-- How large a picture is, so that a thread keeps its place free before it is loaded, and nothing jumps when it is.
alter table message_media
    add column width  integer check (width > 0),
    add column height integer check (height > 0),
    add check ((width is null) = (height is null));

create or replace function media_of(workspace uuid, message uuid, kind text) returns jsonb
    language plpgsql stable
as $$ begin
    if kind = 'text' then
        return '[]'::jsonb; -- most are, and cost nothing
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
