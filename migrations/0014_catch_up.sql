-- Providers try for seconds only, so an outage of ours loses texts on their way in. Their lists still have them: every number is
-- compared with its provider's list now and then.
alter table numbers
    add column agreed_at   timestamptz,                       -- until then we have everything that the provider has
    add column catch_up_at timestamptz not null default now(); -- when to compare next; whoever compares moves it on
create index numbers_to_catch_up on numbers (catch_up_at) where status = 'active' and sms;
