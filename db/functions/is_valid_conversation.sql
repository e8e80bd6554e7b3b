-- needed by migrations
-- The values that columns of `conversations` may have. One function for the reason given in `is_valid_message`.
create or replace function is_valid_conversation(status text, unread_count integer, last_message_direction text) returns boolean
    language plpgsql immutable parallel safe
as $$ begin
    return status in ('open', 'pending', 'snoozed', 'done') and unread_count >= 0 and last_message_direction in ('inbound', 'outbound');
end $$;
grant execute on function is_valid_conversation to messagehub_people, messagehub_system;
