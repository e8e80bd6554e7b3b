-- Texts that wait for their time: looked at again when it comes, for much may have changed since they were written.
create index messages_scheduled on messages (due_at, id) where status = 'scheduled';
