-- The attachments of a message as handed to the provider, in order: our own files by id and name, others by their address.
create or replace function outgoing_media(workspace uuid, message uuid, kind text) returns text[]
    language plpgsql stable
as $$ begin
    if kind = 'text' then
        return '{}'::text[]; -- most messages: no query
    end if;
    return array(select coalesce(d.source_url, d.id || '/' || coalesce(d.file_name, 'file')) from message_media d
                  where d.workspace_id = workspace and d.message_id = message
                  order by d.position);
end $$;
grant execute on function outgoing_media to messagehub_system;
