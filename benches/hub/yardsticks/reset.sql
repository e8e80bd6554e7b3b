-- The same start for each slot.
truncate messages, contacts;
insert into contacts (id, phone_number, workspace_id, name) select id, phone_number, workspace_id, name from known_contacts;
vacuum analyze contacts;
vacuum analyze messages;
analyze twilio_numbers;
checkpoint;
