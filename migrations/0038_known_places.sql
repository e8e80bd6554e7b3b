-- From where somebody has signed in to an account before: networks, and browsers that keep a cookie. A guesser elsewhere must
-- not keep the account's owner out, so these have throttles of their own.
create table known_places (
    user_id uuid not null references users on delete cascade,
    place   bytea not null,                          -- a hash: nothing of where it is
    seen_at timestamptz not null default now(),
    primary key (user_id, place)
);
create index known_places_forgotten on known_places (seen_at); -- housekeeping

alter table known_places enable row level security;
alter table known_places force row level security;
create policy system on known_places to messagehub_system using (true) with check (true);
grant select, insert, update, delete on known_places to messagehub_system;
