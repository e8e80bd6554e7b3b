-- Users, their sessions, and how they prove who they are. All of it is global: workspaces come later.

create table users (
    id                uuid primary key,
    email             text not null check (email = lower(email) and email like '%_@_%' and length(email) <= 254),
    name              text not null check (length(name) between 1 and 120),
    password_hash     text not null,                 -- argon2id, PHC string
    email_verified_at timestamptz,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    totp_secret       bytea,                         -- sealed; members' role cannot read it
    totp_step         bigint not null default 0,     -- the last time step whose code was used: a code works once
    two_factor_at     timestamptz,                   -- since when the second factor is required
    language          text check (language ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$'), -- BCP 47; null: the browser's
    constraint users_email_key unique (email),
    constraint users_two_factor_has_a_secret check (two_factor_at is null or totp_secret is not null)
);

-- Access tokens name a session; ending it ends them. A refresh token is signed and names the session and the generation, so that
-- only one number is kept: an earlier generation that is used again shows that a token was stolen.
create table sessions (
    id                 uuid primary key,
    user_id            uuid not null references users on delete cascade,
    refresh_generation integer not null default 0,
    rotated_at         timestamptz not null default now(),
    expires_at         timestamptz not null,
    revoked_at         timestamptz,
    user_agent         text,
    created_at         timestamptz not null default now(),
    address            text                          -- the IP address at sign-in
);
create index sessions_of_user on sessions (user_id);

-- Recovery codes for a lost second factor. Each works once.
create table recovery_codes (
    user_id   uuid not null references users on delete cascade,
    code_hash bytea not null,
    primary key (user_id, code_hash)
);

-- Links in e-mails that verify an address or allow a new password, as hashes. Each works once.
create table mailed_tokens (
    token_hash bytea primary key,
    user_id    uuid not null references users on delete cascade,
    purpose    text not null check (purpose in ('verify', 'reset')),
    email      text not null,                        -- valid as long as the account has this address
    handed_over boolean not null default false,      -- shown to an admin instead of mailed: proves no address
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
);
create index mailed_tokens_of_user on mailed_tokens (user_id, purpose);

-- Rate limits of sign-in, shared by all servers: a row for each account and each IP address, as a hash. Each attempt moves
-- `paid_until` by its price; when it is too far ahead of the clock the client has to wait.
create table throttles (
    key        bytea primary key,
    paid_until timestamptz not null
);
create index throttles_by_age on throttles (paid_until); -- housekeeping

-- Networks, and browsers by their cookie, from which a user has signed in before. They have rate limits of their own, so that an
-- attacker elsewhere cannot lock the user out.
create table known_locations (
    user_id uuid not null references users on delete cascade,
    place   bytea not null,                          -- a hash
    seen_at timestamptz not null default now(),
    primary key (user_id, place)
);
create index known_locations_by_age on known_locations (seen_at); -- housekeeping

alter table users enable row level security;
alter table users force row level security;
create policy people_see on users for select to messagehub_people
    using (id = (select current_user_id()) or works_with_me(id));
create policy system on users to messagehub_system using (true) with check (true);

alter table sessions enable row level security;
alter table sessions force row level security;
create policy system on sessions to messagehub_system using (true) with check (true);

alter table recovery_codes enable row level security;
alter table recovery_codes force row level security;
create policy system on recovery_codes to messagehub_system using (true) with check (true);

alter table mailed_tokens enable row level security;
alter table mailed_tokens force row level security;
create policy system on mailed_tokens to messagehub_system using (true) with check (true);

alter table throttles enable row level security;
alter table throttles force row level security;
create policy system on throttles to messagehub_system using (true) with check (true);

alter table known_locations enable row level security;
alter table known_locations force row level security;
create policy system on known_locations to messagehub_system using (true) with check (true);

grant select (id, name, email, created_at, two_factor_at) on users to messagehub_people;
grant select, insert, update on users to messagehub_system;
grant select, insert, update, delete on sessions, recovery_codes, mailed_tokens, throttles, known_locations to messagehub_system;
