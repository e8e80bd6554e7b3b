-- A conversation as this transaction has left it, with its contact and its activity since the transaction began. Null in no workspace.
-- Volatile: a stable function would not see what the calling statement has written.
create or replace function stored_conversation(workspace uuid, conversation uuid) returns jsonb
    language plpgsql volatile strict
as $$ begin
    return (select to_jsonb(v)
                   -- A late text may stand before one of ours.
                   || coalesce((select jsonb_build_object('last_message_by', m.created_by, 'last_message_by_name', u.name)
                                  from messages m
                                  left join users u on u.id = m.created_by
                                 where v.last_message_direction = 'outbound'
                                   and m.workspace_id = v.workspace_id and m.id = v.last_message_id
                                 limit 1), '{}')
                   || jsonb_build_object(
                       'contact', contact_json(c), 'number_name', n.friendly_name, 'number_phone', n.phone_number,
                       'assignee_name', (select u.name from users u where u.id = v.assignee_id),
                       'opted_out', is_opted_out(v.workspace_id, v.contact_id, v.number_id),
                       'stored_at', now(),
                       'activity', (select coalesce(jsonb_agg(e order by e.id), '[]')
                                      from (select * from conversation_events a
                                             where a.workspace_id = v.workspace_id and a.conversation_id = v.id
                                             order by a.id desc
                                             limit 5) e
                                     where e.created_at >= now()))
              from conversations v
              join contacts c on c.workspace_id = v.workspace_id and c.id = v.contact_id
              join numbers n on n.workspace_id = v.workspace_id and n.id = v.number_id
             where v.workspace_id = workspace and v.id = conversation);
end $$;
grant execute on function stored_conversation to messagehub_system;
