-- What the menu counts, as one row: conversations that the caller may see, the caller's unseen mentions, and for an admin the
-- webhook calls in quarantine. Counting stops at 1,000 ("999+"), so the cost does not grow with the inbox. All zero unless
-- `wanted`. PostgreSQL plans it as part of the statement that calls it.
create or replace function menu_counts(wanted boolean)
    returns table (open bigint, mine bigint, unassigned bigint, waiting bigint, pending bigint, snoozed bigint, unread bigint, mentions bigint, quarantined bigint)
    language sql stable
as $$
    select (select count(*) from (select from conversations where wanted and status = 'open' limit 1000) t),
           (select count(*) from (select from conversations
                                   where wanted and status = 'open' and assignee_id = current_user_id() limit 1000) t),
           (select count(*) from (select from conversations where wanted and status = 'open' and assignee_id is null limit 1000) t),
           (select count(*) from (select from conversations
                                   where wanted and status = 'open' and waiting_since is not null limit 1000) t),
           (select count(*) from (select from conversations where wanted and status = 'pending' limit 1000) t),
           (select count(*) from (select from conversations where wanted and status = 'snoozed' limit 1000) t),
           (select count(*) from (select from conversations where wanted and status = 'open' and is_unread limit 1000) t),
           (select count(*) from (select distinct conversation_id from mentions
                                   where wanted and user_id = current_user_id() and seen_at is null limit 1000) t),
           -- Row-level security hides the quarantine from agents.
           (select count(*) from (select from quarantine where wanted and state = 'waiting' limit 100) t)
$$;
grant execute on function menu_counts to messagehub_people;
