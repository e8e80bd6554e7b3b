-- Asking the provider what became of texts whose answer was lost: how often so far. `due_at` says when next.
alter table messages add column inquiries smallint not null default 0;
create index messages_unconfirmed on messages (id) where status = 'unconfirmed'; -- a handful, at any time

-- A text that did not arrive can be sent again, once: as a new one.
alter table messages add column retried_as uuid;
