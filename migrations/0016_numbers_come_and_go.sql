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
grant select (disconnected_at) on integrations to messagehub_people;
