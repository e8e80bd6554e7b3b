-- The search index: every word of every message, and contacts by any part of their name or number, by access rights.
--
-- Tables of their own, because a row of `messages` is written several times while the message is on its way, each time with all
-- its indexes; here each message is written once. Tokens are made by `spaced_tokens`, not by a text search parser: they are the same in
-- every database, and scripts without spaces are indexed by pairs of characters.
--
-- Messages are indexed by a worker, in batches and in the order of their transactions (`index_new_messages`): storing a text does not
-- wait for it. `find_messages` reads those that are not indexed yet, too.
--
-- Each token is prefixed with its scope (`search_scope`, `search_part_scope`): a search reads only index entries of what its user may see, so
-- neither its results nor its duration depend on anything else.

create table message_tokens (
    workspace_id uuid not null default current_workspace(),
    id           uuid not null,                      -- of the message
    number_id    uuid not null,
    nth          integer not null default 0,         -- position among the number's messages; concurrent ones may share it
    part         integer not null generated always as (nth / 2048) stored,
    words        tsvector not null,
    primary key (workspace_id, id),                  -- pages: newest first, below a cursor
    foreign key (workspace_id, id) references messages on update cascade on delete cascade
);
create table contact_tokens (
    workspace_id uuid not null default current_workspace(),
    id           uuid not null,                      -- of the contact
    words        tsvector not null,                  -- for the workspace, and for each number with a conversation
    primary key (workspace_id, id),
    foreign key (workspace_id, id) references contacts on delete cascade
);
-- A short pending list keeps receiving cheap (entries are merged by the hundred), although every search reads it.
create index message_tokens_search on message_tokens using gin (words) with (gin_pending_list_limit = 1024);
create index contact_tokens_search on contact_tokens using gin (words) with (gin_pending_list_limit = 256);
create index message_tokens_parts on message_tokens (workspace_id, number_id, part, id);  -- the newest message of each part
-- Rows are only inserted: with the default settings the first vacuum would come late.
alter table message_tokens set (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 5000);

-- Up to which message the index reaches, by transaction and key. One row.
create table search_progress (
    only_row     boolean primary key default true check (only_row),
    indexed_by   xid8 not null,
    workspace    uuid not null,                      -- no foreign key: the message may be deleted later
    id           uuid not null
);
insert into search_progress values (true, '0', '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000');
alter table search_progress enable row level security;
alter table search_progress force row level security;
create policy system on search_progress to messagehub_system using (true) with check (true);
grant select, update on search_progress to messagehub_system;

-- Contacts with a new conversation, until the worker has indexed them. Without foreign keys: it skips those that are gone.
create table contacts_to_index (
    workspace_id uuid not null,
    place        bigint not null generated always as identity,
    contact_id   uuid not null,
    primary key (workspace_id, place)
);
create index contacts_to_index_in_order on contacts_to_index (place);

select confine_to_workspace('contacts_to_index', readers => 'false', writers => 'false');
grant select, insert, update, delete on contacts_to_index to messagehub_system;
select confine_to_workspace('message_tokens', readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'false');
select confine_to_workspace('contact_tokens', readers => '(select i_am_admin())', writers => 'false');
grant select, insert, update, delete on message_tokens, contact_tokens to messagehub_system;
