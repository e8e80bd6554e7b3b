-- Providers try for seconds only, so an outage of ours loses texts on their way in. Their lists still have them: every number is
-- compared with its provider's list now and then.
alter table numbers
    add column agreed_at   timestamptz,                       -- until then we have everything that the provider has
    add column catch_up_at timestamptz not null default now(); -- when to compare next; whoever compares moves it on
alter table numbers
    add column last_missed_at timestamptz;                    -- the newest text that came by comparing, and by no webhook
-- By account: of one whose provider hangs no more is begun than it has room for, however long its queue.
create index numbers_to_catch_up on numbers (workspace_id, integration_id, catch_up_at) where status = 'active' and sms;
