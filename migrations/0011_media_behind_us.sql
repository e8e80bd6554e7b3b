-- A picture is fetched through us: by members, as long as they may see its conversation. Where the provider keeps it is
-- nobody's business. What begins with a slash lies here already (the demo's pictures).
create or replace function media_of(workspace uuid, message uuid, kind text) returns jsonb
    language plpgsql stable
as $$ begin
    if kind = 'text' then
        return '[]'::jsonb; -- most are, and cost nothing
    end if;
    return coalesce(
        (select jsonb_agg(jsonb_build_object(
                    'id', d.id, 'content_type', d.content_type, 'size', d.size,
                    'url', case when d.source_url like '/%' then d.source_url
                                else '/api/workspaces/' || workspace || '/media/' || d.id end)
                    order by d.position)
           from message_media d
          where d.workspace_id = workspace and d.message_id = message), '[]'::jsonb);
end $$;
