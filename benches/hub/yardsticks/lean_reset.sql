-- The same start for each slot.
truncate messages, contacts;
insert into contacts (workspace_id, phone_number, name) select workspace_id, phone_number, phone_number from known_contacts;
vacuum analyze contacts;
vacuum analyze messages;
analyze numbers;
checkpoint;
