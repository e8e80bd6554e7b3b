-- Webhook calls of providers and what became of them, and calls whose signature did not match.

-- Every call about a number or account that we know, written in the transaction that it is about, without the content of
-- messages. Kept for 30 days. Without foreign keys, which every call would have to check: a workspace is deleted with its rows by
-- `workspaces::delete`, and integrations and numbers are never deleted.
create table webhooks (
    workspace_id   uuid not null default current_workspace(),
    id             uuid not null default new_id(),
    integration_id uuid not null,
    number_id      uuid,                             -- null: a delivery report, or the number was unreadable
    provider       text not null,
    kind           text not null,                    -- inbound, status
    via            text not null,                    -- webhook, catch_up, release: their call, their list, our quarantine
    provider_sid   text not null default '',
    outcome        text not null,                    -- stored, repeat, applied, ignored, malformed, quarantined
    detail         text not null default '',         -- the reported status, or the error
    message_id     uuid,
    created_at     timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    constraint webhooks_valid check (is_valid_webhook(kind, via, outcome))
);
create index webhooks_of_sid on webhooks (workspace_id, provider_sid, id desc);
create index webhooks_rare_outcomes on webhooks (workspace_id, outcome, id desc)
    where outcome not in ('stored', 'applied');                                  -- the rare outcomes

-- Calls about our numbers whose signature did not match: a wrong URL here, a rotated secret, or a forgery. They wait for an admin,
-- with all that is needed to process them like valid ones.
create table quarantine (
    workspace_id   uuid not null default current_workspace() references workspaces on delete cascade,
    id             uuid not null default new_id(),
    integration_id uuid not null,
    number_id      uuid,
    provider       text not null,
    kind           text not null check (kind in ('inbound', 'status')),
    provider_sid   text not null,
    sender         text not null default '',
    method         text not null check (method in ('GET', 'POST')),
    url            text not null check (length(url) <= 4096), -- the URL that was signed, as we know it
    content_type   text not null default '',
    body           bytea not null check (length(body) <= 16384),
    cause          text not null,                    -- the probable reason, as a sentence
    fingerprint    bytea not null,                   -- of the content: a repeat is counted, not stored
    times          integer not null default 1,
    state          text not null default 'waiting' check (state in ('waiting', 'released', 'discarded')),
    settled_at     timestamptz,
    tried_at       timestamptz,                      -- the last failed release; these go to the end of the queue
    created_at     timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    constraint quarantine_once unique (workspace_id, fingerprint),
    foreign key (workspace_id, integration_id) references integrations on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index quarantine_waiting on quarantine (workspace_id, integration_id, number_id, id) where state = 'waiting';

select confine_to_workspace('webhooks', readers => '(select i_am_admin())', writers => 'false');
select confine_to_workspace('quarantine', readers => '(select i_am_admin())', writers => '(select i_am_admin())');

grant select on webhooks to messagehub_people;
grant select, update (state, settled_at, tried_at, body) on quarantine to messagehub_people;
grant select, insert, delete on webhooks to messagehub_system;
grant select, insert, update, delete on quarantine to messagehub_system;
