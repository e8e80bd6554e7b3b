-- What messages cost. Prices of messages are summed by number and day, so that a month is a few rows at any volume; what
-- the provider charged is kept beside it, as reported.

create table number_usage (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    number_id    uuid not null,
    day          date not null,                      -- UTC, as providers count
    direction    text not null check (direction in ('inbound', 'outbound')),
    currency     text not null,                      -- '' while the price is unknown
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
    count          bigint,                           -- null: the provider does not count this item
    amount         numeric not null,
    fetched_at     timestamptz not null default now(),
    primary key (workspace_id, integration_id, day, item, currency),
    foreign key (workspace_id, integration_id) references integrations on delete cascade
);
create index provider_charges_of_month on provider_charges (workspace_id, day);

-- Usage of messages that were deleted with their contact: counting a day again includes them.
create table deleted_usage (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    number_id    uuid not null,
    day          date not null,                      -- as in `number_usage`
    direction    text not null check (direction in ('inbound', 'outbound')),
    currency     text not null,
    texts        integer not null check (texts > 0),
    segments     integer not null,
    price        numeric not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index deleted_usage_of_day on deleted_usage (day);

select confine_to_workspace('number_usage', readers => '(select i_am_admin())', writers => 'false');
select confine_to_workspace('provider_charges', readers => '(select i_am_admin())', writers => 'false');
select confine_to_workspace('deleted_usage', readers => 'false', writers => 'false');

grant select on number_usage, provider_charges to messagehub_people;
grant select, insert, update, delete on number_usage, provider_charges to messagehub_system;
grant select, insert, delete on deleted_usage to messagehub_system;
