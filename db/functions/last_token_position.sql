-- The highest position of a number's messages in message_tokens; -1 if there are none.
create or replace function last_token_position(workspace uuid, number uuid) returns integer
    language plpgsql stable
    set enable_seqscan = off
    set enable_bitmapscan = off
as $$ begin
    return coalesce((select w.nth from message_tokens w
                      where w.workspace_id = workspace and w.number_id = number
                      order by w.part desc, w.id desc limit 1), -1);
end $$;
grant execute on function last_token_position to messagehub_people, messagehub_system;
