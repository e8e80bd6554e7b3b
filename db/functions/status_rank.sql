-- Statuses only move to a higher rank; of two with the same rank the first stays.
create or replace function status_rank(status text) returns smallint
    language sql immutable strict parallel safe
as $$
    select case status
        when 'scheduled' then 0 when 'queued' then 1 when 'sending' then 2 when 'unconfirmed' then 2
        when 'sent' then 3 else 4 end
$$;
grant execute on function status_rank to messagehub_people, messagehub_system;
