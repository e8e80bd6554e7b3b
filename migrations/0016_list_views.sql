-- Saved views of the inbox's list: a tab with filters and an order, under a name.

create table list_views (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    name         text not null check (length(name) between 1 and 60),
    owner_id     uuid,                               -- private to this member, deleted with the membership; null: shared
    created_by   uuid references users on delete set null,
    tab          text not null,
    number_id    uuid,
    tag_id       uuid,
    assignee     text check (assignee in ('me', 'none') or assignee ~ '^[0-9a-f-]{36}$'),
    unread       boolean not null default false,
    failed       boolean not null default false,
    list_order   text not null default 'newest',
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    foreign key (workspace_id, owner_id) references workspace_members on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade,
    foreign key (workspace_id, tag_id) references tags on delete cascade,
    check (owner_id is null or owner_id = created_by)
);
create index list_views_by_name on list_views (workspace_id, lower(name), id);

-- A shared view is changed by its creator and by admins. One of a number is shown to members who see that number.
select confine_to_workspace('list_views',
    readers => '(owner_id is null or owner_id = (select current_user_id()))
                and (number_id is null or number_id = any ((select my_numbers())::uuid[]))',
    writers => '(owner_id = (select current_user_id())
                 or (owner_id is null and (created_by = (select current_user_id()) or (select i_am_admin()))))
                and (number_id is null or number_id = any ((select my_numbers())::uuid[]))');

grant select, insert, update, delete on list_views to messagehub_people;
