-- needed by migrations
-- A UUIDv7, for rows that the database creates by itself.
create or replace function new_id() returns uuid
    language sql volatile parallel safe
as $$
    select encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
        from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;
grant execute on function new_id to messagehub_people, messagehub_system;
