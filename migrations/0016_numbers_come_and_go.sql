-- Numbers leave an account and come back; accounts are disconnected. What was said through them stays.

-- Since then the provider's account has no such number any more: sold, released, or the whole account disconnected. It tells
-- these from numbers that an admin has switched off, which a sync leaves alone.
alter table numbers add column gone_at timestamptz;
alter table numbers add constraint numbers_gone_are_inactive check (gone_at is null or (status = 'inactive' and not is_default));

-- Disconnected for good: the row stays for the sake of its messages, its credentials do not.
alter table integrations add column disconnected_at timestamptz;
alter table integrations alter column credentials drop not null;
alter table integrations add constraint integrations_keep_no_credentials
    check ((credentials is null) = (disconnected_at is not null) and (disconnected_at is null or not is_active));

-- The credentials before these. A provider signs with them for a while after a change, so they verify webhooks, and do nothing
-- else, until their day is over. People's role cannot read them.
alter table integrations add column former_credentials bytea;
alter table integrations add column former_until timestamptz;
alter table integrations add constraint integrations_former_have_an_end
    check ((former_credentials is null) = (former_until is null) and (disconnected_at is null or former_until is null));
grant select (disconnected_at) on integrations to messagehub_people;
