-- needed by migrations
-- The values that columns of `webhooks` may have. One function for the reason given in `is_valid_message`.
create or replace function is_valid_webhook(kind text, via text, outcome text) returns boolean
    language plpgsql immutable parallel safe
as $$ begin
    return kind in ('inbound', 'status') and via in ('webhook', 'catch_up', 'release')
       and outcome in ('stored', 'repeat', 'applied', 'ignored', 'malformed', 'quarantined');
end $$;
grant execute on function is_valid_webhook to messagehub_people, messagehub_system;
