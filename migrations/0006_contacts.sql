-- Tags and custom fields of contacts, and imports of contact lists.

create table tags (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    name         text not null check (length(name) between 1 and 40 and name = btrim(name)),
    color        text not null check (color in ('gray', 'red', 'orange', 'yellow', 'green', 'teal', 'blue', 'purple', 'pink')),
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id)
);
create unique index tags_name_key on tags (workspace_id, lower(name));

create table contact_tags (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    contact_id   uuid not null,
    tag_id       uuid not null,
    primary key (workspace_id, contact_id, tag_id),
    foreign key (workspace_id, contact_id) references contacts on delete cascade,
    foreign key (workspace_id, tag_id) references tags on delete cascade
);
create index contact_tags_of_tag on contact_tags (workspace_id, tag_id, contact_id); -- the filter

create table contact_fields (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    key          text not null check (key ~ '^[a-z0-9_]{1,40}$'), -- made from the first name; renaming keeps it
    name         text not null check (length(name) between 1 and 40 and name = btrim(name)),
    kind         text not null check (kind in ('text', 'number', 'date', 'choice')),
    choices      text[] not null default '{}',
    position     integer not null default 0,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint contact_fields_key unique (workspace_id, key)
);
create unique index contact_fields_name_key on contact_fields (workspace_id, lower(name));

-- Imported files. Each row is kept until it has been processed, so that an import continues after a restart.
create table contact_imports (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    kind         text not null default 'contacts' check (kind in ('contacts', 'opt_outs')),
    file_name    text not null,
    file         bytea,                              -- until the import starts: it may be read again in another encoding
    state        text not null default 'mapping' check (state in ('mapping', 'running', 'done', 'failed', 'undoing', 'undone')),
    encoding     text not null,
    delimiter    text not null,
    columns      text[] not null,                    -- the first line of the file
    mapping      text[] not null,                    -- the field of each column; '': ignored
    forms        jsonb not null default '[]',        -- the format of each column's cells
    problems     jsonb not null default '[]',        -- where the import differs from the file
    left_out     integer not null default 0,         -- cells that are not imported
    -- Counted before it starts: rows of new contacts, rows whose number is known or repeated, rows without a usable number.
    new_rows       integer not null default 0,
    duplicate_rows integer not null default 0,
    invalid_rows   integer not null default 0,
    flagged        jsonb not null default '[]',      -- the first duplicate and invalid rows, with the reason
    duplicates   text not null default 'fill' check (duplicates in ('skip', 'update', 'fill')),
    region       text not null,
    tag_ids      uuid[] not null default '{}',
    total        integer not null,
    done         integer not null default 0,
    added        integer not null default 0,
    updated      integer not null default 0,
    skipped      integer not null default 0,
    refused      integer not null default 0,
    failure      text,
    lease_until  timestamptz,
    created_by   uuid references users on delete set null default current_user_id(),
    created_by_name text not null default '',
    created_at   timestamptz not null default now(),
    finished_at  timestamptz,
    undone_by    uuid references users on delete set null,
    undone_by_name text not null default '',
    removed      integer not null default 0,         -- by the undo
    restored     integer not null default 0,
    kept_texted  integer not null default 0,         -- added by the import, but texted since
    kept_changed integer not null default 0,         -- changed, tagged or merged since
    kept         jsonb not null default '[]',        -- the ids of the first of these
    primary key (workspace_id, id)
);
create index imports_to_do on contact_imports (lease_until nulls first) where state in ('running', 'undoing');

create table contact_import_rows (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    import_id    uuid not null,
    line         integer not null,
    cells        jsonb not null,
    outcome      text check (outcome in ('added', 'updated', 'skipped', 'refused')),
    reason       text,
    primary key (workspace_id, import_id, line),
    foreign key (workspace_id, import_id) references contact_imports on delete cascade
);
-- What an import did to each contact, for a day, so that it can be undone.
create table contact_import_changes (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    import_id    uuid not null,
    contact_id   uuid not null,
    before       jsonb,                              -- null: the import added the contact
    after        jsonb not null,
    tag_ids      uuid[] not null default '{}',       -- that the import gave it
    primary key (workspace_id, import_id, contact_id),
    foreign key (workspace_id, import_id) references contact_imports on delete cascade,
    foreign key (workspace_id, contact_id) references contacts on delete cascade
);
create index import_changes_of_contact on contact_import_changes (workspace_id, contact_id); -- when it is deleted
create index import_rows_to_do on contact_import_rows (workspace_id, import_id, line) where outcome is null;
create index import_rows_refused on contact_import_rows (workspace_id, import_id, line) where outcome = 'refused';

select confine_to_workspace('tags');
select confine_to_workspace('contact_tags',
    readers => 'exists (select from contacts c where c.workspace_id = contact_tags.workspace_id and c.id = contact_id)',
    writers => 'exists (select from contacts c where c.workspace_id = contact_tags.workspace_id and c.id = contact_id)');
select confine_to_workspace('contact_fields', writers => '(select i_am_admin())');
select confine_to_workspace('contact_imports', readers => '(select i_am_admin())', writers => '(select i_am_admin())');
select confine_to_workspace('contact_import_rows', readers => '(select i_am_admin())', writers => '(select i_am_admin())');
select confine_to_workspace('contact_import_changes', readers => '(select i_am_admin())', writers => '(select i_am_admin())');

grant select, insert, update, delete on tags, contact_fields, contact_imports, contact_import_rows, contact_import_changes
    to messagehub_people;
grant select, insert, delete on contact_tags to messagehub_people;
grant select, insert on tags, contact_fields to messagehub_system; -- the demo
grant select, insert, delete on contact_tags to messagehub_system;
grant select, update, delete on contact_imports to messagehub_system;
grant select, delete on contact_import_rows, contact_import_changes to messagehub_system;
