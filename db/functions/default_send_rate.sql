-- Messages per second of a number whose admin has not set a rate.
create or replace function default_send_rate(provider text, phone_number text) returns double precision
    language sql immutable strict parallel safe
as $$
    select case
        when provider = 'sandbox' then 1000
        when phone_number ~ '^[0-9]{3,8}$' then 100                       -- short codes
        when phone_number ~ '^\+18(00|33|44|55|66|77|88)[0-9]{7}$' then 3 -- toll-free
        else 1 end
$$;
grant execute on function default_send_rate to messagehub_people, messagehub_system;
