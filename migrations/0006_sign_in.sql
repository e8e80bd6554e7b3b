-- Proving who one is: addresses, a second factor, links by mail, and patience with whoever guesses.

alter table users
    add column totp_secret   bytea,                  -- sealed; people's role cannot read it
    add column totp_step     bigint not null default 0, -- the last time step whose code was used: a code is good once
    add column two_factor_at timestamptz;            -- since when the second factor is asked for
alter table users add constraint users_two_factor_has_a_secret check (two_factor_at is null or totp_secret is not null);

-- Ten codes for the day when the phone is gone, each good once.
create table recovery_codes (
    user_id   uuid not null references users on delete cascade,
    code_hash bytea not null,
    primary key (user_id, code_hash)
);

alter table sessions add column address text;        -- where it was begun from

-- What a link in a mail carries, as its hash: proof of an address, or leave to set a new password. Good once.
create table mailed_tokens (
    token_hash bytea primary key,
    user_id    uuid not null references users on delete cascade,
    purpose    text not null check (purpose in ('verify', 'reset')),
    email      text not null,                        -- as long as the account has this address
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
);
create index mailed_tokens_of_user on mailed_tokens (user_id, purpose);

-- How long each guesser has to wait. Every try moves `paid_until` on by its price; whoever is too far ahead of the clock
-- waits. One row per account and per address, as a hash, shared by all servers.
create table throttles (
    key        bytea primary key,
    paid_until timestamptz not null
);
create index throttles_settled on throttles (paid_until); -- housekeeping

alter table recovery_codes enable row level security;
alter table recovery_codes force row level security;
create policy system on recovery_codes to messagehub_system using (true) with check (true);
alter table mailed_tokens enable row level security;
alter table mailed_tokens force row level security;
create policy system on mailed_tokens to messagehub_system using (true) with check (true);
alter table throttles enable row level security;
alter table throttles force row level security;
create policy system on throttles to messagehub_system using (true) with check (true);

grant select, insert, update, delete on recovery_codes, mailed_tokens, throttles to messagehub_system;
grant select (two_factor_at) on users to messagehub_people;
