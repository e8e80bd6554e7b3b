-- What texts cost. What stands on each message is summed up by number and day, so that a month is a few rows however many texts
-- there were; what the provider says that it charged is kept beside it, as it says it.

create table number_usage (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    number_id    uuid not null,
    day          date not null,                      -- UTC, as providers count
    direction    text not null check (direction in ('inbound', 'outbound')),
    currency     text not null,                      -- '' where no price is known (yet)
    texts        integer not null check (texts > 0),
    segments     integer not null,
    price        numeric not null,
    counted_at   timestamptz not null default now(),
    primary key (workspace_id, number_id, day, direction, currency),
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index number_usage_of_month on number_usage (workspace_id, day);
create index number_usage_counted_anew on number_usage (day);
create index number_usage_counted on number_usage (counted_at desc);

create table provider_charges (
    workspace_id   uuid not null default current_workspace() references workspaces on delete cascade,
    integration_id uuid not null,
    day            date not null,
    item           text not null check (item ~ '^[a-z_]+$'),
    currency       text not null,
    count          bigint,                           -- null: the provider does not count these
    amount         numeric not null,
    fetched_at     timestamptz not null default now(),
    primary key (workspace_id, integration_id, day, item, currency),
    foreign key (workspace_id, integration_id) references integrations on delete cascade
);
create index provider_charges_of_month on provider_charges (workspace_id, day);

-- Those that were sent at another time than they were written; all others are found by their id.
create index messages_sent_later on messages (workspace_id, scheduled_at) where scheduled_at is not null;

alter table integrations
    add column usage_due_at timestamptz not null default now(), -- when to ask next; whoever asks moves it on
    add column usage_until  date,                               -- the last day that the provider was asked about
    add column usage_error  text;                               -- why it could not be asked the last time, in words
create index integrations_usage_due on integrations (usage_due_at) where is_active;
grant select (usage_until, usage_error) on integrations to messagehub_people;

select confine_to_workspace('number_usage', readers => '(select i_am_admin())', writers => 'false');
select confine_to_workspace('provider_charges', readers => '(select i_am_admin())', writers => 'false');
grant select on number_usage, provider_charges to messagehub_people;
grant select, insert, update, delete on number_usage, provider_charges to messagehub_system;
